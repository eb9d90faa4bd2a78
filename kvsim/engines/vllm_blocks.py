"""Tokens per block: what the backends accept, what states need, what unquantised layers need."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import lcm

from kvsim.engines.vllm_backend import Backend
from kvsim.engines.vllm_behaviours import LayerSpecs
from kvsim.engines.vllm_cache_config import MambaCacheMode
from kvsim.engines.vllm_spec_base import KVCacheSpec
from kvsim.engines.vllm_specs import FullAttentionSpec, MambaSpec
from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import CacheBehaviour, FullAttention
from kvsim.specs.engine import DEFAULT_BLOCK_SIZE
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import Layer, ModelSpec
from kvsim.specs.vllm_traits import keeps_state
from kvsim.units import ceil_div

MLA_ALIGNMENT = 128
"""Tokens to which hybrids with latent attention round their block.

Source: vLLM `_align_hybrid_block_size`, vllm/platforms/interface.py, 0.32.0.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """Tokens per attention block, and the block and page of recurrent states."""

    block_size: int
    mamba_block_size: int | None  # None: no states
    mamba_page_size_padded: int | None  # None: states are not padded


def plan_blocks(model: ModelSpec, specs: LayerSpecs) -> BlockPlan:
    """The blocks that the engine settles on before it lays anything out.

    Args:
        model: what each layer caches.
        specs: how behaviours are stored; its block sizes are not looked at yet.

    Raises:
        UnsupportedError: if a backend does not accept the blocks that were asked for.

    Source:
        vLLM `update_block_size_for_backend`, vllm/platforms/interface.py, 0.32.0.
    """
    size = _backend_block_size(model, specs)
    size = _skipped_block_size(model, specs, size)
    states = [one for one in _state_specs(model, specs) if isinstance(one, MambaSpec)]
    if not states:
        return BlockPlan(block_size=size, mamba_block_size=None, mamba_page_size_padded=None)
    page = max(state.unpadded_page_size_bytes for state in states)
    token = max(_token_bytes(model, specs), default=0)
    padded = None
    if token:
        size = _aligned(size, page, token, is_latent=_has_latent(model))
        padded = size * token if size * token != page else None
    config = specs.config
    align = config.mamba_cache_mode is MambaCacheMode.ALIGN
    return BlockPlan(
        block_size=size,
        mamba_block_size=size if align else config.max_model_len,
        mamba_page_size_padded=padded,
    )


def _backend_block_size(model: ModelSpec, specs: LayerSpecs) -> int:
    """The size asked for, or the smallest that every backend takes and some prefer."""
    backends = [b for b, _ in _backends(model, specs)]
    asked = specs.asked_block_size
    if forced := [backend.kernel_block for backend in backends if backend.forced]:
        return lcm(*forced)
    if asked is not None:
        for backend in backends:
            if not backend.accepts(asked):
                rule = "be" if backend.only else "be a multiple of"
                msg = Message(
                    "block_size={asked} must {rule} {kernel_block} for {name}",
                    asked=asked,
                    rule=rule,
                    kernel_block=backend.kernel_block,
                    name=backend.name,
                )
                raise UnsupportedError(msg)
        return asked
    takes_default = all(b.accepts(DEFAULT_BLOCK_SIZE) and b.preferred is None for b in backends)
    if takes_default:
        return DEFAULT_BLOCK_SIZE
    return lcm(*(b.preferred or b.kernel_block for b in backends))


def _aligned(size: int, page: int, token: int, *, is_latent: bool) -> int:
    """Tokens per block whose page holds a state.

    Source:
        vLLM `_align_hybrid_block_size`, vllm/platforms/interface.py, 0.32.0.
    """
    unit = max(size, MLA_ALIGNMENT) if is_latent else size
    return max(size, unit * ceil_div(page, unit * token))


def _skipped_block_size(model: ModelSpec, specs: LayerSpecs, size: int) -> int:
    """Blocks in which quantised layers hold as many bytes as the ones left out of quantisation.

    Source:
        vLLM `_align_heterogeneous_kv_block_size`, vllm/platforms/interface.py, 0.32.0.
    """
    if not specs.skip_layers:
        return size
    quantised = max(_token_bytes(model, replace(specs, skip_layers=frozenset())), default=1)
    own = replace(specs, kv_cache_dtype="auto", skip_layers=frozenset())
    unquantised = max(_token_bytes(model, own), default=1)
    return size * ceil_div(unquantised, quantised)


def _token_bytes(model: ModelSpec, specs: LayerSpecs) -> Iterator[int]:
    """Bytes per token of each kind of attention that keeps every token."""
    one_token = replace(specs, config=replace(specs.config, block_size=1))
    for behaviour, layer in _distinct(model):
        if isinstance(behaviour, FullAttention | LatentAttention):
            for spec in one_token.build(behaviour, layer):
                if isinstance(spec, FullAttentionSpec):
                    yield spec.page_size_bytes


def _has_latent(model: ModelSpec) -> bool:
    return any(isinstance(b, LatentAttention) for group in model.layer_groups for b in group.layer)


def _state_specs(model: ModelSpec, specs: LayerSpecs) -> Iterator[KVCacheSpec | None]:
    for behaviour, layer in _distinct(model):
        if keeps_state(behaviour, layer):
            yield from specs.build(behaviour, layer)


def _backends(model: ModelSpec, specs: LayerSpecs) -> Iterator[tuple[Backend, CacheBehaviour]]:
    for behaviour, layer in _distinct(model):
        backend = specs.backend(behaviour, layer)
        if backend is not None:
            yield backend, behaviour


def _distinct(model: ModelSpec) -> Iterator[tuple[CacheBehaviour, Layer]]:
    for group in model.layer_groups:
        for behaviour in group.layer:
            yield behaviour, group.layer
