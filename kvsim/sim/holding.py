"""A scheduler whose finished requests keep their blocks until another engine has them."""

from collections.abc import Callable

from kvsim.sim.config import SchedulerConfig
from kvsim.sim.kv_cache import KVCache
from kvsim.sim.request import RunningRequest, Status
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.state_chunks import StateChunks


class HoldingScheduler(Scheduler):
    """The scheduler of an engine that computes prompts for others.

    Invariant: `held` are finished requests whose blocks are not given back.

    Source:
        vLLM `Scheduler._free_request` and `NixlConnectorScheduler.request_finished`, which delay
        the release of blocks until they were read.
    """

    def __init__(
        self,
        config: SchedulerConfig,
        cache: KVCache,
        *,
        state_chunks: StateChunks | None = None,
        accept: Callable[[int], int] = lambda _: 0,
    ) -> None:
        super().__init__(config, cache, state_chunks=state_chunks, accept=accept)
        self.held: dict[RunningRequest, None] = {}

    @property
    def next_end_s(self) -> float | None:
        """Room comes when another engine has read what is held; nobody here knows when."""
        return float("inf") if self.held else None

    def release(self, request: RunningRequest) -> None:
        """Give back what was read."""
        del self.held[request]
        self._num_computed_tokens -= request.num_computed_tokens
        self._cache.free(request)

    def _finish(self, request: RunningRequest) -> None:
        """Hold the blocks; one that was preempted in its last step has none."""
        if request.status is Status.PREEMPTED:
            super()._finish(request)
            return
        self._cache.release_behind(request)
        self.held[request] = None
        request.status = Status.FINISHED
