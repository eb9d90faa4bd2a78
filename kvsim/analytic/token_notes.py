"""One token: what its text takes, what a model keeps of it, and what it computes and forgets."""

from dataclasses import dataclass

from kvsim.analytic.variants import attention_heads
from kvsim.dtypes import DType
from kvsim.engines.ideal import IdealLayout
from kvsim.specs.attention import CrossAttention, FullAttention, check_positive
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteStep:
    """The step in which a sentence's `num_tokens`-th token is the newest: what it computes.

    With a cache that token alone is computed and those before are looked up; without, all are.
    `kept_bytes` is the cache after it, in the ideal layout.
    """

    num_tokens: int
    num_looked_up: int
    total_cached: int  # tokens computed so far, with a cache
    total_uncached: int  # the same without one
    kept_bytes: int


def note_steps(model: ModelSpec, *, kv_dtype: DType, num_steps: int) -> tuple[NoteStep, ...]:
    """The first steps of a sentence that starts with one token.

    Raises:
        SpecError: for less than one step.
    """
    check_positive(num_steps=num_steps)
    layout = IdealLayout(model=model, kv_dtype=kv_dtype, dtype=model.dtype)
    return tuple(
        NoteStep(
            num_tokens=n,
            num_looked_up=n - 1,
            total_cached=n,
            total_uncached=n * (n + 1) // 2,
            kept_bytes=layout.sequence(n).total_bytes,
        )
        for n in range(1, num_steps + 1)
    )


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
