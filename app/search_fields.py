"""Inputs of page Search, their names in a link."""

from dataclasses import dataclass

import kvsim
from app.fields import Field, Kind

DEGREES = ("1", "2", "4", "8")
CACHE_FORMATS = ("auto", "fp8", "int8_per_token_head", "int4_per_token_head", "nvfp4")
WEIGHT_FORMATS = ("none", "fp8", "int8", "awq", "gptq", "mxfp4", "nvfp4")
OPEN_ARRIVALS = (
    kvsim.ArrivalProcess.CONSTANT,
    kvsim.ArrivalProcess.POISSON,
    kvsim.ArrivalProcess.GAMMA,
)
"""Arrivals whose rate can be varied, whatever the answers take."""

MAX_REQUESTS = 500
MAX_CANDIDATES = 64


def priced_options() -> tuple[str, ...]:
    """Devices of the catalogue whose price is known."""
    return tuple(device.name for device in kvsim.catalog_accelerators() if device.price is not None)


def traffic_options() -> tuple[str, ...]:
    """Named workloads that come at a rate of their own."""
    known = kvsim.named_workloads().items()
    return tuple(name for name, traffic in known if traffic.arrivals.process in OPEN_ARRIVALS)


GOAL = (
    Field(name="search_workload", kind=Kind.CHOICE, default="chat", options=traffic_options),
    Field(name="demanded_per_s", kind=Kind.RATE, default=10.0, empty="no_demand"),
    Field(name="goal_ttft_s", kind=Kind.AMOUNT, default=1.0, empty="no_goal", clears=True),
    Field(name="goal_tpot_s", kind=Kind.AMOUNT, default=0.05, empty="no_goal", clears=True),
)
CHOICES = (
    Field(
        name="search_gpus",
        kind=Kind.SOME,
        default=["L40S", "A100-SXM4-80GB", "H100-SXM5-80GB", "H200-SXM-141GB"],
        options=priced_options,
    ),
    Field(name="search_degrees", kind=Kind.SOME, default=["1", "2"], options=lambda: DEGREES),
    Field(name="search_cache", kind=Kind.SOME, default=["auto"], options=lambda: CACHE_FORMATS),
    Field(
        name="search_weights",
        kind=Kind.SOME,
        default=["none", "fp8"],
        options=lambda: WEIGHT_FORMATS,
    ),
)
MORE = (
    Field(name="goal_e2e_s", kind=Kind.AMOUNT, default=None, empty="no_goal"),
    Field(name="goal_share", kind=Kind.SHARE, default=0.99),
    Field(name="search_spare", kind=Kind.COUNT, default=0, least=0, most=100),
    Field(name="search_requests", kind=Kind.COUNT, default=200, step=100, most=MAX_REQUESTS),
    Field(name="search_seed", kind=Kind.COUNT, default=0, least=0),
    Field(name="compute_efficiency", kind=Kind.SHARE, default=None, empty="not_measured"),
    Field(name="bandwidth_efficiency", kind=Kind.SHARE, default=None, empty="not_measured"),
)
SEARCH_FIELDS = (*GOAL, *CHOICES, *MORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """The inputs of this page, in the words of its widgets."""

    search_workload: str
    demanded_per_s: float | None
    goal_ttft_s: float | None
    goal_tpot_s: float | None
    search_gpus: tuple[str, ...]
    search_degrees: tuple[str, ...]
    search_cache: tuple[str, ...]
    search_weights: tuple[str, ...]
    goal_e2e_s: float | None
    goal_share: float
    search_spare: int
    search_requests: int
    search_seed: int
    compute_efficiency: float | None
    bandwidth_efficiency: float | None

    @property
    def num_candidates(self) -> int:
        """Combinations of devices and settings."""
        formats = len(self.search_cache) * len(self.search_weights)
        return len(self.search_gpus) * len(self.search_degrees) * formats
