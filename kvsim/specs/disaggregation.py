"""Disaggregation: prompts computed by some replicas, answers by others, and the link between."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Disaggregation:
    """A pool of replicas for prompts, one for answers, and what moves caches between them.

    Each replica has one link, all its devices together; a transfer takes both ends of it, one
    after the other. Without a rate, transfers take no time.
    """

    prefill_replicas: int = option(1, "replicas that compute prompts and give the first token")
    decode_replicas: int = option(1, "replicas that compute the rest of the answers")
    transfer_bytes_per_s: float | None = option(
        None, "bytes per second between two replicas; default: transfers are free"
    )
    transfer_latency_s: float = option(0.0, "seconds before a transfer's first byte arrives")

    def __post_init__(self) -> None:
        check_positive(prefill_replicas=self.prefill_replicas, decode_replicas=self.decode_replicas)
        rate = self.transfer_bytes_per_s
        if rate is not None and not rate > 0:
            msg = f"transfer_bytes_per_s={rate:g} must be > 0"
            raise SpecError(msg)
        if not 0 <= self.transfer_latency_s < float("inf"):
            msg = f"transfer_latency_s={self.transfer_latency_s:g} must be >= 0"
            raise SpecError(msg)
