"""Cache behaviours: what one layer keeps of a sequence, one class per way of keeping it.

Every behaviour answers the same questions: how many tokens are live at length n, bytes per
live token, fixed bytes per sequence, and how these shard over tensor-parallel ranks.
"""

# long: one class after another, all answering the same questions

from dataclasses import dataclass
from typing import ClassVar, Protocol

from kvsim.dtypes import DType
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.units import at_most


class CacheBehaviour(Protocol):
    """What every cache behaviour answers; bytes are per layer and per tensor-parallel rank."""

    kind: ClassVar[str]

    def live_tokens(self, num_tokens: int) -> int:
        """Tokens a sequence of `num_tokens` keeps in this layer; arithmetic alone, for arrays."""
        ...

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:
        """Bytes that one live token takes."""
        ...

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:
        """Fixed bytes per sequence, whatever its length; `dtype` is the model's."""
        ...

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """Bytes of one layer at n tokens, in words and this layer's numbers."""
        ...

    def attended_tokens(self, start: int, stop: int) -> int:
        """Tokens that the queries at positions start .. stop - 1 attend to, summed."""
        ...

    def pair_flops(self) -> int:
        """Floating-point operations for one query against one attended token, all heads."""
        ...

    def state_flops(self) -> int:
        """Floating-point operations that one token costs beside its matrix products."""
        ...


def heads_per_rank(num_kv_heads: int, tensor_parallel_size: int) -> int:
    """KV heads that one tensor-parallel rank holds; replicated when ranks outnumber heads.

    Raises:
        SpecError: if neither number divides the other; engines refuse that too.

    Source:
        vLLM `ModelConfig.get_num_kv_heads`, vllm/config/model.py, 0.32.0.

    Example:
        >>> heads_per_rank(8, 2), heads_per_rank(4, 8)
        (4, 1)
    """
    if num_kv_heads % tensor_parallel_size and tensor_parallel_size % num_kv_heads:
        msg = Message(
            "tensor_parallel_size={ranks} must divide num_kv_heads={heads} or be a multiple of it",
            ranks=tensor_parallel_size,
            heads=num_kv_heads,
        )
        raise SpecError(msg)
    return max(1, num_kv_heads // tensor_parallel_size)


def capped_sum(start: int, stop: int, cap: int | None = None) -> int:
    """The sum of min(i + 1, cap) for i from start to stop - 1; no cap where it is None.

    Example:
        >>> capped_sum(0, 4), capped_sum(0, 4, cap=2), capped_sum(3, 4, cap=2)
        (10, 7, 2)
    """
    grows_until = stop if cap is None else min(max(start, cap), stop)
    grown = (grows_until * (grows_until + 1) - start * (start + 1)) // 2
    return grown + (stop - grows_until) * (cap or 0)


def check_positive(**values: int) -> None:
    """SpecError naming the first value that is not a whole number of at least 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            msg = Message(
                "{name}={value} must be a whole number >= 1", name=name, value=f"{value!r}"
            )
            raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FullAttention:
    """Keys and values of every past token stay cached: MHA, GQA and MQA."""

    kind: ClassVar[str] = "full attention"

    num_attention_heads: int
    num_kv_heads: int
    head_dim: int
    v_head_dim: int | None = None  # None: as wide as the keys

    def __post_init__(self) -> None:
        heads, kv_heads = self.num_attention_heads, self.num_kv_heads
        check_positive(
            num_attention_heads=heads,
            num_kv_heads=kv_heads,
            head_dim=self.head_dim,
            v_head_dim=self.value_head_dim,
        )
        if heads % kv_heads:
            msg = Message(
                "num_kv_heads={kv_heads} must divide num_attention_heads={heads}",
                kv_heads=kv_heads,
                heads=heads,
            )
            raise SpecError(msg)

    @property
    def value_head_dim(self) -> int:
        """Elements of one value head."""
        return self.head_dim if self.v_head_dim is None else self.v_head_dim

    def live_tokens(self, num_tokens: int) -> int:
        """Every token."""
        return num_tokens

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:
        """Keys and values of this rank's heads."""
        heads = heads_per_rank(self.num_kv_heads, tensor_parallel_size)
        return heads * (dtype.nbytes(self.head_dim) + dtype.nbytes(self.value_head_dim))

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None: the cache grows with the tokens alone."""
        return 0

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """(keys + values) x heads x tokens."""
        heads = heads_per_rank(self.num_kv_heads, tensor_parallel_size)
        keys, values = dtype.nbytes(self.head_dim), dtype.nbytes(self.value_head_dim)
        return f"{heads} KV heads x ({keys} + {values}) bytes x {self._tokens()}"

    def _tokens(self) -> str:
        """The tokens of the formula."""
        return "n"

    def attended_tokens(self, start: int, stop: int) -> int:
        """Itself and every token before it."""
        return capped_sum(start, stop)

    def pair_flops(self) -> int:
        """A multiply and an add per element for the score, the same for the value."""
        return 2 * self.num_attention_heads * (self.head_dim + self.value_head_dim)

    def state_flops(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingWindow(FullAttention):
    """Full attention that looks back over `sliding_window` tokens, the current one included."""

    kind: ClassVar[str] = "sliding window"

    sliding_window: int

    def __post_init__(self) -> None:
        FullAttention.__post_init__(self)
        check_positive(sliding_window=self.sliding_window)

    def live_tokens(self, num_tokens: int) -> int:
        """The last `sliding_window` tokens."""
        return at_most(num_tokens, self.sliding_window)

    def attended_tokens(self, start: int, stop: int) -> int:
        """The window."""
        return capped_sum(start, stop, self.sliding_window)

    def _tokens(self) -> str:
        """The window caps them."""
        return f"min(n, {self.sliding_window})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAndWindow(SlidingWindow):
    """The whole prompt stays, and a window of `sliding_window` over the tokens that follow it.

    Of a length alone nobody knows how much was prompt: all of it, which is the most it can hold.
    """

    kind: ClassVar[str] = "prompt and window"

    def live_tokens(self, num_tokens: int) -> int:
        """Every token, as if all were prompt."""
        return num_tokens

    def attended_tokens(self, start: int, stop: int) -> int:
        """Itself and every token before it."""
        return capped_sum(start, stop)

    def _tokens(self) -> str:
        """The prompt is kept, what follows slides."""
        return f"(prompt + min(n - prompt, {self.sliding_window}))"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedAttention(FullAttention):
    """Full attention inside chunks of `attention_chunk_size` tokens, none across them."""

    kind: ClassVar[str] = "chunked attention"

    attention_chunk_size: int

    def __post_init__(self) -> None:
        FullAttention.__post_init__(self)
        check_positive(attention_chunk_size=self.attention_chunk_size)

    def live_tokens(self, num_tokens: int) -> int:
        """At most one chunk; between two chunk borders fewer are read, but as many are kept."""
        return at_most(num_tokens, self.attention_chunk_size)

    def attended_tokens(self, start: int, stop: int) -> int:
        """What lies before it in its own chunk."""
        return self._before(stop) - self._before(start)

    def _before(self, position: int) -> int:
        """Tokens attended to by all queries before a position."""
        chunks, rest = divmod(position, self.attention_chunk_size)
        return chunks * capped_sum(0, self.attention_chunk_size) + capped_sum(0, rest)

    def _tokens(self) -> str:
        """The chunk caps them."""
        return f"min(n, {self.attention_chunk_size})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttention(FullAttention):
    """Keys and values of the encoder's output, computed once; they do not grow with decoding."""

    kind: ClassVar[str] = "cross attention"

    num_encoder_tokens: int | None  # after the encoder's subsampling; None: the caller says

    def __post_init__(self) -> None:
        FullAttention.__post_init__(self)
        if self.num_encoder_tokens is not None and self.num_encoder_tokens < 0:
            msg = f"num_encoder_tokens={self.num_encoder_tokens} must be >= 0"
            raise SpecError(msg)

    def live_tokens(self, num_tokens: int) -> int:  # noqa: ARG002
        """The encoder's tokens, whatever the decoder's length; SpecError if nobody said."""
        if self.num_encoder_tokens is None:
            msg = "num_encoder_tokens must be given: cross attention caches the encoder's output"
            raise SpecError(msg)
        return self.num_encoder_tokens

    def attended_tokens(self, start: int, stop: int) -> int:
        """The whole encoder output."""
        return (stop - start) * self.live_tokens(stop)

    def _tokens(self) -> str:
        """Fixed by the encoder."""
        return f"{self.num_encoder_tokens} encoder tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCache:
    """The layer reads an earlier layer's keys and values and stores none of its own."""

    kind: ClassVar[str] = "shared cache"

    attention: CacheBehaviour  # what it computes; the cache belongs to the source layer

    def live_tokens(self, num_tokens: int) -> int:  # noqa: ARG002
        """None of its own."""
        return 0

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None."""
        return 0

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None."""
        return 0

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:  # noqa: ARG002
        """Nothing of its own."""
        return "0 (reads an earlier layer's cache)"

    def attended_tokens(self, start: int, stop: int) -> int:
        """As the attention that it computes."""
        return self.attention.attended_tokens(start, stop)

    def pair_flops(self) -> int:
        """As the attention that it computes over borrowed keys."""
        return self.attention.pair_flops()

    def state_flops(self) -> int:
        """None."""
        return 0
