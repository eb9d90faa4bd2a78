"""What each step computes: running requests first, then as many waiting ones as fit."""

from collections.abc import Callable

from kvsim.sim.batch import Batch, Settled
from kvsim.sim.chunks import Chunks
from kvsim.sim.config import Policy, SchedulerConfig
from kvsim.sim.connector import Connector
from kvsim.sim.kv_cache import KVCache, Occupancy
from kvsim.sim.queues import urgency, waiting_queue
from kvsim.sim.request import BlockTable, RunningRequest, Status
from kvsim.sim.starving import check_starving
from kvsim.sim.state_chunks import StateChunks


class Scheduler:
    """Continuous batching with chunked prefill, prefix caching and preemption by recompute.

    A step is `schedule`, the computation, `settle`. With async scheduling a step is scheduled
    before the one before it is settled; placeholders stand for tokens that are not known yet.

    Source:
        vLLM `Scheduler`, vllm/v1/core/sched/scheduler.py, and `AsyncScheduler`,
        async_scheduler.py, 0.32.0.
    """

    def __init__(
        self,
        config: SchedulerConfig,
        cache: KVCache,
        *,
        state_chunks: StateChunks | None = None,
        accept: Callable[[int], int] = lambda _: 0,
    ) -> None:
        self._config = config
        self._cache = cache
        self._chunks = Chunks(config, state_chunks)
        self._accept = accept  # of so many drafts, how many are right
        self._spare_blocks = int(config.watermark * cache.pool.num_gpu_blocks)
        self._has_unreported = False
        self._num_computed_tokens = 0  # of all requests that hold blocks
        self.waiting = waiting_queue(config.policy)
        self.running: list[RunningRequest] = []
        self.connector: Connector | None = None  # nothing comes from outside the device

    @property
    def has_work(self) -> bool:
        """Whether any request is waiting or running."""
        return bool(self.running) or len(self.waiting) > 0

    @property
    def num_waiting(self) -> int:
        """Requests that hold no blocks yet, or none any more."""
        return len(self.waiting)

    @property
    def has_unreported(self) -> bool:
        """Whether the workers have not heard yet who finished: an empty step will tell them."""
        return self._has_unreported

    @property
    def next_end_s(self) -> float | None:
        """When what comes from outside is there, or room for it; None where nothing is awaited."""
        return None

    @property
    def occupancy(self) -> Occupancy:
        """What of the pool requests hold now."""
        return self._cache.occupancy(self._num_computed_tokens)

    @property
    def cache(self) -> KVCache:
        """The cache that requests get their slots from."""
        return self._cache

    @property
    def first_in_line(self) -> RunningRequest:
        """The request that is served next."""
        return self.running[0] if self.running else self.waiting.first()

    def new_tables(self) -> tuple[BlockTable, ...]:
        """Empty block tables for a request, one per group."""
        return tuple(group.new_table() for group in self._cache.groups)

    def cached_tokens(self, request: RunningRequest) -> int:
        """Tokens that the device's cache has of a request that is not here."""
        return self._cache.find(request).num_tokens

    def add(self, request: RunningRequest) -> None:
        """Queue a request that arrived."""
        self.waiting.append(request)

    def schedule(self) -> Batch:
        """Choose the next step's work and give it slots."""
        batch = Batch(self._config.max_num_batched_tokens)
        self._has_unreported = False
        self._cache.begin_step()
        most_tokens = self._chunks.most_tokens(len(self.running) + len(self.waiting))
        self._schedule_running(batch, most_tokens)
        if not batch.preempted:  # memory is tight otherwise: admit nobody
            self._schedule_waiting(batch, most_tokens)
        self._advance(batch)
        return batch

    def settle(self, batch: Batch) -> Settled:
        """Take in what a step computed; requests that end give their blocks back."""
        settled = Settled()
        stale = self._land(batch) if self._config.async_scheduling else ()
        for request in batch.sampling:
            if request.status is Status.FINISHED:
                continue
            num_new = 1
            if request in batch.drafts:
                num_new += self._judge_drafts(request, batch.drafts[request], request in stale)
            if request.num_tokens == request.num_prompt_tokens:
                settled.first_tokens.append(request)
            num_new = min(num_new, request.num_tokens_at_end - request.num_tokens)
            request.num_tokens += num_new
            if self._config.async_scheduling:
                self._learn(request, num_new, is_stale=request in stale)
            elif self._config.num_speculative_tokens:
                request.num_draft_tokens = self._config.num_speculative_tokens
            if request.num_tokens >= request.num_tokens_at_end:
                self._finish(request)
                settled.finished.append(request)
        if settled.finished:
            self._has_unreported = True
            self.running = [r for r in self.running if r.status is Status.RUNNING]
        return settled

    def _schedule_running(self, batch: Batch, most_tokens: int) -> None:
        """Give every running request its next tokens, in order, as far as the budget goes."""
        tokens = batch.tokens
        for request in tuple(self.running):
            if batch.budget <= 0:
                break
            if request.status is not Status.RUNNING:
                continue  # preempted in this step
            computed, expected = request.num_computed_tokens, request.num_placeholders
            if expected and computed + 2 - expected >= request.num_tokens_at_end:
                continue  # a step under way is certain to end it
            n = self._chunks.of_running(request, min(most_tokens, batch.budget))
            if n <= 0:
                continue
            if computed + n > request.quiet_until and not self._make_room(request, n, batch):
                break
            tokens[request] = n
            batch.budget -= n
            if request.num_draft_tokens:
                self._take_drafts(request, n, batch)

    def _make_room(self, request: RunningRequest, num_new_tokens: int, batch: Batch) -> bool:
        """Give a running request slots, preempting others; False if itself was the last."""
        while not self._cache.allocate(request, num_new_tokens):
            victim = self._least_urgent()
            self._preempt(victim, batch, by=request)
            if victim is request:
                if not self.running:
                    check_starving(request, num_gpu_blocks=self._cache.pool.num_gpu_blocks)
                return False
        return True

    def _least_urgent(self) -> RunningRequest:
        """The running request that gives way."""
        if self._config.policy is Policy.PRIORITY:
            return max(self.running, key=urgency)
        return self.running[-1]

    def _preempt(self, request: RunningRequest, batch: Batch, *, by: RunningRequest) -> None:
        """Take all blocks; the request keeps its tokens and computes them again later.

        Tokens that steps under way compute for it still arrive, but count for nothing else.
        """
        self.running.remove(request)
        batch.drop(request, by=by)
        self._cache.free(request)
        self._num_computed_tokens -= request.num_computed_tokens
        request.status = Status.PREEMPTED
        request.num_computed_tokens = 0
        request.num_draft_tokens = 0
        request.num_placeholders = 0
        request.num_stale_tokens = request.num_in_flight_tokens
        request.num_preemptions += 1
        self.waiting.push_back([request])

    def _schedule_waiting(self, batch: Batch, most_tokens: int) -> None:
        """Admit requests from the front of the queue until one does not fit."""
        config, held_back = self._config, []
        if config.num_speculative_tokens:
            batch.pads_drafts = not any(request.is_prefilling for request in batch.tokens)
            batch.continues = bool(batch.tokens)
        while batch.budget > 0 and len(self.running) < config.active_seqs and self.waiting:
            request = self.waiting.first()
            if self._waits(request):
                held_back.append(self.waiting.pop())
                continue
            if not self._admit(request, batch, most_tokens):
                break
        self.waiting.push_back(held_back)

    def _waits(self, request: RunningRequest) -> bool:
        """Whether a request is passed over in this step: tokens of its are still to come."""
        return request.num_stale_tokens > 0

    def _admit(self, request: RunningRequest, batch: Batch, most_tokens: int) -> bool:
        """Let the first in the queue run if its next chunk, and its whole prompt, have room."""
        hit = self._cache.find(request)
        request.shared_prefix_end = hit.shared_prefix_end
        n = self._chunks.of_waiting(
            request, batch, num_hit_tokens=hit.num_tokens, most_tokens=most_tokens
        )
        if n == 0 or not self._cache.allocate(
            request,
            n,
            hit=hit,
            whole_prompt=self._config.scheduler_reserve_full_isl,
            num_spare_blocks=self._spare_blocks if self.running else 0,
        ):
            return False
        self.running.append(self.waiting.pop())
        batch.admit(request, num_tokens=n, num_hit_tokens=hit.num_tokens)
        if self._config.enable_prefix_caching:
            batch.count_lookup(request, num_hit_tokens=hit.num_tokens)
        request.status = Status.RUNNING
        request.num_computed_tokens = hit.num_tokens
        self._num_computed_tokens += hit.num_tokens
        return True

    def _take_drafts(self, request: RunningRequest, num_new_tokens: int, batch: Batch) -> None:
        """Note how many of the drafts the step checks; what does not fit is dropped."""
        known = request.num_tokens + request.num_placeholders
        drafts = request.num_computed_tokens + num_new_tokens - known
        if drafts > 0:
            batch.drafts[request] = drafts
        request.num_draft_tokens = 0

    def _advance(self, batch: Batch) -> None:
        """Count as computed what was scheduled: the next step builds on it."""
        is_async = self._config.async_scheduling
        for request, n in batch.tokens.items():
            computed = request.num_computed_tokens + n
            request.num_computed_tokens = computed
            batch.num_tokens += n
            is_prefilling = computed < request.num_tokens + request.num_placeholders
            request.is_prefilling = is_prefilling
            if not is_prefilling:
                batch.sampling.append(request)
            if is_async:
                request.num_in_flight_tokens += n
        self._num_computed_tokens += batch.num_tokens
        if is_async:
            for request in batch.sampling:
                request.num_placeholders += 1 + batch.drafts.get(request, 0)
                request.num_draft_tokens = self._config.num_speculative_tokens

    def _land(self, batch: Batch) -> set[RunningRequest]:
        """Take a step's tokens out of flight; requests for which they come after a preemption."""
        stale = set()
        for request, n in batch.tokens.items():
            request.num_in_flight_tokens -= n
            if request.num_stale_tokens:
                request.num_stale_tokens -= n
                stale.add(request)
        return stale

    def _judge_drafts(self, request: RunningRequest, num_drafts: int, is_stale: bool) -> int:  # noqa: FBT001
        """How many drafts were right; those that were not are computed no more."""
        num_right = self._accept(num_drafts)
        if not is_stale:
            request.num_computed_tokens -= num_drafts - num_right
            self._num_computed_tokens -= num_drafts - num_right
            if request.num_placeholders:
                request.num_placeholders -= num_drafts - num_right
        return num_right

    def _learn(self, request: RunningRequest, num_new_tokens: int, *, is_stale: bool) -> None:
        """Async: placeholders become tokens, and blocks that they fill are published."""
        if not is_stale:
            request.num_placeholders -= num_new_tokens
        settled = request.num_computed_tokens - request.num_placeholders
        if request.status is Status.RUNNING and settled >= request.next_publication:
            self._cache.publish(request, settled)

    def _finish(self, request: RunningRequest) -> None:
        if request.status is Status.PREEMPTED:  # its last token came while it waited
            self.waiting.remove(request)
        else:
            self._num_computed_tokens -= request.num_computed_tokens
        self._cache.free(request)
        request.status = Status.FINISHED
