"""What was measured or published about caches, for those who learn."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedAnswer:
    """Seconds of one greedy answer, with its cache or without."""

    uses_cache: bool
    num_prompt_tokens: int
    num_output_tokens: int
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatLoss:
    """What storing keys and values in a format loses, against the model's own format."""

    name: str
    kl_divergence_nats: float
    top1_agreement: float  # share of positions where the likeliest token stays the same
    repeated_token_accuracy: float
    saved: float  # share of the cache, scales counted


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadScores:
    """Mean scores of one model with all key-value heads, with some, and with one."""

    source: str
    mha: float
    mqa: float
    gqa: float
    gqa_kv_heads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """Records of `python -m validation live`, and published figures, each with its source.

    The exponents are those of seconds over tokens of an answer.
    """

    answers_source: str
    answers_model: str
    answers: tuple[TimedAnswer, ...]
    identical_tokens: bool
    cached_exponent: float
    uncached_exponent: float
    formats_source: str
    formats_model: str
    formats: tuple[FormatLoss, ...]
    heads: HeadScores
    characters_per_token: int
    characters_source: str
