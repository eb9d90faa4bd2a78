"""transformers' layout: what its cache classes hold of a sequence, live or pinned in storage."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from kvsim.dtypes import DType
from kvsim.engines.layout import LayerBytes, SequenceBytes
from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.attention import (
    CacheBehaviour,
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    PromptAndWindow,
    SharedCache,
    SlidingWindow,
    heads_per_rank,
)
from kvsim.specs.engine import EngineName
from kvsim.specs.latent import (
    CompressedAttention,
    Indexer,
    LatentAttention,
    SlidingLatentAttention,
)
from kvsim.specs.model import ModelSpec
from kvsim.specs.state import RecurrentState
from kvsim.specs.transformers import (
    NEWEST_TRANSFORMERS,
    CacheImplementation,
    Transformers,
)
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that one layer's behaviour holds: what grows, and what is fixed."""

    kv_bytes: int
    state_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Length:
    """Cached tokens, and how many of them came by decoding."""

    tokens: int
    decoded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformersLayout:
    """One model's cache in transformers, on one tensor-parallel rank.

    Source:
        transformers `DynamicCache`, `StaticCache` and `QuantizedCache`, cache_utils.py, 5.23.0.
    """

    model: ModelSpec
    settings: Transformers
    dtype: DType  # the run's: keys, values and convolution states follow it
    tensor_parallel_size: int = 1
    engine: EngineName = EngineName.TRANSFORMERS
    engine_version: str | None = NEWEST_TRANSFORMERS

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What a step needs beside the cache."""
        return ("copies that growing the cache makes for the length of a step",)

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one sequence of `num_tokens` holds after its prefill and its decode steps.

        Raises:
            SpecError: for more decoded than cached tokens, or more than a static cache allocates.
            UnsupportedError: for a layer that the cache class refuses.
        """
        length = self._length(num_tokens)
        layers = []
        for group in self.model.layer_groups:
            held = [self._held(b, length) for b in group.layer]
            kv, state = sum(h.kv_bytes for h in held), sum(h.state_bytes for h in held)
            layers.append(
                LayerBytes(group.kind, group.count, group.count * kv, group.count * state)
            )
        return SequenceBytes(tuple(layers), self._marginal(length))

    def _length(self, num_tokens: int) -> Length:
        decoded, limit = self.settings.num_decoded_tokens, self.settings.max_cache_len
        if decoded is None:
            decoded = min(1, num_tokens - 1)
        if decoded >= num_tokens:
            msg = f"num_decoded_tokens={decoded} must be < num_tokens={num_tokens}"
            raise SpecError(msg)
        if self._is(CacheImplementation.STATIC):
            if limit is None:
                msg = "max_cache_len must be given: a static cache allocates it at once"
                raise SpecError(msg)
            if num_tokens > limit:
                msg = f"num_tokens={num_tokens} must be <= max_cache_len={limit}"
                raise SpecError(msg)
        return Length(num_tokens, decoded)

    def _marginal(self, length: Length) -> int:
        """Mean bytes that the next decoded tokens add; over one residual where it is quantised."""
        if self._is(CacheImplementation.STATIC):
            return 0
        steps = self.settings.residual_length if self._is(CacheImplementation.QUANTIZED) else 1
        now = Length(length.tokens, max(1, length.decoded))  # prefill views are gone by then
        later = Length(now.tokens + steps, now.decoded + steps)
        added = sum(
            group.count * (self._held(b, later).kv_bytes - self._held(b, now).kv_bytes)
            for group in self.model.layer_groups
            for b in group.layer
        )
        return ceil_div(added, steps)

    def _is(self, implementation: CacheImplementation) -> bool:
        return self.settings.cache_implementation is implementation

    def _held(self, behaviour: CacheBehaviour, length: Length) -> Held:
        if not self.model.transformers.caches or isinstance(behaviour, SharedCache):
            return Held(0)
        if self._is(CacheImplementation.QUANTIZED) and type(behaviour) is not FullAttention:
            msg = f"{behaviour.kind}: a quantized cache takes full attention only"
            raise UnsupportedError(msg)
        for kind, count in self._kinds.items():
            if isinstance(behaviour, kind):
                return count(self, behaviour, length)
        msg = f"{behaviour.kind}: its bytes in transformers are not known"
        raise UnsupportedError(msg)

    def _full(self, b: FullAttention, length: Length) -> Held:
        if self._is(CacheImplementation.QUANTIZED):
            return self._quantized(b, length)
        if self.model.transformers.caches_hidden_states:
            return Held((length.tokens + 1) * self.dtype.nbytes(self.model.hidden_size))
        return Held(self._grown(length) * self._token_bytes(b))

    def _sliding(self, b: SlidingWindow, length: Length) -> Held:
        if self.model.transformers.ignores_window:
            return self._full(b, length)
        return Held(self._windowed(b.sliding_window, length) * self._token_bytes(b))

    def _prompt_and_window(self, b: PromptAndWindow, length: Length) -> Held:
        """The prompt, and the window over what was decoded."""
        if self._is(CacheImplementation.STATIC):
            return self._full(b, length)
        window = b.sliding_window - 1 if self.settings.live_only else b.sliding_window
        kept = length.tokens - length.decoded + min(length.decoded, window)
        return Held(kept * self._token_bytes(b))

    def _chunked(self, b: ChunkedAttention, length: Length) -> Held:
        return Held(self._windowed(b.attention_chunk_size, length) * self._token_bytes(b))

    def _cross(self, b: CrossAttention, length: Length) -> Held:
        return Held(b.live_tokens(length.tokens) * self._token_bytes(b))

    def _latent(self, b: LatentAttention, length: Length) -> Held:
        return Held(self._grown(length) * b.token_bytes(self.dtype))

    def _sliding_latent(self, b: SlidingLatentAttention, length: Length) -> Held:
        return Held(self._windowed(b.sliding_window, length) * b.token_bytes(self.dtype))

    def _indexer(self, b: Indexer, length: Length) -> Held:
        traits = self.model.transformers
        dtype = traits.index_dtype or self.dtype
        if b.overlaps:
            return self._compressed_entries(b, b.index_head_dim, length)
        width = dtype.nbytes(traits.index_elems or b.index_head_dim)
        return Held(self._grown(length) * width)

    def _compressed(self, b: CompressedAttention, length: Length) -> Held:
        return self._compressed_entries(b, b.head_dim, length)

    def _state(self, b: RecurrentState, length: Length) -> Held:  # noqa: ARG002
        if self.model.transformers.states_in_module:
            return Held(0)
        tp = self.tensor_parallel_size
        columns = b.conv_kernel - 1
        conv = b.conv_elems(tp) // columns * b.conv_kernel if columns else 0
        conv_bytes = (self.model.transformers.conv_dtype or self.dtype).nbytes(conv)
        state = b.state_format(self.dtype).nbytes(b.state_elems // tp)
        return Held(0, conv_bytes + state)

    def _grown(self, length: Length) -> int:
        """Tokens of a layer that keeps them all."""
        limit = self.settings.max_cache_len
        return limit if limit and self._is(CacheImplementation.STATIC) else length.tokens

    def _windowed(self, window: int, length: Length) -> int:
        """Tokens of a window; live, it lacks the current one, whose slot the storage has.

        A prefill's view pins the whole prompt until the next step.
        """
        limit = self.settings.max_cache_len
        if limit and self._is(CacheImplementation.STATIC):
            return min(window, limit)
        if self.settings.live_only:
            return min(length.tokens, window - 1)
        return min(length.tokens, window) if length.decoded else length.tokens

    def _token_bytes(self, b: FullAttention) -> int:
        return self._cached_heads(b) * self.dtype.nbytes(b.head_dim + b.value_head_dim)

    def _cached_heads(self, b: FullAttention) -> int:
        """Heads that a rank caches: some models repeat keys for every query head before that."""
        repeats = self.model.transformers.repeats_kv_heads
        heads = b.num_attention_heads if repeats else b.num_kv_heads
        return heads_per_rank(heads, self.tensor_parallel_size)

    def _compressed_entries(
        self, b: CompressedAttention | Indexer, width: int, length: Length
    ) -> Held:
        """Entries, tokens that wait for theirs, and the last window where windows overlap."""
        if self._is(CacheImplementation.STATIC):
            msg = f"{b.kind}: a static cache does not take it"
            raise UnsupportedError(msg)
        entries, waiting = divmod(length.tokens, b.compress_rate)
        if waiting and not length.decoded and not self.settings.live_only:
            waiting = length.tokens  # a view of the whole prompt's projection
        overlap = b.compress_rate if b.overlaps and entries else 0
        series = 2 if b.overlaps else 1
        state = 2 * (waiting * series + overlap)  # projection and gate
        return Held(entries * self.dtype.nbytes(width), state * self.dtype.nbytes(width))

    def _quantized(self, b: FullAttention, length: Length) -> Held:
        """The prompt and every full residual of decoded tokens quantised, the rest as they are."""
        settings = self.settings
        heads = self._cached_heads(b)
        kept = length.decoded % settings.residual_length
        packed = 0
        for head_dim in (b.head_dim, b.value_head_dim):
            values = (length.tokens - kept) * heads * head_dim
            if values % settings.q_group_size:
                msg = f"q_group_size={settings.q_group_size} must divide the {values} cached values"
                raise SpecError(msg)
            scales = values // settings.q_group_size
            packed += ceil_div(values * settings.nbits, 8) + 2 * self.dtype.nbytes(scales)
        return Held(packed + kept * self._token_bytes(b))

    _kinds: ClassVar[dict[type, Callable[..., Held]]] = {  # subclasses before their base
        PromptAndWindow: _prompt_and_window,
        SlidingWindow: _sliding,
        ChunkedAttention: _chunked,
        CrossAttention: _cross,
        FullAttention: _full,
        SlidingLatentAttention: _sliding_latent,
        LatentAttention: _latent,
        Indexer: _indexer,
        CompressedAttention: _compressed,
        RecurrentState: _state,
    }
