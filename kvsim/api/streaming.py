"""Streams: a trace of any length through the compiled twin, in the room of what is under way."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kvsim import __version__
from kvsim.api.preparing import Prepared, prepare, prepare_blocks
from kvsim.api.reading import request_windows
from kvsim.errors import FileError, SpecError, UnsupportedError
from kvsim.io.bounded import file_digest
from kvsim.io.frames import PARQUET
from kvsim.io.stream_files import StreamStore, stream_store
from kvsim.sim.cover import SchedulerName, why_not_compiled
from kvsim.sim.latency import count_keeping, goodput_of
from kvsim.sim.step_costs import StepCosts
from kvsim.sim.streamed import StreamedSimulation
from kvsim.sim.tables import request_frame
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.parallel import Parallelism
from kvsim.specs.step_table import StepTable

if TYPE_CHECKING:
    pass

IS_OVER = "is_over"
LIMITED = ("ttft_s", "tpot_s", "e2e_s")
"""Times of a request that can be limited in a stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOrder:
    """A stream that is asked for: which trace, kept where, with what beside it.

    `output` is a Parquet file for a row per request. `resume` refuses to start anew.
    """

    trace: str | PathLike[str]
    folder: str | PathLike[str]
    skip_bad: bool = False
    resume: bool = False
    output: str | PathLike[str] | None = None
    limits: ServiceLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamListener:
    """Who is told what during a run, and what Ctrl-C does: with `keep_partial`, end it early."""

    keep_partial: bool = False
    on_progress: Callable[[int], None] | None = None
    notify: Callable[[str], None] = lambda _: None
    on_start: Callable[[], None] = lambda: None


def simulate_stream(
    deployment: Deployment,
    order: StreamOrder,
    *,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    efficiencies: Efficiencies | None = None,
    watermark: float = 0.0,
    overheads: OverheadModel | None = None,
    listener: StreamListener | None = None,
) -> StreamedSimulation:
    """What a deployment does with a trace of any length, in the room of what is under way.

    Every figure is that of `simulate`. The state is kept in a folder after each window of
    requests: a run that was stopped, or killed, goes on from there when it is asked for again.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        order: which trace, and which folder.
        step_time_s: seconds of every step; None means the roofline of the device.
        step_table: measured steps, in place of the roofline.
        efficiencies: shares of the device's stated speeds that were measured.
        watermark: share of the blocks that stays free when a request is admitted beside others.
        overheads: coefficients of the engine's overheads; None means those shipped.
        listener: who is told what.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for a request that the engine would refuse; for a folder of another run.
        FileError: if a file cannot be read or written; what was kept stays.
        UnsupportedError: for a run that the compiled twin does not cover, and for prompts that
            share content where prefixes are cached.
    """
    ready = prepare(
        deployment,
        None,
        step_time_s=step_time_s,
        step_table=step_table,
        efficiencies=efficiencies,
        watermark=watermark,
        overheads=overheads,
    )
    return _stream(ready, order, listener or StreamListener())


def simulate_blocks_stream(
    model: ModelSpec,
    order: StreamOrder,
    *,
    engine: Vllm,
    parallel: Parallelism | None = None,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    watermark: float = 0.0,
    listener: StreamListener | None = None,
) -> StreamedSimulation:
    """The same on an engine with a stated number of blocks; no device is needed.

    Arguments and errors are those of `simulate_stream` and `simulate_blocks`.
    """
    ready = prepare_blocks(
        model,
        engine=engine,
        parallel=parallel,
        step_time_s=step_time_s,
        step_table=step_table,
        watermark=watermark,
    )
    return _stream(ready, order, listener or StreamListener())


def _stream(ready: Prepared, order: StreamOrder, listener: StreamListener) -> StreamedSimulation:
    """Serve a trace window by window, and go on where an earlier run stopped."""
    _check(order)
    costs = _costs(ready)
    run = _StreamRun(ready, costs, order, listener.notify)
    num_resumed = run.twin.tally.num_finished
    listener.on_start()
    interrupted = False
    try:
        run.serve(listener.on_progress)
    except KeyboardInterrupt:
        if not listener.keep_partial:
            raise
        interrupted = True
        run = _StreamRun(ready, costs, order, listener.notify)  # as it last kept its state
    return run.result(num_resumed=num_resumed, interrupted=interrupted)


class _StreamRun:
    """One run of a stream: the twin, and the folder in which its state is kept."""

    def __init__(
        self, ready: Prepared, costs: StepCosts, order: StreamOrder, notify: Callable[[str], None]
    ) -> None:
        from kvsim.sim.stream import Stream  # noqa: PLC0415 - numba

        self.ready, self.order = ready, order
        self.store: StreamStore = stream_store(order.folder)
        about = {"kvsim": __version__, "trace": Path(order.trace).name, "model": ready.model}
        kept = self.store.open(_digest(ready, costs, order), about, resume=order.resume)
        self.is_over = kept is not None and bool(kept[IS_OVER])
        self.twin: Stream = (
            Stream(ready.setup, costs, notify)
            if kept is None
            else Stream.restored(ready.setup, costs, kept, notify)
        )

    def serve(self, on_progress: Callable[[int], None] | None) -> None:
        """All that no earlier run has served."""
        if not self.is_over:
            self._serve(on_progress)
        output = self.order.output
        if output is not None and not Path(output).exists():
            self.store.join_rows(Path(output))

    def _serve(self, on_progress: Callable[[int], None] | None) -> None:
        windows = request_windows(
            self.order.trace, skip_bad=self.order.skip_bad, first_place=self.twin.next_place
        )
        for window in windows:
            self._keep(self.twin.serve(window))
            if on_progress is not None:
                on_progress(self.twin.tally.num_finished)
        self.is_over = True
        self._keep(self.twin.serve(None))

    def _keep(self, folded: Any) -> None:  # noqa: ANN401 - Folded, which loads numba
        state = {**self.twin.as_arrays(), IS_OVER: np.array(self.is_over)}
        wants_rows = self.order.output is not None
        rows = request_frame(folded.requests, folded.values["queue_s"]) if wants_rows else None
        self.store.commit(state, {**folded.values, "gaps": folded.gaps}, rows)

    def result(self, *, num_resumed: int, interrupted: bool) -> StreamedSimulation:
        """The figures of all that was served so far, by whichever run."""
        from kvsim.sim.stream_tally import GAP_COLUMNS  # noqa: PLC0415 - numpy

        ready, limits, setup = self.ready, self.order.limits, self.ready.setup
        column = partial(self.store.column, kind=np.dtype("f8"))
        outcome = self.twin.tally.outcome(column, self.store.column("gaps", kind=GAP_COLUMNS))
        asked = self.twin.num_fed
        return StreamedSimulation(
            outcome=outcome,
            num_resumed=num_resumed,
            goodput=None
            if limits is None or limits.is_open
            else goodput_of(
                count_keeping({name: column(name) for name in LIMITED}, limits),
                limits,
                num_asked=asked,
                duration_s=outcome.duration_s,
            ),
            num_requests=asked,
            num_gpu_blocks=setup.num_gpu_blocks,
            block_size=setup.block_size,
            max_model_len=setup.config.max_model_len,
            step_time=ready.step_time.source,
            is_calibrated=ready.step_time.is_calibrated,
            engine=EngineName.VLLM,
            engine_version=setup.engine_version,
            model=ready.model,
            gpu=ready.gpu,
            interrupted=interrupted,
            scheduler=SchedulerName.COMPILED,
            not_modeled=ready.not_modeled,
        )


def _check(order: StreamOrder) -> None:
    if order.limits is not None and order.limits.slo_itl_s is not None:
        msg = f"slo_itl_s={order.limits.slo_itl_s:g} must be left out of a stream, which keeps no "
        raise SpecError(msg + "token times of a request")
    if order.output is not None and Path(order.output).suffix != PARQUET:
        msg = f"output={Path(order.output).name} of a stream must end with {PARQUET}"
        raise FileError(msg)


def _costs(ready: Prepared) -> StepCosts:
    """A step's seconds in numbers; UnsupportedError where the twin does not cover the run."""
    costs = ready.step_time.costs(ready.setup.config.max_num_batched_tokens)
    reason = why_not_compiled(ready.setup)
    if ready.replicas > 1:
        reason = f"{ready.replicas} replicas share the requests"
    if costs is None:
        reason = f"seconds of a step by {ready.step_time.source} depend on each sequence"
    try:
        import kvsim.sim.stream  # noqa: F401, PLC0415 - numba, which may be missing
    except ImportError as error:
        reason = f"numba cannot be loaded: {error}"
    if reason is not None or costs is None:
        msg = f"a stream needs the compiled twin, which does not cover this run: {reason}"
        raise UnsupportedError(msg)
    return costs


def _digest(ready: Prepared, costs: StepCosts, order: StreamOrder) -> str:
    """All that decides the figures, and what the state consists of."""
    from kvsim.sim.stream import LAYOUT  # noqa: PLC0415 - numba

    digest = hashlib.sha256()
    given = (ready.setup.config, ready.setup.cache_config, ready.setup.num_gpu_blocks, costs)
    digest.update(file_digest(order.trace))
    for part in (__version__, LAYOUT, *given, order.skip_bad, order.output is None):
        digest.update(repr(part).encode())
    return digest.hexdigest()
