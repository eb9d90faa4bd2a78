"""A rung of the ladder, and how it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import kvsim

CACHE_FIELDS = (
    *("cache_implementation", "max_cache_len"),
    *("backend", "nbits", "q_group_size", "residual_length"),
)
"""Settings that a record keeps of a cache."""


class Status(StrEnum):
    """How a rung ended."""

    EXACT = "exact"
    WRONG = "wrong"
    SKIPPED = "skipped"
    REFUSED = "refused"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One generation: cache class, prompt, decode steps and sequences."""

    cache: kvsim.Transformers
    num_prompt_tokens: int
    num_decoded_tokens: int
    batch_size: int

    @property
    def name(self) -> str:
        """Short and unique within a ladder."""
        kind = self.cache.cache_implementation
        if kind is kvsim.CacheImplementation.QUANTIZED:
            kind = f"{kind} {self.cache.backend} {self.cache.nbits} bits"
        tokens = f"P{self.num_prompt_tokens} D{self.num_decoded_tokens}"
        return f"{kind} {tokens} x{self.batch_size}"

    def as_dict(self) -> dict[str, Any]:
        """What `Rung.read` reads back."""
        kept = {name: getattr(self.cache, name) for name in CACHE_FIELDS}
        cache = {name: value for name, value in kept.items() if value is not None}
        return {
            "cache": cache,
            "num_prompt_tokens": self.num_prompt_tokens,
            "num_decoded_tokens": self.num_decoded_tokens,
            "batch_size": self.batch_size,
        }

    @classmethod
    def read(cls, case: Mapping[str, Any]) -> "Rung":
        """The rung that a record names."""
        cache = dict(case["cache"])
        cache["cache_implementation"] = kvsim.CacheImplementation(cache["cache_implementation"])
        cache["backend"] = kvsim.QuantizedBackend(cache["backend"])
        return cls(**{**case, "cache": kvsim.Transformers(**cache)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One rung's figures, by name, in bytes or seconds; `reason` says what is not exact."""

    subject: str
    rung: str
    case: dict[str, Any]
    status: Status
    predicted: dict[str, int] = field(default_factory=dict)
    measured: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self) | {"status": str(self.status)}
