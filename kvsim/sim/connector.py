"""Connector: where requests get cache from that other than this engine's steps computed."""

from typing import Protocol

from kvsim.sim.request import RunningRequest
from kvsim.sim.tiers import TierUse


class Connector(Protocol):
    """A source, and perhaps a store, of cached tokens outside the device.

    The scheduler asks and tells; the event loop says what time it is.

    Source:
        vLLM `KVConnectorBase_V1`, vllm/distributed/kv_transfer/kv_connector/v1/base.py, 0.32.0.
    """

    def begin(self, now_s: float) -> None:
        """A step is about to be scheduled: transfers that ended by now are over."""
        ...

    def find(self, request: RunningRequest, num_local_tokens: int) -> int | None:
        """Tokens after the device's own that can be loaded; None if it is too soon to say."""
        ...

    def load(self, request: RunningRequest, *, num_local_tokens: int, num_tokens: int) -> None:
        """Begin to load what is missing of the first `num_tokens`; the request has its blocks."""
        ...

    def is_loaded(self, request: RunningRequest) -> bool:
        """Whether all has arrived."""
        ...

    def store(self, request: RunningRequest, num_tokens: int) -> None:
        """A step will have computed so many tokens of a request."""
        ...

    def finish(self, request: RunningRequest) -> None:
        """A request is done."""
        ...

    def close_schedule(self) -> None:
        """The step's work is chosen."""
        ...

    def end(self, now_s: float) -> None:
        """The step's computation ended: what it computed can go out."""
        ...

    @property
    def next_end_s(self) -> float | None:
        """The second at which the next transfer ends; None if none is under way."""
        ...

    def tiers(self) -> tuple[TierUse, ...]:
        """What each tier below the device did; none where another engine is the source."""
        ...
