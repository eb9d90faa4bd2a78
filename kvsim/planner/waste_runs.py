"""Runs of both kinds of server, reserving and paging, with their slots told in one form."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_groups import group_layers
from kvsim.engines.vllm_layer_spec import vllm_layer_spec
from kvsim.errors import SpecError
from kvsim.sim.batch import Batch
from kvsim.sim.config import SchedulerConfig
from kvsim.sim.contiguous import ContiguousServer, Interval, Reservation
from kvsim.sim.engine import Engine
from kvsim.sim.moment import Observer
from kvsim.sim.records import RequestRecord, StepRecord
from kvsim.sim.setup import EngineSetup
from kvsim.specs.paging_study import WasteSetting
from kvsim.specs.workload import Workload

PAGED = "paged"
"""The method's name: blocks on demand, as the reference scheduler gives them."""

PAGED_CACHED = "paged-cache"
"""The same with prefix caching: equal prefixes are held once, and found after their requests."""

METHODS: tuple[str, ...] = (*map(str, Reservation), PAGED, PAGED_CACHED)


class Slots(NamedTuple):
    """A stretch of time and the slots in it: the records of both simulators in one form."""

    start_s: float
    seconds: float
    running: float
    used: float
    reserved: float
    internal: float
    external: float
    free: float


@dataclass(frozen=True, slots=True)
class Served:
    """A run: its stretches, when the last request began, and how far others were by then."""

    slots: tuple[Slots, ...]
    last_start_s: float
    num_done: float  # requests, in parts, that were answered when the last one began
    num_preemptions: int


def serve(method: str, workload: Workload, setting: WasteSetting) -> Served:
    """Serve a workload under one method.

    Raises:
        SpecError: for an unknown method.
    """
    if method in (PAGED, PAGED_CACHED):
        return _paged(workload, setting, enable_prefix_caching=method == PAGED_CACHED)
    if method not in list(Reservation):
        msg = f"method={method[:40]} must be one of {', '.join(METHODS)}"
        raise SpecError(msg)
    server = contiguous_server(Reservation(method), workload, setting)
    intervals = tuple(server.run())
    last_s = server.last_admission_s
    steps = sum(i.num_running * i.num_steps for i in intervals)
    done = sum(i.num_running * i.num_steps for i in intervals if i.start_s < last_s)
    return Served(tuple(_slots(intervals)), last_s, len(workload) * done / steps, 0)


def _slots(intervals: Iterable[Interval]) -> Iterator[Slots]:
    for i in intervals:
        yield Slots(
            start_s=i.start_s,
            seconds=i.seconds,
            running=i.num_running,
            used=i.mean_used,
            reserved=i.mean_reserved,
            internal=i.internal,
            external=i.external,
            free=i.free,
        )


def contiguous_server(
    reservation: Reservation, workload: Workload, setting: WasteSetting
) -> ContiguousServer:
    """A server that reserves, before its first request."""
    return ContiguousServer(
        workload,
        reservation,
        num_slots=setting.num_slots,
        max_model_len=setting.max_model_len,
        batch_time=setting.batch_time.seconds,
    )


def paged_engine(
    workload: Workload,
    setting: WasteSetting,
    *,
    enable_prefix_caching: bool,
    observe: Observer | None = None,
) -> Engine:
    """The reference scheduler over as many slots, in blocks, before its first request."""

    def step_time(batch: Batch) -> float:
        return setting.batch_time.seconds(len(batch.tokens))

    setup = _setup(setting, max_num_seqs=len(workload), enable_prefix_caching=enable_prefix_caching)
    return Engine(setup, workload, step_time, observe=observe)


def _paged(workload: Workload, setting: WasteSetting, *, enable_prefix_caching: bool) -> Served:
    """A run of it; the pool's slots that make no whole block are external."""
    engine = paged_engine(workload, setting, enable_prefix_caching=enable_prefix_caching)
    steps = tuple(engine.run())
    starts = [steps[r.first_step].start_s for r in engine.requests]
    last_s = max(starts)
    return Served(
        slots=tuple(_blocks(steps, setting)),
        last_start_s=last_s,
        num_done=sum(_share_done(r, last_s) for r in engine.requests),
        num_preemptions=sum(step.num_preempted for step in steps),
    )


def _share_done(request: RequestRecord, now: float) -> float:
    """How much of an answer was there, told by time; its first token counts as its start."""
    if request.finish_s <= now:
        return 1.0
    if request.first_token_s >= now:
        return 0.0
    return (now - request.first_token_s) / (request.finish_s - request.first_token_s)


def _setup(setting: WasteSetting, *, max_num_seqs: int, enable_prefix_caching: bool) -> EngineSetup:
    """One layer of full attention: what a block holds is tokens, whatever a token weighs.

    A prompt is computed in the step that admits it, as the reservations' are.
    """
    tokens = max_num_seqs * setting.max_model_len
    layer = vllm_layer_spec(
        "FullAttentionSpec",
        block_size=setting.block_size,
        num_kv_heads=1,
        head_size=8,
        dtype="bfloat16",
    )
    cache_config = VllmCacheConfig(
        max_model_len=setting.max_model_len,
        max_num_batched_tokens=tokens,
        block_size=setting.block_size,
        enable_prefix_caching=enable_prefix_caching,
    )
    config = SchedulerConfig(
        max_model_len=setting.max_model_len,
        max_num_batched_tokens=tokens,
        max_num_seqs=max_num_seqs,
        enable_prefix_caching=enable_prefix_caching,
    )
    return EngineSetup(
        groups=group_layers([layer], cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=setting.num_slots // setting.block_size + 1,  # the null block beside them
    )


def _blocks(steps: Iterable[StepRecord], setting: WasteSetting) -> Iterator[Slots]:
    size = setting.block_size
    for step in steps:
        held = step.num_used_blocks * size
        hole = setting.num_slots - held
        yield Slots(
            start_s=step.start_s,
            seconds=step.end_s - step.start_s,
            running=step.num_running,
            used=held - (step.reserved_blocks + step.idle_blocks) * size,
            reserved=step.reserved_blocks * size,
            internal=step.idle_blocks * size,
            external=hole if step.num_waiting else 0,
            free=0 if step.num_waiting else hole,
        )
