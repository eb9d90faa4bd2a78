"""A scheduler whose requests may begin with tokens that were loaded, not computed."""

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.sim.batch import Batch
from kvsim.sim.config import SchedulerConfig
from kvsim.sim.connector import Connector
from kvsim.sim.kv_cache import Hit, KVCache
from kvsim.sim.request import RunningRequest, Status
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.state_chunks import StateChunks


@dataclass(slots=True)
class Loading:
    """A request that holds blocks while their content is on its way."""

    request: RunningRequest
    num_local_tokens: int
    num_loaded_tokens: int
    has_arrived: bool = False


class LoadingScheduler(Scheduler):
    """The scheduler with a connector: loads come before the prompt's own computation.

    A request whose prefix can be loaded gets blocks for it and waits outside the queue until it
    has arrived; then it is admitted before everyone else. It cannot be preempted meanwhile, so
    a load begins only if requests in their prompts keep the room that they still need.

    Source:
        vLLM `Scheduler.schedule`, vllm/v1/core/sched/scheduler.py, 0.32.0.
    """

    def __init__(
        self,
        config: SchedulerConfig,
        cache: KVCache,
        connector: Connector,
        *,
        state_chunks: StateChunks | None = None,
        accept: Callable[[int], int] = lambda _: 0,
    ) -> None:
        super().__init__(config, cache, state_chunks=state_chunks, accept=accept)
        self.connector: Connector = connector
        self._loading: list[Loading] = []
        self._hit = Hit(())  # of the request that was asked about last
        self._num_loadable = 0

    @property
    def has_work(self) -> bool:
        """Whether any request is waiting, loading or running."""
        return bool(self._loading) or super().has_work

    @property
    def num_waiting(self) -> int:
        """Requests that wait, for their turn or for what they load."""
        return len(self._loading) + super().num_waiting

    @property
    def next_end_s(self) -> float | None:
        """The second at which the next transfer ends; None if none is under way."""
        return self.connector.next_end_s

    @property
    def first_in_line(self) -> RunningRequest:
        """The request that is served next."""
        if not self.running and self._loading:
            return self._loading[0].request
        return super().first_in_line

    def schedule(self) -> Batch:
        """Choose the next step's work; what it will have computed can be stored."""
        batch = super().schedule()
        for request in batch.tokens:
            self.connector.store(request, request.num_computed_tokens)
        self.connector.close_schedule()
        return batch

    def _schedule_waiting(self, batch: Batch, most_tokens: int) -> None:
        """Admit those whose load arrived, then from the queue."""
        if self._resume_loaded(batch, most_tokens):
            super()._schedule_waiting(batch, most_tokens)

    def _resume_loaded(self, batch: Batch, most_tokens: int) -> bool:
        """Let loaded requests compute the rest; False if one has no room: nobody passes it."""
        for loading in tuple(self._loading):
            if batch.budget <= 0 or len(self.running) >= self._config.active_seqs:
                return False
            if not loading.has_arrived:
                if not self.connector.is_loaded(loading.request):
                    continue
                self._arrive(loading)
            if not self._resume(loading, batch, most_tokens):
                return False
        return True

    def _arrive(self, loading: Loading) -> None:
        """Publish what was loaded; the last known token is computed for what comes after it."""
        request = loading.request
        loading.has_arrived = True
        self._cache.publish(request, request.num_computed_tokens)
        if request.num_computed_tokens == request.num_tokens:
            request.num_computed_tokens -= 1
            self._num_computed_tokens -= 1

    def _resume(self, loading: Loading, batch: Batch, most_tokens: int) -> bool:
        request, config = loading.request, self._config
        computed = request.num_computed_tokens
        n = self._chunks.of_waiting(
            request, batch, num_hit_tokens=computed, most_tokens=most_tokens
        )
        if n == 0 or not self._cache.allocate(
            request,
            n,
            whole_prompt=config.scheduler_reserve_full_isl,
            num_spare_blocks=self._spare_blocks if self.running else 0,
        ):
            return False
        self._loading.remove(loading)
        self.running.append(request)
        batch.admit(
            request,
            num_tokens=n,
            num_hit_tokens=computed,
            num_cached_tokens=loading.num_local_tokens,
            num_loaded_tokens=loading.num_loaded_tokens,
        )
        request.status = Status.RUNNING
        return True

    def _waits(self, request: RunningRequest) -> bool:
        """Also while a prefix that it could load is still on its way to where it is loaded from."""
        if super()._waits(request):
            return True
        self._hit = self._cache.find(request)
        loadable = self.connector.find(request, self._hit.num_tokens)
        self._num_loadable = loadable or 0
        return loadable is None

    def _admit(self, request: RunningRequest, batch: Batch, most_tokens: int) -> bool:
        """Begin to load, or admit as ever where there is nothing to load."""
        if not self._num_loadable:
            return super()._admit(request, batch, most_tokens)
        local, loaded = self._hit.num_tokens, self._num_loadable
        request.shared_prefix_end = self._hit.shared_prefix_end
        if not self._cache.allocate(
            request,
            0,
            hit=self._hit,
            num_loaded_tokens=loaded,
            whole_prompt=self._config.scheduler_reserve_full_isl,
            num_spare_blocks=self._spare_blocks if self.running else 0,
            num_reserved_blocks=self._num_reserved(),
        ):
            return False
        self._loading.append(Loading(self.waiting.pop(), local, loaded))
        request.num_computed_tokens = local + loaded
        self._num_computed_tokens += local + loaded
        if self._config.enable_prefix_caching:
            batch.count_lookup(request, num_hit_tokens=local)
        self.connector.load(request, num_local_tokens=local, num_tokens=local + loaded)
        return True

    def _num_reserved(self) -> int:
        """Blocks that requests in their prompts, and those that load, still need.

        Source:
            vLLM `Scheduler._inflight_prefill_reserved_blocks`, 0.32.0.
        """
        under_way = [request for request in self.running if request.is_prefilling]
        under_way += (loading.request for loading in self._loading)
        return sum(self._cache.num_missing(request) for request in under_way)

    def _finish(self, request: RunningRequest) -> None:
        """The connector sees what the request still needs: what is behind windows goes first."""
        self._cache.release_behind(request)
        self.connector.finish(request)
        super()._finish(request)
