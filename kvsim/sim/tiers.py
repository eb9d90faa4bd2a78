"""Tiers below the device's cache: chunks by key, the longest unused first out, and links."""

import heapq
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import NamedTuple

from kvsim.sim.content import Identity
from kvsim.sim.request import RunningRequest


class Key(NamedTuple):
    """One group's chunk: everything up to its end, as this group stores it."""

    group: int
    identity: Identity


@dataclass(slots=True)
class Chunk:
    """A place in a tier. It is evicted only when it is ready and nobody reads it."""

    is_ready: bool = False
    num_readers: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether it may go."""
        return self.is_ready and self.num_readers == 0


class ChunkStore:
    """A tier's chunks in the order of their last use.

    Invariant: there are at most `num_chunks`; a use moves a chunk to the end whether or not a
    transfer holds it.

    Source:
        vLLM `CPUOffloadingManager` and `LRUCachePolicy`, vllm/v1/kv_offload/cpu/, 0.32.0.
    """

    def __init__(self, num_chunks: int) -> None:
        self.num_chunks = num_chunks
        self.num_evicted = 0
        self.num_refused = 0  # offers for which nothing could go
        self.peak_chunks = 0
        self._chunks: OrderedDict[Key, Chunk] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chunks)

    def find(self, key: Key) -> Chunk | None:
        """The chunk of a key; looking is no use."""
        return self._chunks.get(key)

    def add(self, offered: Collection[Key]) -> list[Key] | None:
        """Take in what is not there yet; None, and nothing taken, if too little can go.

        Nothing that was offered is evicted for the rest.
        """
        new = [key for key in offered if key not in self._chunks]
        missing = len(self._chunks) + len(new) - self.num_chunks
        if missing > 0:
            kept = set(offered)
            going = []
            for key, chunk in self._chunks.items():
                if chunk.is_idle and key not in kept:
                    going.append(key)
                    if len(going) == missing:
                        break
            if len(going) < missing:
                self.num_refused += 1
                return None
            for key in going:
                del self._chunks[key]
            self.num_evicted += missing
        for key in new:
            self._chunks[key] = Chunk()
        self.peak_chunks = max(self.peak_chunks, len(self._chunks))
        return new

    def settle(self, keys: Iterable[Key]) -> None:
        """What was being written can be read."""
        for key in keys:
            self._chunks[key].is_ready = True

    def hold(self, keys: Iterable[Key]) -> None:
        """A transfer reads these until they are released."""
        for key in keys:
            self._chunks[key].num_readers += 1

    def release(self, keys: Iterable[Key]) -> None:
        """A transfer has read these."""
        for key in keys:
            self._chunks[key].num_readers -= 1

    def use(self, keys: Iterable[Key]) -> None:
        """Note that these were used, the last one most recently."""
        for key in keys:
            if key in self._chunks:
                self._chunks.move_to_end(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierUse:
    """What one tier did. Bytes are those of all ranks together.

    `hit_tokens` are tokens that requests, when they first started, found here and not nearer.
    """

    name: str
    capacity_chunks: int
    peak_chunks: int
    hit_tokens: int
    loaded_bytes: int
    stored_bytes: int
    evicted_chunks: int
    refused_stores: int


class Link:
    """Carries one transfer after the other, in one direction; latencies overlap."""

    def __init__(self, bytes_per_s: float | None, latency_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._latency_s = latency_s
        self._free_s = 0.0
        self.num_bytes = 0

    def send(self, num_bytes: int, *, from_s: float) -> float:
        """The second at which a transfer ends that can begin at `from_s`."""
        self._free_s = max(self._free_s, from_s)
        if self._bytes_per_s is not None:
            self._free_s += num_bytes / self._bytes_per_s
        self.num_bytes += num_bytes
        return self._free_s + self._latency_s


class Kind(Enum):
    """What a transfer does."""

    LOAD = "host memory to device"
    STORE = "device to host memory"
    PROMOTE = "disk to host memory"
    WRITE = "host memory to disk"


@dataclass(frozen=True, slots=True)
class Transfer:
    """Chunks on their way, and for whom."""

    kind: Kind
    keys: Sequence[Key]
    end_s: float
    request: RunningRequest | None


class _Entry(NamedTuple):
    end_s: float
    order: int  # what began first ends first among equals
    transfer: Transfer


class Transfers:
    """Transfers under way, by the second at which they end."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._order = count()

    @property
    def next_end_s(self) -> float | None:
        """The second at which the next one ends; None if there is none."""
        return self._heap[0].end_s if self._heap else None

    def add(
        self,
        kind: Kind,
        keys: Sequence[Key],
        end_s: float,
        request: RunningRequest | None = None,
    ) -> None:
        """Note a transfer that ends at `end_s`."""
        transfer = Transfer(kind, keys, end_s, request)
        heapq.heappush(self._heap, _Entry(end_s, next(self._order), transfer))

    def pop(self, now_s: float) -> Transfer | None:
        """The next one that ended by now."""
        if self._heap and self._heap[0].end_s <= now_s:
            return heapq.heappop(self._heap).transfer
        return None
