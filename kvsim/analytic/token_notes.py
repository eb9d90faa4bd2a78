"""One token: what its text takes, what a model keeps of it, and what it computes and forgets."""

from dataclasses import dataclass

from kvsim.analytic.variants import attention_heads
from kvsim.dtypes import DType
from kvsim.engines.ideal import IdealLayout
from kvsim.specs.attention import CrossAttention, FullAttention
from kvsim.specs.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenNotes:
    """Bytes of one token over all layers, in the ideal layout.

    `query_bytes` are those of the queries that attention computes, uses in the same step and
    drops; None for a model whose heads its config does not tell.
    """

    vocab_size: int
    id_bits: int
    text_bytes: int  # of English, a byte a character
    kept_bytes: int  # keys and values, or latents, of the first token
    query_bytes: int | None
    num_kv_layers: int
    num_attention_heads: int
    num_kv_heads: int | None

    @property
    def kept_per_text(self) -> float:
        """How many times its text a token's notes are."""
        return self.kept_bytes / self.text_bytes


def token_notes(model: ModelSpec, *, kv_dtype: DType, characters_per_token: int) -> TokenNotes:
    """What one token is as text, as a number, and as notes."""
    heads = attention_heads(model)
    return TokenNotes(
        vocab_size=model.vocab_size,
        id_bits=(model.vocab_size - 1).bit_length(),
        text_bytes=characters_per_token,
        kept_bytes=IdealLayout(model=model, kv_dtype=kv_dtype, dtype=model.dtype)
        .sequence(1)
        .kv_bytes,
        query_bytes=None if heads is None else _query_bytes(model),
        num_kv_layers=model.num_kv_layers,
        num_attention_heads=model.num_attention_heads,
        num_kv_heads=None if heads is None else heads.num_kv_heads,
    )


def _query_bytes(model: ModelSpec) -> int:
    """A query head is as wide as a key head; queries are never in the cache's format."""
    return sum(
        group.count * b.num_attention_heads * model.dtype.nbytes(b.head_dim)
        for group in model.layer_groups
        for b in group.layer
        if isinstance(b, FullAttention) and not isinstance(b, CrossAttention)
    )
