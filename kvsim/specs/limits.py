"""ServiceLimits: how long a request may take to count as served well."""

from dataclasses import dataclass, fields

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Most seconds that a request may take, each None for any; and how many must keep them."""

    slo_ttft_s: float | None = option(None, "most seconds to the first token")
    slo_tpot_s: float | None = option(None, "most seconds per later token, on average")
    slo_itl_s: float | None = option(None, "most seconds between two tokens of a request")
    slo_e2e_s: float | None = option(None, "most seconds to the last token")
    slo_share: float = option(0.99, "share of the requests that must keep the limits")

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not 0 < value < float("inf"):
                msg = Message("{name}={value} must be > 0", name=f.name, value=f"{value:g}")
                raise SpecError(msg)
        if self.slo_share > 1:
            msg = Message(
                "slo_share={slo_share} must be in (0, 1]", slo_share=f"{self.slo_share:g}"
            )
            raise SpecError(msg)

    @property
    def is_open(self) -> bool:
        """Whether nothing is limited."""
        limits = (self.slo_ttft_s, self.slo_tpot_s, self.slo_itl_s, self.slo_e2e_s)
        return all(limit is None for limit in limits)
