"""What vLLM makes of the formats that it is asked for: of the model's values and of the cache."""

from kvsim.dtypes import DType, cache_dtype, model_dtype
from kvsim.errors import UnsupportedError
from kvsim.specs.latent import CompressedAttention, Indexer, LatentAttention
from kvsim.specs.model import ModelSpec

DS_MLA = "fp8_ds_mla"
"""How sparse latent attention stores fp8: float32 scales and bf16 rotary keys within."""

FP8_NAMES = ("fp8", "fp8_e4m3")
ALIASES = {"bf16": "bfloat16", "fp16": "float16", "half": "float16"}
CACHE_DTYPES = (
    "auto",
    "float16",
    "bfloat16",
    *FP8_NAMES,
    "fp8_e5m2",
    "fp8_inc",
    DS_MLA,
    "int8_per_token_head",
    "fp8_per_token_head",
    "int4_per_token_head",
    "nvfp4",
)
"""Cache formats of vLLM whose layout is known.

Source: vLLM `CacheDType`, vllm/config/cache.py, 0.32.0.
"""


def resolve_dtype(asked: str, model: ModelSpec) -> DType:
    """The format of weights and activations; "auto" is the checkpoint's."""
    return model.dtype if asked == "auto" else model_dtype(asked)


def resolve_cache_dtype(asked: str, model: ModelSpec) -> str:
    """The cache format's name as the engine's classes change it.

    Raises:
        SpecError: for a name that is no format at all.
        UnsupportedError: for one that the engine does not have, or not for this attention.

    Source:
        vLLM `DeepseekV32ForCausalLM.verify_and_update_config`, model_executor/models/config.py,
        and `_resolve_dsv4_kv_cache_dtype`, models/deepseek_v4/attention.py, 0.32.0.
    """
    name = ALIASES.get(asked.lower(), asked.lower())
    if name not in CACHE_DTYPES:
        cache_dtype(asked)  # a name that no engine has is told so
        msg = f"kv_cache_dtype={name} is no cache format of vllm: it has {', '.join(CACHE_DTYPES)}"
        raise UnsupportedError(msg)
    if name == "auto" and model.vllm.kv_cache_dtype is not None:
        name = model.vllm.kv_cache_dtype
    kinds = {type(b) for group in model.layer_groups for b in group.layer}
    if CompressedAttention in kinds:
        return _compressed(name)
    has_latent = any(issubclass(kind, LatentAttention) for kind in kinds)
    if Indexer in kinds and has_latent:
        return _sparse(name)
    if name == DS_MLA:
        msg = f"kv_cache_dtype={name}: no attention backend of vllm stores a dense model so"
        raise UnsupportedError(msg)
    if "per_token_head" in name and has_latent:
        msg = f"kv_cache_dtype={name}: no attention backend of vllm stores latents so"
        raise UnsupportedError(msg)
    return name


def _compressed(name: str) -> str:
    if name not in ("auto", *FP8_NAMES, DS_MLA):
        msg = f"kv_cache_dtype={name} must be fp8 with compressed attention: vllm has no other"
        raise UnsupportedError(msg)
    return DS_MLA


def _sparse(name: str) -> str:
    if name == "bfloat16":
        return "auto"
    if name in (*FP8_NAMES, DS_MLA):
        return DS_MLA
    if name != "auto":
        msg = f"kv_cache_dtype={name} must be fp8 or auto with sparse latent attention"
        raise UnsupportedError(msg)
    return name
