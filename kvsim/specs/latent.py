"""Latent and compressed attention, and the indexer: whole on every tensor-parallel rank."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from kvsim.dtypes import INDEX_FP8, DType
from kvsim.errors import SpecError
from kvsim.specs.attention import capped_sum, check_positive
from kvsim.units import at_most


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """MLA: one latent and one shared rotary key per token, whole on every tensor-parallel rank.

    Source:
        DeepSeek-V2, arXiv 2405.04434, section 2.1; the cache holds `kv_lora_rank` +
        `qk_rope_head_dim` elements per token whatever the head counts say.
    """

    kind: ClassVar[str] = "latent attention"

    num_attention_heads: int
    kv_lora_rank: int
    qk_rope_head_dim: int
    index_topk: int | None = None  # tokens that an indexer picks for each query; None: all

    def __post_init__(self) -> None:
        check_positive(num_attention_heads=self.num_attention_heads, kv_lora_rank=self.kv_lora_rank)
        if self.qk_rope_head_dim < 0:
            msg = f"qk_rope_head_dim={self.qk_rope_head_dim} must be >= 0"
            raise SpecError(msg)

    def live_tokens(self, num_tokens: int) -> int:
        """Every token."""
        return num_tokens

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """The latent and the rotary key; not divided by the ranks."""
        return dtype.nbytes(self.kv_lora_rank + self.qk_rope_head_dim)

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None."""
        return 0

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """Latent and rotary key together, per token."""
        width = self.token_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        elems = f"{self.kv_lora_rank} latent + {self.qk_rope_head_dim} rotary elements"
        return f"({elems} = {width} bytes) x n"

    def attended_tokens(self, start: int, stop: int) -> int:
        """Itself and every token before it, or the indexer's pick of them."""
        return capped_sum(start, stop, self.index_topk)

    def pair_flops(self) -> int:
        """Scores over latent and rotary key, values over the latent (absorbed projections)."""
        return 2 * self.num_attention_heads * (2 * self.kv_lora_rank + self.qk_rope_head_dim)

    def state_flops(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidingLatentAttention(LatentAttention):
    """Latent attention that looks back over `sliding_window` tokens, the current one included."""

    kind: ClassVar[str] = "sliding latent attention"

    sliding_window: int

    def __post_init__(self) -> None:
        LatentAttention.__post_init__(self)
        check_positive(sliding_window=self.sliding_window)

    def live_tokens(self, num_tokens: int) -> int:
        """The last `sliding_window` tokens."""
        return at_most(num_tokens, self.sliding_window)

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """The window caps the tokens."""
        text = LatentAttention.formula(self, dtype, tensor_parallel_size=tensor_parallel_size)
        return f"{text.removesuffix('n')}min(n, {self.sliding_window})"

    def attended_tokens(self, start: int, stop: int) -> int:
        """The window."""
        return capped_sum(start, stop, self.sliding_window)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedAttention:
    """One entry for every `compress_rate` tokens, key and value in one, beside a window layer.

    Tokens that wait for their entry are kept as a projection and a gate; overlapping windows
    also keep those of the last full window.

    Source:
        DeepSeek-V4: transformers `DeepseekV4HCACache` and `DeepseekV4CSACache`,
        models/deepseek_v4/modeling_deepseek_v4.py, 5.23.0.
    """

    kind: ClassVar[str] = "compressed attention"

    num_attention_heads: int
    head_dim: int
    compress_rate: int
    overlaps: bool = False  # each entry also draws on the window before its own
    index_topk: int | None = None  # entries that an indexer picks for each query; None: all

    def __post_init__(self) -> None:
        check_positive(
            num_attention_heads=self.num_attention_heads,
            head_dim=self.head_dim,
            compress_rate=self.compress_rate,
        )

    def live_tokens(self, num_tokens: int) -> int:
        """Entries: one for every full window."""
        return num_tokens // self.compress_rate

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """One entry; key and value are the same values."""
        return dtype.nbytes(self.head_dim)

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """Room for the tokens that wait for their entry, and for the last window if it overlaps."""
        return compressor_bytes(self, self.head_dim, dtype)

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """Entries, and the compressor's fixed memory."""
        width = self.token_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        state = self.state_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        entries = f"({self.head_dim} elements = {width} bytes) x floor(n / {self.compress_rate})"
        return f"{entries} + {state} compressor bytes"

    def attended_tokens(self, start: int, stop: int) -> int:
        """Every entry before it, or the indexer's pick of them."""
        return _entries_sum(start, stop, self.compress_rate, self.index_topk)

    def pair_flops(self) -> int:
        """A multiply and an add per element for the score, the same for the value."""
        return 4 * self.num_attention_heads * self.head_dim

    def state_flops(self) -> int:
        """Weighing a token into its entry: a multiply and an add per element of both series."""
        return 2 * self.head_dim * (2 if self.overlaps else 1)


class Compressor(Protocol):
    """What the fixed memory of a compressor depends on."""

    @property
    def compress_rate(self) -> int:
        """Tokens per entry."""
        ...

    @property
    def overlaps(self) -> bool:
        """Whether each entry draws on the window before its own."""
        ...


def compressor_bytes(compressor: Compressor, width: int, dtype: DType) -> int:
    """Most bytes of waiting tokens (projection and gate), and of the last window's.

    Example:
        >>> from kvsim.dtypes import BF16
        >>> c = CompressedAttention(num_attention_heads=64, head_dim=512, compress_rate=128)
        >>> compressor_bytes(c, 512, BF16) == 2 * 128 * 512 * 2
        True
    """
    series = 2 if compressor.overlaps else 1
    waiting = compressor.compress_rate * series
    last_window = compressor.compress_rate if compressor.overlaps else 0
    return 2 * (waiting + last_window) * dtype.nbytes(width)


def _entries_sum(start: int, stop: int, rate: int, cap: int | None) -> int:
    """The sum of min((i + 1) // rate, cap) for i from start to stop - 1."""
    return _entries_before(stop, rate, cap) - _entries_before(start, rate, cap)


def _entries_before(position: int, rate: int, cap: int | None) -> int:
    full, rest = divmod(position + 1, rate)  # tokens 1 .. position, and their entries
    if cap is None or full <= cap:
        return rate * (full - 1) * full // 2 + full * rest
    grown = rate * (cap - 1) * cap // 2
    return grown + cap * (position + 1 - cap * rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexer:
    """DSA's lightning indexer: one small key per token, replicated on every rank.

    Engines store it in fp8 with a float32 scale per 128 values whatever the cache's format.

    Source:
        DeepSeek-V3.2, arXiv 2512.02556; vLLM `DeepseekV32IndexerCache`, 132 bytes for 128 values.
    """

    kind: ClassVar[str] = "indexer keys"

    num_index_heads: int
    index_head_dim: int
    compress_rate: int = 1  # tokens per key; above 1 the keys are compressed, windows overlapping

    def __post_init__(self) -> None:
        check_positive(
            num_index_heads=self.num_index_heads,
            index_head_dim=self.index_head_dim,
            compress_rate=self.compress_rate,
        )

    @property
    def overlaps(self) -> bool:
        """Compressed keys draw on the window before their own."""
        return self.compress_rate > 1

    def live_tokens(self, num_tokens: int) -> int:
        """Every token, or every full window of them."""
        return num_tokens // self.compress_rate

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """The key in its own format, scale included."""
        return INDEX_FP8.nbytes(self.index_head_dim)

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None, or the compressor's fixed memory in the model's format."""
        if not self.overlaps:
            return 0
        return compressor_bytes(self, self.index_head_dim, dtype)

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """The key in its own format, per token."""
        width = self.token_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        keys = "n" if self.compress_rate == 1 else f"floor(n / {self.compress_rate})"
        text = f"({self.index_head_dim} fp8 values with scales = {width} bytes) x {keys}"
        state = self.state_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        return f"{text} + {state} compressor bytes" if state else text

    def attended_tokens(self, start: int, stop: int) -> int:
        """Every key before it, its own included."""
        return _entries_sum(start, stop, self.compress_rate, None)

    def pair_flops(self) -> int:
        """One dot product per index head."""
        return 2 * self.num_index_heads * self.index_head_dim

    def state_flops(self) -> int:
        """None."""
        return 0
