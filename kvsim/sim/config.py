"""SchedulerConfig: the engine's settings that decide what a step computes."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option


class Policy(StrEnum):
    """Who is served first, and who gives way."""

    FCFS = "fcfs"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerConfig:
    """vLLM's scheduler settings as resolved, under its own names; the defaults are its own.

    Source:
        vLLM `SchedulerConfig` and `CacheConfig`, vllm/config/, 0.32.0.
    """

    max_model_len: int = option(2048, "longest prompt plus output, tokens")
    max_num_seqs: int = option(128, "most requests in one step")
    max_num_batched_tokens: int = option(2048, "most tokens in one step")
    max_num_active_seqs: int | None = option(None, "most requests running; None: max_num_seqs")
    long_prefill_token_threshold: int = option(0, "most tokens of one prompt in a step; 0: any")
    long_prefill_token_threshold_adaptive: bool = option(False, "raise it to a fair share")
    enable_chunked_prefill: bool = option(True, "compute a prompt in pieces")
    scheduler_reserve_full_isl: bool = option(True, "admit only if the whole prompt has room")
    watermark: float = option(0.0, "share of blocks kept free when admitting")
    policy: Policy = option(Policy.FCFS, "who is served first")
    async_scheduling: bool = option(False, "schedule a step before the last is settled")
    enable_prefix_caching: bool = option(True, "share blocks of equal prefixes")
    prefix_cache_retention_interval: int | None = option(
        0, "tokens between states and windows that stay cached; 0: prompt ends, None: all"
    )
    num_speculative_tokens: int = option(0, "tokens drafted per step")
    num_lookahead_tokens: int | None = option(None, "slots for drafts; None: one per draft")
    acceptance_rate: float = option(0.0, "chance that a draft is accepted, if those before were")

    def __post_init__(self) -> None:
        check_positive(
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
        )
        if self.max_num_active_seqs is not None:
            check_positive(max_num_active_seqs=self.max_num_active_seqs)
            self._check_range("max_num_active_seqs", self.max_num_active_seqs, self.max_num_seqs)
        for name in ("long_prefill_token_threshold", "num_speculative_tokens"):
            self._check_range(name, getattr(self, name), None)
        for name in ("num_lookahead_tokens", "prefix_cache_retention_interval"):
            self._check_range(name, getattr(self, name) or 0, None)
        self._check_range("watermark", self.watermark, None)
        self._check_range("acceptance_rate", self.acceptance_rate, 1)
        if self.policy not in list(Policy):
            msg = f"policy={self.policy!r} must be one of {', '.join(Policy)}"
            raise SpecError(msg)
        object.__setattr__(self, "policy", Policy(self.policy))

    def _check_range(self, name: str, value: float, most: float | None) -> None:
        if value < 0 or (most is not None and value > most):
            msg = f"{name}={value:g} must be " + (">= 0" if most is None else f"in [0, {most:g}]")
            raise SpecError(msg)

    @property
    def lookahead_tokens(self) -> int:
        """Slots that a request gets beyond the tokens it computes."""
        if self.num_lookahead_tokens is None:
            return self.num_speculative_tokens
        return self.num_lookahead_tokens

    @property
    def active_seqs(self) -> int:
        """Most requests that run at once."""
        return self.max_num_active_seqs or self.max_num_seqs
