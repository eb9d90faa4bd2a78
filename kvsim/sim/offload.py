"""Host and disk tiers below the device's prefix cache, as vLLM's native offload keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from kvsim.sim.block_pool import NULL_BLOCK
from kvsim.sim.offload_groups import Lookup, OffloadGroup, find_prefix
from kvsim.sim.request import RunningRequest
from kvsim.sim.tiers import ChunkStore, Key, Kind, Link, TierUse, Transfer, Transfers
from kvsim.specs.offload import Offload
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSizes:
    """Chunks that each tier has room for, and the links between them."""

    num_host_chunks: int
    num_disk_chunks: int  # 0: no disk tier
    chunk_bytes: int  # of one chunk on disk, over all ranks
    copies: int  # ranks whose bytes a chunk holds
    links: Offload


@dataclass(slots=True)
class _Progress:
    """What a request stored and used. `next_stored` is the first chunk per group to look at."""

    next_stored: list[int]
    num_stores: int = 0  # under way
    is_loading: bool = False
    is_closed: bool = False  # the request is done, and what it used is noted
    used: dict[Key, None] = field(default_factory=dict)


class TierConnector:
    """Stores prompts in host memory, and behind it on disk, and loads them before a prefill.

    A chunk is written through: to host memory once the step that computed it ended, from there
    to disk. A prefix on disk alone is read into host memory first. A request waits while what it
    could load is on its way in, or is loaded by another, which then shares it.

    Invariant: a chunk that a transfer reads or writes stays until the transfer ends.

    Source:
        vLLM `OffloadingConnectorScheduler`, distributed/kv_transfer/kv_connector/v1/offloading/
        scheduler.py, and `TieringOffloadingManager`, vllm/v1/kv_offload/tiering/, 0.32.0.
    """

    def __init__(
        self, groups: Sequence[OffloadGroup], sizes: TierSizes, *, shares_loads: bool
    ) -> None:
        self._groups = tuple(groups)
        self._shares_loads = shares_loads
        self._sizes = sizes
        links = sizes.links
        self._host = ChunkStore(sizes.num_host_chunks)
        self._disk = ChunkStore(sizes.num_disk_chunks) if sizes.num_disk_chunks else None
        self._up = Link(links.offload_bytes_per_s, links.offload_latency_s)
        self._down = Link(links.offload_bytes_per_s, links.offload_latency_s)
        self._reading = Link(links.disk_bytes_per_s, links.disk_latency_s)
        self._writing = Link(links.disk_bytes_per_s, links.disk_latency_s)
        self._progress: dict[RunningRequest, _Progress] = {}
        self._transfers = Transfers()
        self._now_s = 0.0
        self._to_store: list[tuple[RunningRequest, list[Key], int]] = []
        self._finished: list[RunningRequest] = []
        self._being_loaded: set[Key] = set()
        self._from_disk: set[Key] = set()  # chunks whose host copy was read from disk
        self._hit_tokens = {"host": 0, "disk": 0}

    @property
    def next_end_s(self) -> float | None:
        """The second at which the next transfer ends."""
        return self._transfers.next_end_s

    def begin(self, now_s: float) -> None:
        """Take in transfers that ended."""
        self._now_s = now_s
        while (done := self._transfers.pop(now_s)) is not None:
            match done.kind:
                case Kind.LOAD:
                    self._end_load(done)
                case Kind.STORE:
                    self._end_store(done)
                case Kind.PROMOTE:
                    self._host.settle(done.keys)
                case Kind.WRITE:
                    self._host.release(done.keys)
                    if self._disk is not None:
                        self._disk.settle(done.keys)

    def find(self, request: RunningRequest, num_local_tokens: int) -> int | None:
        """Tokens after the device's own that the host has or gets; None while they come."""
        progress = self._progress_of(request)
        if progress.num_stores or progress.is_loading:
            return None
        found = find_prefix(self._groups, request, num_local_tokens, self._look_up)
        if not found:
            return found
        end = num_local_tokens + found
        for group in self._groups if self._shares_loads else ():
            keys = group.keys(request, num_local_tokens // group.chunk, ceil_div(end, group.chunk))
            window = group.load_window(end)
            if any(k in self._being_loaded for k in (keys[-window:] if window else keys)):
                return None
        return found

    def load(self, request: RunningRequest, *, num_local_tokens: int, num_tokens: int) -> None:
        """Read the chunks of the blocks that are there for them, group by group."""
        progress = self._progress_of(request)
        keys: list[Key] = []
        num_bytes = 0
        for i, group in enumerate(self._groups):
            first, end = num_local_tokens // group.chunk, ceil_div(num_tokens, group.chunk)
            table = request.tables[group.index].blocks
            while first < end and table[first] == NULL_BLOCK:
                first += 1
            keys += group.keys(request, first, end)
            num_bytes += (end - first) * group.block_bytes
            progress.next_stored[i] = end
        self._host.hold(keys)
        progress.used.update(dict.fromkeys(keys))
        progress.is_loading = True
        self._being_loaded.update(keys)
        if not request.num_preemptions:
            is_read = any(key in self._from_disk for key in keys)
            self._hit_tokens["disk" if is_read else "host"] += num_tokens - num_local_tokens
        end_s = self._up.send(num_bytes, from_s=self._now_s)
        self._transfers.add(Kind.LOAD, keys, end_s, request)

    def is_loaded(self, request: RunningRequest) -> bool:
        """Whether its chunks arrived."""
        return not self._progress_of(request).is_loading

    def store(self, request: RunningRequest, num_tokens: int) -> None:
        """Offer the prompt's chunks that a step completes, as far as a later prompt finds them."""
        progress = self._progress_of(request)
        num_tokens = min(num_tokens, request.num_prompt_tokens)
        offered: list[Key] = []
        num_bytes: dict[Key, int] = {}
        ends = [group.num_storable(request, num_tokens) for group in self._groups]
        for group, first, end in zip(self._groups, progress.next_stored, ends, strict=True):
            for key in group.keys_to_store(request, first, end):
                offered.append(key)
                num_bytes[key] = group.block_bytes
        looked_up = (key for key in offered if self._look_up_host(key) is not Lookup.PENDING)
        progress.used.update(dict.fromkeys(looked_up))
        new = self._host.add(offered) if offered else []
        if new is None:
            return  # offered again after the next step
        progress.next_stored = [max(pair) for pair in zip(progress.next_stored, ends, strict=True)]
        if new:
            progress.num_stores += 1
            self._to_store.append((request, new, sum(num_bytes[key] for key in new)))

    def finish(self, request: RunningRequest) -> None:
        """Its chunks count as used when the next step is scheduled, the prompt's start last."""
        self._finished.append(request)

    def close_schedule(self) -> None:
        """Note what finished requests used."""
        for request in self._finished:
            progress = self._progress_of(request)
            used = sorted(progress.used, key=lambda key: (key.identity.end, key.group))
            self._host.use(reversed(used))
            progress.is_closed = True
            if not progress.num_stores:
                del self._progress[request]
        self._finished.clear()

    def end(self, now_s: float) -> None:
        """Send out what the step computed."""
        for request, keys, num_bytes in self._to_store:
            end_s = self._down.send(num_bytes, from_s=now_s)
            self._transfers.add(Kind.STORE, keys, end_s, request)
        self._to_store.clear()

    def tiers(self) -> tuple[TierUse, ...]:
        """What each tier did."""
        copies = self._sizes.copies
        host = self._use("host", self._host, self._up.num_bytes, self._down.num_bytes, copies)
        if self._disk is None:
            return (host,)
        read, written = self._reading.num_bytes, self._writing.num_bytes
        return (host, self._use("disk", self._disk, read, written, 1))

    def _use(self, name: str, store: ChunkStore, loaded: int, stored: int, copies: int) -> TierUse:
        return TierUse(
            name=name,
            capacity_chunks=store.num_chunks,
            peak_chunks=store.peak_chunks,
            hit_tokens=self._hit_tokens[name],
            loaded_bytes=loaded * copies,
            stored_bytes=stored * copies,
            evicted_chunks=store.num_evicted,
            refused_stores=store.num_refused,
        )

    def _look_up_host(self, key: Key) -> Lookup:
        chunk = self._host.find(key)
        if chunk is None:
            return Lookup.MISS
        return Lookup.HIT if chunk.is_ready else Lookup.PENDING

    def _look_up(self, key: Key) -> Lookup:
        held = self._look_up_host(key)
        if held is not Lookup.MISS or self._disk is None:
            return held
        stored = self._disk.find(key)
        if stored is None or not stored.is_ready or self._host.add([key]) is None:
            return Lookup.MISS
        self._disk.use([key])
        self._from_disk.add(key)
        end_s = self._reading.send(self._sizes.chunk_bytes, from_s=self._now_s)
        self._transfers.add(Kind.PROMOTE, [key], end_s)
        return Lookup.PENDING

    def _end_load(self, done: Transfer) -> None:
        self._host.release(done.keys)
        self._being_loaded.difference_update(done.keys)
        assert done.request is not None
        self._progress_of(done.request).is_loading = False

    def _end_store(self, done: Transfer) -> None:
        self._host.settle(done.keys)
        self._from_disk.difference_update(done.keys)
        assert done.request is not None
        progress = self._progress_of(done.request)
        progress.num_stores -= 1
        if progress.is_closed and not progress.num_stores:
            del self._progress[done.request]
        new = self._disk.add(done.keys) if self._disk is not None else None
        if new:
            self._host.hold(new)
            num_bytes = len(new) * self._sizes.chunk_bytes
            end_s = self._writing.send(num_bytes, from_s=done.end_s)
            self._transfers.add(Kind.WRITE, new, end_s)

    def _progress_of(self, request: RunningRequest) -> _Progress:
        return self._progress.setdefault(request, _Progress([0] * len(self._groups)))
