"""What llama.cpp does not load, or does not run in the asked formats."""

from collections.abc import Iterator

from kvsim.dtypes import DType
from kvsim.engines.llama_cpp_model import is_latent
from kvsim.engines.llama_cpp_rules import LatentStorage, Rules
from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import CrossAttention, FullAttention
from kvsim.specs.latent import CompressedAttention, LatentAttention
from kvsim.specs.llama_cpp import FlashAttention, LlamaCpp
from kvsim.specs.model import ModelSpec


def refuse_unknown(model: ModelSpec) -> None:
    """UnsupportedError for a model that llama.cpp does not load, or whose cache is not known."""
    if model.llama_cpp.refusal is not None:
        msg = Message("llama.cpp: {why}", why=Message.of_all([model.llama_cpp.refusal]))
        raise UnsupportedError(msg)
    for group in model.layer_groups:
        if any(isinstance(b, CrossAttention) for b in group.layer):
            msg = Message("cross attention: its bytes in llama.cpp are not known")
            raise UnsupportedError(msg)


def refuse_formats(
    model: ModelSpec, settings: LlamaCpp, rules: Rules, *, type_k: DType, type_v: DType
) -> None:
    """UnsupportedError for formats that llama.cpp does not run.

    Source:
        llama.cpp `llama_init_from_model`, src/llama-context.cpp, 0.5.0-dev.
    """
    keys_only = is_latent(model) and rules.latent is LatentStorage.KEYS_ONLY
    if keys_only and model.llama_cpp.stores_latent and rules.same_latent_types:
        _refuse_unequal(settings)
    off = settings.flash_attn is FlashAttention.OFF or not model.llama_cpp.has_flash_attn
    if off and type_v.group_elems > 1:
        msg = Message(
            "cache_type_v={cache_type_v} needs flash attention", cache_type_v=settings.cache_type_v
        )
        raise UnsupportedError(msg)
    if off:
        return
    dims = {"cache_type_k": (type_k, _key_dims(model)), "cache_type_v": (type_v, _v_dims(model))}
    for field, (dtype, head_dims) in dims.items():
        for dim in head_dims:
            if dim % dtype.group_elems:
                msg = Message(
                    "{field}={name}: {group_elems} must divide a head of {dim}",
                    field=field,
                    name=dtype.name,
                    group_elems=dtype.group_elems,
                    dim=dim,
                )
                raise UnsupportedError(msg)


def _refuse_unequal(settings: LlamaCpp) -> None:
    if settings.cache_type_k.lower() != settings.cache_type_v.lower():
        msg = Message(
            "cache_type_k={cache_type_k} and cache_type_v={cache_type_v} must be the same "
            "where a latent is cached",
            cache_type_k=settings.cache_type_k,
            cache_type_v=settings.cache_type_v,
        )
        raise UnsupportedError(msg)


def _key_dims(model: ModelSpec) -> Iterator[int]:
    """Elements of one key head, layer by layer of a kind."""
    for group in model.layer_groups:
        for b in group.layer:
            if isinstance(b, FullAttention | CompressedAttention):
                yield b.head_dim
            elif isinstance(b, LatentAttention):
                yield b.kv_lora_rank + b.qk_rope_head_dim


def _v_dims(model: ModelSpec) -> Iterator[int]:
    """Elements of one value head, stored or not."""
    for group in model.layer_groups:
        for b in group.layer:
            if isinstance(b, FullAttention):
                yield b.value_head_dim
            elif isinstance(b, LatentAttention):
                yield b.kv_lora_rank
