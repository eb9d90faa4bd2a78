"""A model's cache as vLLM would build it: settings, registered caches, and its start."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from kvsim.dtypes import DType, model_dtype
from kvsim.engines.vllm_backend import Device, device_of
from kvsim.engines.vllm_behaviours import LayerSpecs
from kvsim.engines.vllm_blocks import BlockPlan, plan_blocks
from kvsim.engines.vllm_cache_config import KVCacheLayout, MambaCacheMode, VllmCacheConfig
from kvsim.engines.vllm_layout import VllmLayout, vllm_layout
from kvsim.engines.vllm_model import RegisteredCache, register_caches
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import CircularBufferSpec, MLAAttentionSpec, SlidingWindowMLASpec
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import FullAttention
from kvsim.specs.cache_dtype import resolve_dtype
from kvsim.specs.engine import ResolvedVllm, Vllm, resolve_vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.latent import CompressedAttention, LatentAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.speculative import DRAFTERS
from kvsim.specs.state import RecurrentState
from kvsim.specs.version import is_v0
from kvsim.specs.vllm_traits import is_read_through

REMEMBERED_CACHES = 256
"""Caches kept: laying a hybrid out costs more than all that is asked of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VllmCache:
    """One model's cache on one tensor-parallel rank, before memory is handed out.

    `settings` are the engine's after the layers had their say: its block size is final.
    Two are equal only if they are the same object: layouts are remembered by it.
    """

    settings: ResolvedVllm
    config: VllmCacheConfig
    caches: tuple[RegisteredCache, ...]  # in registration order
    stages: tuple[tuple[int, ...], ...]  # positions in `specs` that each pipeline stage holds

    @property
    def specs(self) -> tuple[KVCacheSpec, ...]:
        """The specs of the caches that store anything."""
        return tuple(one.spec for one in self.caches if one.spec is not None)

    @property
    def replicas(self) -> tuple[int, ...]:
        """Tensor-parallel ranks that hold the same content, of each stored cache."""
        return tuple(one.tp_replicas for one in self.caches if one.spec is not None)

    def start(self, available_bytes: int | Sequence[int]) -> VllmLayout:
        """Groups, blocks, tokens and concurrency that the engine makes of the memory.

        Args:
            available_bytes: cache memory of one rank, or of each pipeline stage.

        Raises:
            CapacityError: if one request of `max_model_len` does not fit.
            UnsupportedError: where the engine stops for another reason.
        """
        if isinstance(available_bytes, int):
            memory = (available_bytes,) * len(self.stages)
        else:
            memory = tuple(available_bytes)
        stages = self.stages if len(self.stages) > 1 else None
        return vllm_layout(self.specs, self.config, available_bytes=memory, rank_layers=stages)


def vllm_cache(
    model: ModelSpec,
    engine: Vllm,
    *,
    accelerator: Accelerator | None = None,
    parallel: Parallelism | None = None,
) -> VllmCache:
    """A model's cache as vLLM would build it with these settings.

    Raises:
        SpecError: for settings that no real system can have, or heads that do not divide.
        UnsupportedError: for a model, a format or blocks that vLLM refuses.
    """
    ranks = Parallelism() if parallel is None else parallel
    resolved = resolve_vllm(engine, model=model, accelerator=accelerator, parallel=ranks)
    return build_cache(model, engine, resolved, ranks, device_of(accelerator))


@lru_cache(maxsize=REMEMBERED_CACHES)
def build_cache(
    model: ModelSpec,
    engine: Vllm,
    resolved: ResolvedVllm,
    parallel: Parallelism,
    device: Device,
) -> VllmCache:
    """The cache under settings that are resolved already; remembered."""
    check_ranks(model, parallel)
    drafts = _drafts(model, engine)
    specs = _layer_specs(model, engine, resolved, parallel, device)
    blocks = plan_blocks(model, specs)
    settings = _settled(resolved, blocks)
    config = replace(specs.config, block_size=blocks.block_size)
    specs = replace(
        specs,
        config=config,
        mamba_block_size=blocks.mamba_block_size,
        mamba_page_size_padded=blocks.mamba_page_size_padded,
    )
    caches = register_caches(model, specs, with_drafts=drafts)
    return VllmCache(
        settings=settings,
        config=replace(config, kv_cache_layout=_dimension_order(caches, device)),
        caches=caches,
        stages=_stages(model, caches, parallel),
    )


def check_ranks(model: ModelSpec, parallel: Parallelism) -> None:
    """SpecError unless the heads divide over the ranks as the engine demands.

    Source:
        vLLM `ModelConfig.verify_with_parallel_config`, vllm/config/model.py, 0.32.0.
    """
    tp, dcp = parallel.tensor_parallel_size, parallel.decode_context_parallel_size
    behaviours = [b for group in model.layer_groups for b in group.layer]
    heads = [b.num_kv_heads for b in behaviours if isinstance(b, FullAttention)]
    has_heads = bool(heads) or any(isinstance(b, LatentAttention) for b in behaviours)
    if has_heads and model.num_attention_heads % tp:
        msg = Message(
            "tensor_parallel_size={ranks} must divide num_attention_heads={heads}",
            ranks=tp,
            heads=model.num_attention_heads,
        )
        raise SpecError(msg)
    if dcp > 1 and heads and tp // max(heads) < dcp:
        text = (
            f"decode_context_parallel_size={dcp} needs as many copies of num_kv_heads={max(heads)}"
            f": tensor_parallel_size={tp} must be >= {dcp * max(heads)}"
        )
        raise SpecError(text)


def _drafts(model: ModelSpec, engine: Vllm) -> bool:
    method = engine.speculative_method
    if method is None or not DRAFTERS[method].adds_layers:
        return False
    if not model.vllm.draft_layers:
        msg = Message(
            "speculative_method={method}: {name} states no num_nextn_predict_layers",
            method=method,
            name=model.name,
        )
        raise UnsupportedError(msg)
    return True


def _layer_specs(
    model: ModelSpec,
    engine: Vllm,
    resolved: ResolvedVllm,
    parallel: Parallelism,
    device: Device,
) -> LayerSpecs:
    behaviours = [(b, group.layer) for group in model.layer_groups for b in group.layer]
    widths = [
        b.conv_channels
        for b, layer in behaviours
        if isinstance(b, RecurrentState) and is_read_through(b, layer)
    ]
    return LayerSpecs(
        config=_cache_config(model, engine, resolved, parallel),
        dtype=resolve_dtype(engine.dtype, model),
        kv_cache_dtype=resolved.kv_cache_dtype,
        device=device,
        asked_block_size=engine.block_size,
        traits=model.vllm,
        is_compressed=any(isinstance(b, CompressedAttention) for b, _ in behaviours),
        convolution_dtype=_stated(engine.mamba_cache_dtype, "mamba_cache_dtype"),
        state_dtype=_stated(engine.mamba_ssm_cache_dtype, "mamba_ssm_cache_dtype"),
        widest_convolution=max(widths, default=0),
        skip_layers=frozenset(engine.kv_cache_dtype_skip_layers),
        num_speculative_tokens=resolved.num_speculative_tokens,
    )


def _stated(name: str, field: str) -> DType | None:
    return None if name == "auto" else model_dtype(name, field=field)


def _cache_config(
    model: ModelSpec, engine: Vllm, resolved: ResolvedVllm, parallel: Parallelism
) -> VllmCacheConfig:
    num_modules = len(model.vllm.draft_layers) if _drafts(model, engine) else 0
    return VllmCacheConfig(
        max_model_len=resolved.max_model_len,
        max_num_batched_tokens=resolved.max_num_batched_tokens,
        block_size=resolved.block_size,
        async_scheduling=resolved.async_scheduling,
        enable_prefix_caching=resolved.enable_prefix_caching,
        tensor_parallel_size=parallel.tensor_parallel_size,
        pipeline_parallel_size=parallel.pipeline_parallel_size,
        decode_context_parallel_size=parallel.decode_context_parallel_size,
        mamba_cache_mode=MambaCacheMode(resolved.mamba_cache_mode),
        disable_hybrid_kv_cache_manager=resolved.disable_hybrid_kv_cache_manager,
        num_null_blocks=0 if is_v0(resolved.engine_version) else 1,
        num_gpu_blocks_override=engine.num_gpu_blocks_override,
        auto_max_model_len=engine.auto_max_model_len,
        num_prefill_lookahead_tokens=resolved.num_speculative_tokens if num_modules > 1 else 0,
    )


def _settled(resolved: ResolvedVllm, blocks: BlockPlan) -> ResolvedVllm:
    return replace(
        resolved,
        block_size=blocks.block_size,
        mamba_block_size=blocks.mamba_block_size,
        mamba_page_size_padded=blocks.mamba_page_size_padded,
    )


def _dimension_order(caches: Sequence[RegisteredCache], device: Device) -> KVCacheLayout:
    """The order of dimensions that all backends can live with.

    Source:
        vLLM `resolve_kv_cache_layout`, vllm/v1/attention/backends/utils.py, 0.32.0.
    """
    if any(isinstance(one.spec, SlidingWindowMLASpec | CircularBufferSpec) for one in caches):
        return KVCacheLayout.BLHNC
    latent = all(isinstance(one.spec, MLAAttentionSpec) for one in caches)
    is_heads_first = device is Device.CPU and not latent
    return KVCacheLayout.LBHNC if is_heads_first else KVCacheLayout.LBNHC


def _stages(
    model: ModelSpec, caches: Sequence[RegisteredCache], parallel: Parallelism
) -> tuple[tuple[int, ...], ...]:
    """Which stored caches each pipeline stage holds; drafted layers live on the last."""
    stored = [one for one in caches if one.spec is not None]
    ranges = parallel.stage_layers(model.num_layers)
    last = len(ranges) - 1
    stage_of = {layer: i for i, stage in enumerate(ranges) for layer in stage}
    held: list[list[int]] = [[] for _ in ranges]
    for position, one in enumerate(stored):
        held[last if one.is_draft else stage_of[one.layer]].append(position)
    return tuple(tuple(positions) for positions in held)
