"""A cache in a quantised format: keys and values apart, the newest tokens and the ends plain."""

from kvsim.dtypes import CacheFormat, DType
from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import FullAttention, check_positive, heads_per_rank
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval
from kvsim.specs.state import RecurrentState


def quantized_cache_bytes(
    model: ModelSpec, fmt: CacheFormat, *, num_tokens: int, tensor_parallel_size: int = 1
) -> Interval:
    """Bytes of one sequence's token-dependent cache on one rank; exact where the format is.

    Keys of formats with a residual window are quantised in whole windows, so up to a window
    of the newest stays plain; values leave the window one by one. Layers at both ends of a
    model without recurrent layers stay plain where the format says so.

    Raises:
        SpecError: for less than one token, or heads that do not divide.
        UnsupportedError: for latent caches: these formats are defined on heads.

    Source:
        jy-yuan/KIVI `LlamaFlashAttention_KIVI.forward`, models/llama_kivi.py; vLLM
        `get_boundary_skip_layers`, quantization/turboquant/config.py, 1471680b.
    """
    check_positive(num_tokens=num_tokens, tensor_parallel_size=tensor_parallel_size)
    plain_layers = _boundary(model, fmt.boundary_layers)
    low, high = fmt.bounds()

    def total(stored: CacheFormat) -> int:
        held = 0
        for i, layer in enumerate(model.layers):
            for behaviour in layer:
                live = behaviour.live_tokens(num_tokens)
                if live and not isinstance(behaviour, FullAttention):
                    msg = Message(
                        "kv_cache_dtype={name} is for heads, not for {kind}",
                        name=fmt.name,
                        kind=behaviour.kind,
                    )
                    raise UnsupportedError(msg)
                if live and isinstance(behaviour, FullAttention):
                    heads = heads_per_rank(behaviour.num_kv_heads, tensor_parallel_size)
                    used = None if i in plain_layers else stored
                    held += heads * _head_bytes(behaviour, used, model.dtype, live)
        return held

    source = fmt.source if fmt.verified else f"{fmt.source}; unverified"
    return Interval(total(low), total(fmt), total(high), source)


def _boundary(model: ModelSpec, count: int) -> frozenset[int]:
    """The first and last attention layers that stay plain; none in a hybrid."""
    if any(isinstance(b, RecurrentState) for layer in model.layers for b in layer):
        return frozenset()
    attention = [i for i, layer in enumerate(model.layers) if layer]
    return frozenset(attention[:count] + attention[len(attention) - count :])


def _head_bytes(b: FullAttention, fmt: CacheFormat | None, dtype: DType, live: int) -> int:
    """Bytes of one head's live tokens; without a format in the model's own."""
    key, value = b.head_dim, b.value_head_dim
    plain_key, plain_value = dtype.nbytes(key), dtype.nbytes(value)
    if fmt is None:
        return live * (plain_key + plain_value)
    if not fmt.residual_tokens:
        return live * fmt.head_bytes(key, value)
    new_keys = live % fmt.residual_tokens
    new_values = min(live, fmt.residual_tokens)
    old_keys, old_values = live - new_keys, live - new_values
    plain = new_keys * plain_key + new_values * plain_value
    return plain + old_keys * fmt.keys.nbytes(key) + old_values * fmt.values.nbytes(value)
