"""The event loop. Time is a float in seconds; it moves only here."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

from kvsim.sim.arrivals import Arrival, Arrivals, Feed
from kvsim.sim.batch import Batch, Settled
from kvsim.sim.content import Content, ContentTree
from kvsim.sim.moment import Moment, Observer, Served
from kvsim.sim.records import Preemption, RequestRecord, Stall, StepRecord
from kvsim.sim.refusals import check_request, never_scheduled
from kvsim.sim.request import RunningRequest
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.setup import EngineSetup
from kvsim.sim.tiers import TierUse
from kvsim.sim.under_way import Load, StepUnderWay
from kvsim.specs.workload import Request, Workload, output_segment, prompt_segments


class Engine:
    """Feeds a workload to a scheduler, one step at a time. Same inputs, same records.

    With async scheduling two steps are under way: the outputs of one arrive when the next is
    scheduled.

    Invariant: every request is pending, being served, or in `requests`.
    """

    def __init__(
        self,
        setup: EngineSetup,
        workload: Workload,
        step_time: Callable[[Batch], float],
        accept: Callable[[int], int] = lambda _: 0,
        observe: Observer | None = None,
        *,
        arrivals: Feed | None = None,
        tree: ContentTree | None = None,
    ) -> None:
        """An engine before its first step.

        Args:
            setup: groups, blocks, settings.
            workload: requests that it may be asked for.
            step_time: seconds of a batch.
            accept: of so many drafts, how many are right.
            observe: is shown every step.
            arrivals: which of them come here, and when; None: all, at their time.
            tree: names of content, where several engines must agree on them.
        """
        blocks_of = cache(setup.blocks_of)  # few lengths are new
        for place, request in enumerate(workload):
            check_request(setup, request, place, needed=blocks_of(setup.final_tokens(request)))
        self._setup = setup
        self._step_time = step_time
        self._observe = observe
        self._scheduler = self._new_scheduler(accept)
        self._arrivals = Arrivals(workload) if arrivals is None else arrivals
        self._tree = ContentTree() if tree is None else tree
        self._served: dict[RunningRequest, Served] = {}
        self._current: StepUnderWay | None = None
        self._under_way: deque[StepUnderWay] = deque()
        self._num_arrived = 0
        self.now = 0.0
        self.step = 0
        self.requests: list[RequestRecord] = []
        self.preemptions: list[Preemption] = []

    def _new_scheduler(self, accept: Callable[[int], int]) -> Scheduler:
        """The scheduler over an empty cache."""
        return self._setup.scheduler(accept)

    @property
    def tiers(self) -> tuple[TierUse, ...]:
        """What the tiers below the device did so far."""
        connector = self._scheduler.connector
        return () if connector is None else connector.tiers()

    @property
    def num_free_blocks(self) -> int:
        """Blocks that nobody holds now."""
        return self._setup.num_gpu_blocks - 1 - self._scheduler.occupancy.num_used_blocks

    def run(self) -> Iterator[StepRecord]:
        """Yield a record per step until the workload is served; stop whenever you like."""
        while (record := self.advance()) is not None:
            yield record

    def advance(self) -> StepRecord | None:
        """Go to the end of the next step; None once all is served."""
        if self.next_start_s is None:
            return None
        return self.end_step(self.start_step())

    @property
    def next_start_s(self) -> float | None:
        """When the next step begins; None while nothing is there and nothing is known to come."""
        scheduler = self._scheduler
        if scheduler.has_work:
            return self.now
        next_s = self._arrivals.next_s
        if next_s is None or scheduler.has_unreported:
            return None if next_s is None else self.now
        return max(self.now, next_s)  # idle: jump, don't tick

    @property
    def end_s(self) -> float | None:
        """When the step under way ends if nothing comes before; None between steps."""
        return None if self._current is None else self._current.end_s

    @property
    def waits(self) -> bool:
        """Whether the step under way computes nothing, and may end with an arrival."""
        return self._current is not None and self._current.waits

    def start_step(self) -> float:
        """Begin the next step; the second at which it ends."""
        start_s = self.next_start_s
        assert start_s is not None, "nothing to do"
        self.now = start_s
        for arrival in self._arrivals.until(self.now):
            self._arrive(arrival)
        connector = self._scheduler.connector
        if connector is not None:
            connector.begin(self.now)
        batch = self._scheduler.schedule()
        awaited_s = self._scheduler.next_end_s
        waits = awaited_s is not None and not batch.tokens and not self._computes
        end_s = start_s + self._seconds(batch, awaited_s if waits else None)
        record = self._record(batch, start_s, end_s)
        self._current = StepUnderWay(self.step, start_s, end_s, batch, record, waits)
        return end_s

    def end_step(self, end_s: float) -> StepRecord:
        """End the step under way, at its own end or, if it waits, before."""
        done = self._current
        assert done is not None, "no step is under way"
        self._current = None
        if end_s != done.end_s:
            done = replace(done, end_s=end_s, record=replace(done.record, end_s=end_s))
        self.now = end_s
        batch = done.batch
        if self._scheduler.connector is not None:
            self._scheduler.connector.end(end_s)
        if self._observe is not None:
            self._observe(self._moment(done.record, batch))
        self._note_admissions(batch)
        if batch.preempted:
            self._note_preemptions(batch, done.start_s)
        self._under_way.append(done)
        depth = 2 if self._setup.config.async_scheduling else 1
        while len(self._under_way) >= depth:
            self._settle(self._under_way.popleft())
        self.step += 1
        return done.record

    @property
    def _computes(self) -> bool:
        """Whether a step before, not settled yet, computes anything."""
        return any(step.batch.tokens for step in self._under_way)

    def _seconds(self, batch: Batch, awaited_s: float | None) -> float:
        """Seconds of a step; one that waits for a transfer ends with it, or with an arrival."""
        if awaited_s is None:
            return self._step_time(batch)
        next_s = self._arrivals.next_s
        return max(0.0, min(awaited_s, awaited_s if next_s is None else next_s) - self.now)

    def _arrive(self, arrival: Arrival) -> None:
        """Queue each answer that the request asks for, as a request of its own."""
        place = arrival.place
        request = self._arrivals.request(place)
        for sample in range(request.num_samples):
            running = self._running(request, place, sample, index=self._num_arrived)
            self._num_arrived += 1
            self._served[running] = Served(arrival.arrival_s, running, place, sample)
            self._scheduler.add(running)

    def _running(self, request: Request, place: int, sample: int, *, index: int) -> RunningRequest:
        """An answer that is asked for, before anything of it is computed."""
        content = Content(
            self._tree, prompt_segments(request, place), output_segment(request, place, sample)
        )
        return RunningRequest(
            index=index,
            priority=request.priority,
            num_prompt_tokens=request.num_prompt_tokens,
            num_tokens_at_end=self._setup.final_tokens(request),
            num_encoder_tokens=request.num_encoder_tokens or self._setup.num_encoder_tokens,
            content=content,
            tables=self._scheduler.new_tables(),
            num_tokens=request.num_prompt_tokens,
        )

    @property
    def load(self) -> Load:
        """Requests that wait and run now, as a router counts them."""
        waiting = self._scheduler.num_waiting + self._arrivals.num_here
        return Load(waiting, len(self._scheduler.running))

    def cached_tokens(self, place: int) -> int:
        """Tokens of a request's prompt that the device's cache would find now."""
        request = self._arrivals.request(place)
        return self._scheduler.cached_tokens(self._running(request, place, 0, index=0))

    def _record(self, batch: Batch, start_s: float, end_s: float) -> StepRecord:
        occupancy = self._scheduler.occupancy
        return StepRecord(
            step=self.step,
            start_s=start_s,
            end_s=end_s,
            num_tokens=batch.num_tokens,
            num_running=len(self._scheduler.running),
            num_waiting=self._scheduler.num_waiting,
            num_used_blocks=occupancy.num_used_blocks,
            reserved_blocks=occupancy.reserved_blocks,
            idle_blocks=occupancy.idle_blocks,
            num_preempted=len(batch.preempted),
            num_query_tokens=batch.num_query_tokens,
            num_hit_tokens=batch.num_hit_tokens,
            num_resume_query_tokens=batch.num_resume_query_tokens,
            num_resume_hit_tokens=batch.num_resume_hit_tokens,
        )

    def _moment(self, record: StepRecord, batch: Batch) -> Moment:
        cache = self._scheduler.cache
        return Moment(record, batch, self._served.values(), cache.pool, cache.groups)

    def _note_admissions(self, batch: Batch) -> None:
        for admission in batch.admitted:
            served = self._served[admission.request]
            if served.first_step < 0:
                served.first_step = self.step
                served.num_cached_tokens = admission.num_hit_tokens
                served.num_loaded_tokens = admission.num_loaded_tokens
            else:
                kept = admission.num_hit_tokens + admission.num_loaded_tokens
                lost = served.num_lost_tokens - kept
                served.num_recomputed_tokens += max(0, lost)

    def _note_preemptions(self, batch: Batch, time_s: float) -> None:
        for eviction in batch.preempted:
            served, by = self._served[eviction.request], self._served[eviction.by]
            served.num_lost_tokens = eviction.num_lost_tokens
            self.preemptions.append(
                Preemption(
                    step=self.step,
                    time_s=time_s,
                    index=served.place,
                    sample=served.sample,
                    by_index=by.place,
                    by_sample=by.sample,
                    num_lost_tokens=eviction.num_lost_tokens,
                )
            )

    def _settle(self, done: StepUnderWay) -> None:
        settled = self._scheduler.settle(done.batch)
        self._note(settled, done)
        if not (done.batch.tokens or settled.finished or done.batch.preempted):
            self._check_progress(done)

    def _note(self, settled: Settled, done: StepUnderWay) -> None:
        self._note_tokens(done)
        for running in settled.first_tokens:
            served = self._served[running]
            served.first_token_step, served.first_token_s = self.step, done.end_s
        for running in settled.finished:
            served = self._served.pop(running)
            self._arrivals.answered(served.place, done.end_s)
            self.requests.append(served.record(last_step=self.step, finish_s=done.end_s))

    def _note_tokens(self, done: StepUnderWay) -> None:
        """Note who waited longer than a step for the token that this step brought."""
        before = self.step - 1
        for running in done.batch.sampling:
            served = self._served.get(running)
            if served is None:
                continue  # it ended before
            if served.last_token_step not in (before, -1):
                served.stalls.append(Stall(served.last_token_s, done.end_s))
            served.last_token_step, served.last_token_s = self.step, done.end_s

    def _check_progress(self, done: StepUnderWay) -> None:
        """SpecError if nothing runs and nothing can: waiting for ever is not an answer."""
        if not self._scheduler.has_work or self._computes:
            return
        steps = (done, *self._under_way)
        time_passes = any(step.end_s > step.start_s for step in steps)
        awaits = any(step.waits for step in steps) or self._scheduler.next_end_s is not None
        comes = self._arrivals.next_s is not None
        if not awaits and not (comes and time_passes):
            request = self._served[self._scheduler.first_in_line]
            raise never_scheduled(self._setup, request.place)
