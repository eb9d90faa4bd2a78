"""What reserving memory loses against paging it: io, sim and planner wired together."""

from numpy.random import PCG64, Generator

from kvsim.errors import SpecError
from kvsim.io.lengths import paging_study
from kvsim.planner.paging import Paging
from kvsim.planner.paging import paging as draw_paging
from kvsim.planner.waste import DEFAULT_SEQUENCES, WasteReport, waste_setting
from kvsim.planner.waste import waste as measure_waste
from kvsim.planner.waste_study import WasteStudy
from kvsim.planner.waste_study import waste_study as run_study
from kvsim.sim.block_map import MOST_FRAMES
from kvsim.sim.contiguous import Reservation
from kvsim.specs.paging_study import EVERY_SECOND, BatchTime
from kvsim.specs.workload import Workload


def waste(
    workload: Workload,
    *,
    num_slots: int | None = None,
    max_model_len: int | None = None,
    block_size: int = 16,
    batch_time: BatchTime | None = None,
) -> WasteReport:
    """Where a pool goes under static, Orca's and paged allocation, and what rate each sustains.

    Args:
        workload: requests in order of arrival.
        num_slots: tokens that the pool holds; None means eight sequences of the longest length.
        max_model_len: what a static cache reserves; None means the next power of two.
        block_size: tokens per block where paging is used.
        batch_time: seconds of a step; None means what the PagedAttention paper's figures imply.

    Raises:
        SpecError: for an impossible setting, or a request that a method could never serve.

    Example:
        >>> from kvsim.specs.workload import Request
        >>> requests = (Request(num_prompt_tokens=100, num_output_tokens=100),) * 9
        >>> report = waste(Workload(requests=requests), num_slots=512)
        >>> [(m.method, round(m.batch, 1)) for m in report.methods][1::3]
        [('orca-max', 2.0), ('paged', 2.9)]
    """
    setting = waste_setting(
        workload,
        batch_time or paging_study().setting.batch_time,
        num_slots=num_slots,
        max_model_len=max_model_len,
        block_size=block_size,
    )
    return measure_waste(workload, setting)


def paging(
    workload: Workload,
    *,
    reservation: str = Reservation.MAX,
    num_slots: int | None = None,
    num_sequences: int = DEFAULT_SEQUENCES,
    max_model_len: int | None = None,
    block_size: int = 16,
    batch_time: BatchTime | None = None,
    token_bytes: int | None = None,
    most_frames: int = MOST_FRAMES,
) -> Paging:
    """A pool in blocks and the same memory in reservations, frame by frame over one workload.

    Args:
        workload: requests in order of arrival.
        reservation: what the contiguous pool reserves: static, orca-max, orca-pow2, orca-oracle.
        num_slots: tokens that each pool holds; None means `num_sequences` of the longest length.
        num_sequences: sequences of the longest length that each pool holds.
        max_model_len: the longest length; None means the next power of two.
        block_size: tokens per block.
        batch_time: seconds of a step; None means a second each, so that times count steps.
        token_bytes: bytes that a model keeps of a token, for sizes beside the slots.
        most_frames: a longer run is sampled evenly, and what happened between is summed.

    Raises:
        SpecError: for an unknown reservation, a pool of more blocks than are drawn, or a request
            that could never be served.

    Example:
        >>> from kvsim.specs.workload import Request
        >>> requests = (Request(num_prompt_tokens=100, num_output_tokens=100),) * 4
        >>> drawn = paging(Workload(requests=requests), num_slots=512)
        >>> drawn.num_preemptions, len(drawn.contiguous.frames[0].held), drawn.num_left
        (2, 2, 2)
    """
    if reservation not in list(Reservation):
        msg = f"reservation={reservation[:40]} must be one of {', '.join(Reservation)}"
        raise SpecError(msg)
    setting = waste_setting(
        workload,
        batch_time or EVERY_SECOND,
        num_slots=num_slots,
        num_sequences=num_sequences,
        max_model_len=max_model_len,
        block_size=block_size,
    )
    return draw_paging(
        workload,
        setting,
        reservation=Reservation(reservation),
        token_bytes=token_bytes,
        most_frames=most_frames,
    )


def waste_study(*, seed: int = 0, num_requests: int = 3000) -> WasteStudy:
    """The PagedAttention paper's figures on waste and batch size, published and simulated.

    Args:
        seed: of lengths and arrivals.
        num_requests: of each of its workloads.
    """
    return run_study(paging_study(), Generator(PCG64(seed)), num_requests=num_requests)
