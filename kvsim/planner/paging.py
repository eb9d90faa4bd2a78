"""The same requests in blocks and in reservations, frame by frame, and what each way wastes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from kvsim.planner.waste import WasteReport, waste
from kvsim.planner.waste_runs import contiguous_server, paged_engine
from kvsim.sim.block_map import MOST_FRAMES, BlockMap, BlockMapRecorder
from kvsim.sim.contiguous import Reservation
from kvsim.sim.contiguous_map import ContiguousMap, contiguous_map
from kvsim.sim.records import RequestRecord
from kvsim.specs.attention import check_positive
from kvsim.specs.paging_study import WasteSetting
from kvsim.specs.workload import Workload

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PagedRequest:
    """A request as both servers see it, and how often paging took its blocks away."""

    request: int
    arrival_s: float
    num_prompt_tokens: int
    num_output_tokens: int
    num_cached_tokens: int  # of the prompt, found when it first began
    num_preemptions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """A block map beside the contiguous pool at the same times, until paging has answered all."""

    workload: str
    setting: WasteSetting
    reservation: Reservation
    token_bytes: int | None  # that a model keeps of a token; None for no model
    requests: tuple[PagedRequest, ...]
    paged: BlockMap
    contiguous: ContiguousMap
    report: WasteReport

    @property
    def block_bytes(self) -> int | None:
        """Bytes of a block over all layers."""
        return None if self.token_bytes is None else self.setting.block_size * self.token_bytes

    @property
    def pool_bytes(self) -> int | None:
        """Bytes of each pool."""
        return None if self.token_bytes is None else self.setting.num_slots * self.token_bytes

    @property
    def num_preemptions(self) -> int:
        """Times that paging took a running request's blocks away."""
        return sum(request.num_preemptions for request in self.requests)

    @property
    def num_hit_tokens(self) -> int:
        """Tokens that the prefix cache had, resumed requests counted."""
        return sum(frame.events.num_hit_tokens for frame in self.paged.frames)

    @property
    def num_prompt_tokens(self) -> int:
        """Of all requests."""
        return sum(request.num_prompt_tokens for request in self.requests)

    @property
    def num_allocated(self) -> int:
        """Blocks taken, each time counted."""
        return sum(frame.events.num_allocated for frame in self.paged.frames)

    @property
    def num_evicted(self) -> int:
        """Blocks that lost content which could still be found."""
        return sum(frame.events.num_evicted for frame in self.paged.frames)

    @property
    def most_saved_blocks(self) -> int:
        """Blocks that sharing spared in the frame where it spared most."""
        return max(frame.num_saved for frame in self.paged.frames)

    @property
    def busiest_frame(self) -> int:
        """The first frame in which block tables have most entries: there is most to see."""
        entries = [frame.num_references for frame in self.paged.frames]
        return entries.index(max(entries))

    @property
    def num_left(self) -> int:
        """Requests that the contiguous pool has not answered when paging has answered all."""
        return len(self.requests) - self.contiguous.frames[-1].num_finished

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "workload": self.workload,
            "setting": asdict(self.setting),
            "reservation": str(self.reservation),
            "token_bytes": self.token_bytes,
            "block_bytes": self.block_bytes,
            "pool_bytes": self.pool_bytes,
            "requests": [asdict(request) for request in self.requests],
            "num_preemptions": self.num_preemptions,
            "num_hit_tokens": self.num_hit_tokens,
            "num_evicted": self.num_evicted,
            "most_saved_blocks": self.most_saved_blocks,
            "num_left": self.num_left,
            "busiest_frame": self.busiest_frame,
            "paged": self.paged.as_dict(),
            "contiguous": self.contiguous.as_dict(),
            "methods": [method.as_dict() for method in self.report.methods],
        }


def paging(
    workload: Workload,
    setting: WasteSetting,
    *,
    reservation: Reservation = Reservation.MAX,
    token_bytes: int | None = None,
    most_frames: int = MOST_FRAMES,
) -> Paging:
    """Both pools over time, the paged one with prefix caching.

    Args:
        workload: requests in order of arrival; here each asks for one answer and nobody waits for
            one before asking.
        setting: the pool and how it is served.
        reservation: what the contiguous pool reserves.
        token_bytes: that a model keeps of a token.
        most_frames: a longer run is sampled evenly.

    Raises:
        SpecError: for more blocks than are drawn, or a request that could never be served.
    """
    asked = tuple(replace(request, after=None, num_samples=1) for request in workload)
    plain = replace(workload, requests=asked)
    if token_bytes is not None:
        check_positive(token_bytes=token_bytes)
    recorder = BlockMapRecorder(most_frames=most_frames)
    engine = paged_engine(plain, setting, enable_prefix_caching=True, observe=recorder)
    for _ in engine.run():
        pass
    paged = recorder.block_map()
    return Paging(
        workload=workload.source,
        setting=setting,
        reservation=reservation,
        token_bytes=token_bytes,
        requests=_paged(engine.requests),
        paged=paged,
        contiguous=contiguous_map(
            contiguous_server(reservation, plain, setting),
            plain,
            [frame.start_s for frame in paged.frames],
            num_slots=setting.num_slots,
        ),
        report=waste(plain, setting, with_sustained=False),
    )


def _paged(records: Sequence[RequestRecord]) -> tuple[PagedRequest, ...]:
    """What became of the requests, in the workload's order."""
    return tuple(
        PagedRequest(
            request=record.index,
            arrival_s=record.arrival_s,
            num_prompt_tokens=record.num_prompt_tokens,
            num_output_tokens=record.num_output_tokens,
            num_cached_tokens=record.num_cached_tokens,
            num_preemptions=record.num_preemptions,
        )
        for record in sorted(records, key=lambda record: record.index)
    )
