"""The protocol that every engine's layout answers, and the breakdowns that it answers with."""

from dataclasses import dataclass
from typing import Protocol

from kvsim.specs.engine import EngineName


@dataclass(frozen=True, slots=True)
class LayerBytes:
    """What equal layers hold together for one sequence, on one rank."""

    kind: str
    count: int
    kv_bytes: int
    state_bytes: int

    @property
    def total_bytes(self) -> int:
        """Token-dependent and fixed bytes together."""
        return self.kv_bytes + self.state_bytes


@dataclass(frozen=True, slots=True)
class SequenceBytes:
    """What one sequence holds on one rank, split into what grows and what is fixed.

    `marginal_bytes` is what one more token adds, block rounding averaged out.
    """

    layers: tuple[LayerBytes, ...]
    marginal_bytes: int

    @property
    def kv_bytes(self) -> int:
        """The token-dependent cache."""
        return sum(layer.kv_bytes for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        """Recurrent state, fixed per sequence."""
        return sum(layer.state_bytes for layer in self.layers)

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.kv_bytes + self.state_bytes


class Layout(Protocol):
    """How an engine stores one model's cache on one tensor-parallel rank."""

    @property
    def engine(self) -> EngineName:
        """Whose layout this is."""
        ...

    @property
    def engine_version(self) -> str | None:
        """The version whose rules were used; None where there are no versions."""
        ...

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What figures from this layout leave out."""
        ...

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one sequence of `num_tokens` cached tokens holds."""
        ...


class PagedLayout(Layout, Protocol):
    """A layout that hands memory out in blocks, as serving engines do."""

    def pool(self, available_bytes: int) -> "Pool":
        """What `available_bytes` of cache memory hold, as the engine divides them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Cache memory as an engine divides it, on one rank.

    `kv_cache_tokens` and `max_concurrency` are the figures of the engine's own log line: they
    count reserved blocks too. `request_blocks` is what one request of the longest length takes;
    `refusal` is the engine's reason not to start, where it would not.
    """

    num_gpu_blocks: int
    reserved_blocks: int
    block_size: int
    block_bytes: int
    request_blocks: int
    kv_cache_tokens: int
    max_concurrency: float
    max_model_len: int  # the length that concurrency is counted in; shorter where it was fitted
    longest_model_len: int  # the longest max_model_len with which the engine would start; 0: none
    refusal: str | None = None

    @property
    def max_requests(self) -> int:
        """Requests of the longest length that fit at once, reserved blocks left out."""
        usable = max(0, self.num_gpu_blocks - self.reserved_blocks)
        return usable // max(1, self.request_blocks)

    def bytes_for(self, num_requests: int) -> int:
        """Bytes that so many requests of the longest length take, reserved blocks included."""
        return (num_requests * self.request_blocks + self.reserved_blocks) * self.block_bytes
