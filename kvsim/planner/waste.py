"""Where a pool of slots goes, method by method, and what rate each method sustains."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from kvsim.planner.waste_runs import METHODS, PAGED, PAGED_CACHED, serve
from kvsim.sim.contiguous import Reservation
from kvsim.specs.paging_study import BatchTime, WasteSetting
from kvsim.specs.workload import Workload

DEFAULT_SEQUENCES = 8
"""Sequences of the longest length that the pool holds where its size is not stated."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodWaste:
    """Shares of the pool over time, which add up to 1, and what they are worth.

    `external` is memory that nobody can use while someone waits, and what rounding adds to a
    reservation; `free` is unused while nobody waits. `batch` is the mean number of running
    requests, `sustained_per_s` the requests per second that a full queue is served at: no
    higher rate can be kept up.

    Source:
        Kwon et al., PagedAttention, SOSP 2023, figure 2, which defines the parts.
    """

    method: str
    used: float
    reserved: float
    internal: float
    external: float
    free: float
    batch: float
    preemptions: int
    sustained_per_s: float | None

    @property
    def used_of_claimed(self) -> float:
        """Used share of what is not free: of all that the demand claimed."""
        return self.used / (1.0 - self.free)

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class WasteReport:
    """One workload under every method."""

    workload: str
    num_requests: int
    setting: WasteSetting
    methods: tuple[MethodWaste, ...]

    @property
    def paged_over_oracle(self) -> float | None:
        """Sustained rate of paging over that of reserving what is known to be needed."""
        rate = {method.method: method.sustained_per_s for method in self.methods}
        paged, oracle = rate.get(PAGED), rate.get(Reservation.ORACLE)
        return paged / oracle if paged and oracle else None

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "workload": self.workload,
            "num_requests": self.num_requests,
            "setting": asdict(self.setting),
            "methods": [method.as_dict() for method in self.methods],
            "paged_over_oracle": self.paged_over_oracle,
        }


def waste(
    workload: Workload,
    setting: WasteSetting,
    *,
    methods: Sequence[str] = METHODS,
    warm_up_share: float = 0.0,
    with_sustained: bool = True,
) -> WasteReport:
    """Where the pool goes under each method, from its first request to the last one's start.

    Args:
        workload: requests in order of arrival; here nobody waits for an answer before asking: all
            methods get the same arrivals. What prompts share counts with a prefix cache alone.
        setting: the pool and how it is served.
        methods: of METHODS.
        warm_up_share: share of that time that is left out at its start.
        with_sustained: also serve the whole workload from a full queue.

    Raises:
        SpecError: for an unknown method, or a request that a method could never serve.
    """
    asked = replace(workload, requests=tuple(replace(r, after=None) for r in workload))
    with_queue = with_sustained and len(workload) > 1
    return WasteReport(
        workload=workload.source,
        num_requests=len(workload),
        setting=setting,
        methods=tuple(_method(m, asked, setting, warm_up_share, with_queue) for m in methods),
    )


def waste_setting(
    workload: Workload,
    batch_time: BatchTime,
    *,
    num_slots: int | None = None,
    num_sequences: int = DEFAULT_SEQUENCES,
    max_model_len: int | None = None,
    block_size: int,
) -> WasteSetting:
    """A setting for a workload; what is not stated follows from its longest request.

    The longest length is then the next power of two, and the pool holds so many such sequences.
    """
    longest = max(r.num_prompt_tokens + r.num_output_tokens for r in workload)
    length = max_model_len or 1 << (longest - 1).bit_length()
    return WasteSetting(
        num_slots=num_slots or num_sequences * length,
        max_model_len=length,
        block_size=block_size,
        batch_time=batch_time,
    )


def _method(
    method: str,
    workload: Workload,
    setting: WasteSetting,
    warm_up_share: float,
    with_queue: bool,  # noqa: FBT001
) -> MethodWaste:
    if method != PAGED_CACHED:
        plain = tuple(replace(request, prompt=()) for request in workload)
        workload = replace(workload, requests=plain)
    run = serve(method, workload, setting)
    last_s = run.last_start_s
    seen = [s for s in run.slots if warm_up_share * last_s <= s.start_s < last_s] or run.slots
    total_s = sum(s.seconds for s in seen)
    pool = total_s * setting.num_slots
    sustained = None
    if with_queue:
        queue = tuple(replace(request, arrival_s=0.0) for request in workload)
        full = serve(method, replace(workload, requests=queue), setting)
        sustained = full.num_done / full.last_start_s if full.last_start_s else None
    return MethodWaste(
        method=method,
        used=sum(s.seconds * s.used for s in seen) / pool,
        reserved=sum(s.seconds * s.reserved for s in seen) / pool,
        internal=sum(s.seconds * s.internal for s in seen) / pool,
        external=sum(s.seconds * s.external for s in seen) / pool,
        free=sum(s.seconds * s.free for s in seen) / pool,
        batch=sum(s.seconds * s.running for s in seen) / total_s,
        preemptions=run.num_preemptions,
        sustained_per_s=sustained,
    )
