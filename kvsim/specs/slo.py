"""Slo: the latencies that must be kept, and for how many of the requests."""

from collections.abc import Mapping
from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.specs.option import option

PERCENTILES = (50, 90, 99)
"""Percentiles that a simulation reports."""

GOALS = ("ttft_s", "tpot_s", "e2e_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits on latencies; None where there is none. At least one must be given.

    `percentile` of the requests must be within each limit: 99 lets one of a hundred be slower.
    """

    ttft_s: float | None = option(None, "longest time to first token, seconds")
    tpot_s: float | None = option(None, "longest mean time per later token, seconds")
    e2e_s: float | None = option(None, "longest time to last token, seconds")
    percentile: int = option(99, "percent of the requests that must keep each limit: 50, 90 or 99")

    def __post_init__(self) -> None:
        if self.percentile not in PERCENTILES:
            msg = f"slo_percentile={self.percentile} must be one of 50, 90, 99"
            raise SpecError(msg)
        if not self.limits:
            msg = "slo must name at least one limit: ttft_s, tpot_s or e2e_s"
            raise SpecError(msg)
        for name, limit in self.limits.items():
            if not 0 < limit < float("inf"):
                msg = f"slo_{name}={limit:g} must be > 0"
                raise SpecError(msg)

    @property
    def limits(self) -> Mapping[str, float]:
        """The limits that there are, by the latency's name."""
        named = {name: getattr(self, name) for name in GOALS}
        return {name: limit for name, limit in named.items() if limit is not None}
