"""Latent attention and its indexer: caches that are whole on every tensor-parallel rank."""

from dataclasses import dataclass
from typing import ClassVar

from kvsim.dtypes import INDEX_FP8, DType
from kvsim.specs.attention import capped_sum, check_positive


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
        check_positive(
            num_attention_heads=self.num_attention_heads,
            kv_lora_rank=self.kv_lora_rank,
            qk_rope_head_dim=self.qk_rope_head_dim,
        )

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
class Indexer:
    """DSA's lightning indexer: one small key per token, replicated on every rank.

    Engines store it in fp8 with a float32 scale per 128 values whatever the cache's format.

    Source:
        DeepSeek-V3.2, arXiv 2512.02556; vLLM `DeepseekV32IndexerCache`, 132 bytes for 128 values.
    """

    kind: ClassVar[str] = "indexer keys"

    num_index_heads: int
    index_head_dim: int

    def __post_init__(self) -> None:
        check_positive(num_index_heads=self.num_index_heads, index_head_dim=self.index_head_dim)

    def live_tokens(self, num_tokens: int) -> int:
        """Every token."""
        return num_tokens

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """The key in its own format, scale included."""
        return INDEX_FP8.nbytes(self.index_head_dim)

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None."""
        return 0

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """The key in its own format, per token."""
        width = self.token_bytes(dtype, tensor_parallel_size=tensor_parallel_size)
        return f"({self.index_head_dim} fp8 values with scales = {width} bytes) x n"

    def attended_tokens(self, start: int, stop: int) -> int:
        """Itself and every token before it."""
        return capped_sum(start, stop)

    def pair_flops(self) -> int:
        """One dot product per index head."""
        return 2 * self.num_index_heads * self.index_head_dim

    def state_flops(self) -> int:
        """None."""
        return 0
