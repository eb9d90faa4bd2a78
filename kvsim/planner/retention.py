"""What keeping histories between turns takes and saves: a retention window in each tier."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kvsim.engines.vllm_offload import OffloadCapacity, vllm_offload
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.planner.plan import Evaluation
from kvsim.planner.retention_answer import (
    HistoryTransfer,
    RetentionStudy,
    RetentionWindow,
    TierBytes,
)
from kvsim.sim.histories import Histories, histories
from kvsim.sim.simulation import Simulation
from kvsim.specs.hardware import Price
from kvsim.specs.offload import Offload
from kvsim.specs.workload import Request, Workload
from kvsim.units import HOURS_PER_MONTH, GiB

PROBE_BYTES = 2**46
"""A tier large enough to read the size of a chunk from."""

MOST_FILLING = 0.1
"""Longest window, as a share of the workload, whose measured mean is hardly of a filling tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a tier costs; None: not stated, so no cost is given."""

    gpu: Price | None = None  # of an hour of one device
    host_usd_per_gib_month: float | None = None
    disk_usd_per_gib_month: float | None = None

    def __post_init__(self) -> None:
        for name in ("host_usd_per_gib_month", "disk_usd_per_gib_month"):
            usd = getattr(self, name)
            if usd is not None and not 0 <= usd < math.inf:
                msg = f"{name}={usd:g} must be >= 0"
                raise SpecError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionQuestion:
    """Windows of one replica, and what is known of its tiers."""

    evaluation: Evaluation
    workload: Workload
    windows_s: tuple[float, ...]
    tiers: Offload = Offload()  # noqa: RUF009 - frozen
    prices: Prices = Prices()

    def __post_init__(self) -> None:
        if not self.windows_s:
            msg = "window_s must name at least one window"
            raise SpecError(msg)
        for window_s in self.windows_s:
            if not 0 <= window_s < math.inf:
                msg = f"window_s={window_s:g} must be >= 0"
                raise SpecError(msg)
        if self.evaluation.deployment.parallel.data_parallel_size > 1:
            msg = "data_parallel_size must be 1: state the traffic of one replica"
            raise SpecError(msg)


def store_of(evaluation: Evaluation) -> OffloadCapacity:
    """The chunks in which an engine keeps a cache outside its pool; each is a block there.

    Raises:
        UnsupportedError: for a version whose offload is not known.
    """
    layout = evaluation.layout.cache.start(evaluation.budget.kv_cache_bytes.best)
    version = evaluation.resolved.engine_version
    return vllm_offload(layout, size_bytes=PROBE_BYTES, engine_version=version)


def study_retention(
    question: RetentionQuestion, serve: Callable[[Workload], Simulation]
) -> RetentionStudy:
    """What windows cost and save, given runs of the replica.

    A run of the workload says when answers end and how many blocks stay free; one of a mean
    history alone, how long it takes to compute.

    Args:
        question: the windows, and the tiers.
        serve: what the replica does with requests.

    Raises:
        SpecError: if the requests have no rate.
    """
    evaluation, workload = question.evaluation, question.workload
    num_tokens, done = mean_history(workload), serve(workload)
    again = Request(num_prompt_tokens=num_tokens - 1, num_output_tokens=1)  # the last is not cached
    alone = serve(Workload(requests=(again,)))
    store = store_of(evaluation)
    kept = histories(workload, store, ends_s=end_times(workload, done))
    free_chunks = _free_blocks(done)
    windows = tuple(
        _window(question, kept, store, window_s, free_chunks) for window_s in question.windows_s
    )
    seconds = kept.last_s - kept.first_s
    return RetentionStudy(
        evaluation=evaluation,
        workload=workload.source,
        num_requests=len(workload),
        duration_s=seconds,
        turns_per_s=(len(workload) - 1) / seconds,
        bytes_per_turn=kept.chunks_per_turn * store.chunk_bytes,
        gpu_free_bytes=free_chunks * store.chunk_bytes,
        transfer=_transfer(question.tiers, store, num_tokens, alone.requests[0].ttft_s),
        windows=windows,
        step_time=done.step_time,
        is_calibrated=done.is_calibrated,
        notes=_notes(question, kept, done),
    )


def mean_history(workload: Workload) -> int:
    """Tokens of a prompt with its answer, on average."""
    total = sum(r.num_prompt_tokens + r.num_output_tokens for r in workload)
    return round(total / len(workload))


def end_times(workload: Workload, done: Simulation) -> Sequence[float] | None:
    """When each request's last answer was complete; None where requests come as answers do."""
    if any(request.after is not None for request in workload):
        return None
    ends = np.array([request.arrival_s for request in workload])
    np.maximum.at(ends, done.requests.ints("index"), done.requests.floats("finish_s"))
    return [float(end) for end in ends]


def _free_blocks(done: Simulation) -> int:
    """Blocks that no request holds, over the time of the run."""
    held = float((done.steps.seconds * done.steps.ints("num_used_blocks")).sum())
    return int(done.num_gpu_blocks - 1 - held / done.duration_s)


def _window(
    question: RetentionQuestion,
    kept: Histories,
    store: OffloadCapacity,
    window_s: float,
    free_chunks: int,
) -> RetentionWindow:
    steady, held = math.ceil(kept.steady_chunks(window_s)), kept.held(window_s)
    deployment, size = question.evaluation.deployment, store.chunk_bytes
    rooms = (
        free_chunks,
        *(
            None if num_bytes is None else num_bytes // size
            for num_bytes in (deployment.host_memory_bytes, question.tiers.disk_bytes)
        ),
    )
    gpu, host, disk, beyond = split(steady, rooms)
    tiers = TierBytes(gpu=gpu * size, host=host * size, disk=disk * size, beyond=beyond * size)
    return RetentionWindow(
        window_s=window_s,
        idle_s=kept.idle_s(window_s),
        steady_bytes=steady * size,
        mean_bytes=held.mean_chunks * size,
        peak_bytes=held.peak_chunks * size,
        tiers=tiers,
        prompts=kept.prompts.reuse(window_s),
        with_answers=kept.with_answers.reuse(window_s),
        usd_per_month=_cost(question, store, gpu, tiers),
    )


def split(chunks: int, rooms: Sequence[int | None]) -> tuple[int, ...]:
    """What goes to each tier, the nearest first, and what has no place.

    A tier of an unknown size takes all that is left.

    Example:
        >>> split(10, [3, 4, 2]), split(10, [3, None, 2])
        ((3, 4, 2, 1), (3, 7, 0, 0))
    """
    placed = []
    for room in rooms:
        here = chunks if room is None else min(chunks, room)
        placed.append(here)
        chunks -= here
    return (*placed, chunks)


def _cost(
    question: RetentionQuestion, store: OffloadCapacity, gpu_chunks: int, tiers: TierBytes
) -> Mapping[str, tuple[float, float] | None]:
    """A device's share of its price by bytes; other tiers by what the user states."""
    prices, deployment = question.prices, question.evaluation.deployment
    gpu = None
    if prices.gpu is not None:
        share = gpu_chunks * store.block_bytes / deployment.accelerator.total_bytes.best
        hours = share * deployment.parallel.num_ranks * HOURS_PER_MONTH
        gpu = (prices.gpu.low_usd_per_hour * hours, prices.gpu.high_usd_per_hour * hours)

    def stated(usd: float | None, num_bytes: int) -> tuple[float, float] | None:
        return None if usd is None else (usd * num_bytes / GiB, usd * num_bytes / GiB)

    return {
        "gpu": gpu,
        "host": stated(prices.host_usd_per_gib_month, tiers.host),
        "disk": stated(prices.disk_usd_per_gib_month, tiers.disk),
    }


def _transfer(
    tiers: Offload, store: OffloadCapacity, num_tokens: int, recompute_s: float
) -> HistoryTransfer:
    chunks = store.chunks(num_tokens)
    host = disk = None
    if tiers.offload_bytes_per_s is not None:
        host = tiers.offload_latency_s + chunks * store.block_bytes / tiers.offload_bytes_per_s
    if tiers.disk_bytes_per_s is not None and host is not None:
        read_s = chunks * store.chunk_bytes / tiers.disk_bytes_per_s
        disk = host + tiers.disk_latency_s + read_s
    return HistoryTransfer(
        num_tokens=num_tokens,
        num_bytes=chunks * store.chunk_bytes,
        from_host_s=host,
        from_disk_s=disk,
        recompute_s=recompute_s,
    )


def _notes(question: RetentionQuestion, kept: Histories, done: Simulation) -> tuple[str, ...]:
    longest, seconds = max(question.windows_s), kept.last_s - kept.first_s
    notes = []
    if not kept.with_answers.tokens(math.inf).any():
        notes.append("no prompt begins with what an earlier one left: nothing returns")
    if longest > MOST_FILLING * seconds:
        notes.append(
            Message(
                "the workload lasts {seconds} s: its own mean over longer windows is that of a "
                "tier that still fills, and what it does not show returning is taken to stay away",
                seconds=f"{seconds:,.0f}",
            )
        )
    if any(request.after is not None for request in question.workload):
        notes.append("requests wait for answers: idle times are from arrival to arrival")
    if not done.is_calibrated:
        notes.append("step times are not calibrated: computing a history again is a lower bound")
    if question.prices.gpu is None:
        notes.append("no price is known for this device: state one for costs")
    return tuple(notes)
