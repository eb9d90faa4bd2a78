"""One group's chunks in a tier: which are stored, and which a prefix needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from kvsim.sim.block_pool import NULL_BLOCK
from kvsim.sim.groups import CacheGroup
from kvsim.sim.request import RunningRequest
from kvsim.sim.tiers import Key
from kvsim.units import ceil_div


class Lookup(Enum):
    """What a tier says of a key."""

    HIT = "hit"
    PENDING = "pending"  # on its way in
    MISS = "miss"


@dataclass(frozen=True, slots=True)
class OffloadGroup:
    """A group of layers as a tier sees it; a chunk is one of its blocks."""

    cache: CacheGroup
    block_bytes: int  # of one block on one rank, without padding
    window: int | None = None  # tokens that a query attends to, itself included
    extra_tokens: int = 0  # kept behind the window for speculative modules

    @property
    def index(self) -> int:
        """Among the cache's groups."""
        return self.cache.index

    @property
    def chunk(self) -> int:
        """Tokens of a chunk."""
        return self.cache.block_size

    @property
    def window_chunks(self) -> int | None:
        """Chunks in a row that make a hit; None: all of them.

        Source:
            vLLM `get_sliding_window_size_in_chunks`, offloading/scheduler.py, 0.32.0.
        """
        if self.window is None:
            return None
        kept = ceil_div(self.window - 1 + self.extra_tokens, self.chunk)
        return max(ceil_div(self.window, self.chunk), kept)

    def load_window(self, num_tokens: int) -> int | None:
        """Chunks that a prefix of so many tokens ends with: the last may be needed in part.

        Source:
            vLLM `GroupOffloadConfig.load_window_size_in_chunks`, 0.32.0.
        """
        if self.window is None or self.window_chunks is None:
            return None
        padding = -num_tokens % self.chunk
        kept = self.window - 1 + self.extra_tokens + padding
        return max(self.window_chunks, ceil_div(kept, self.chunk))

    def key(self, request: RunningRequest, chunk: int) -> Key:
        """The key of a request's chunk."""
        return Key(self.index, request.content.identity((chunk + 1) * self.chunk))

    def keys(self, request: RunningRequest, first: int, end: int) -> list[Key]:
        """The keys of chunks `first` .. `end` - 1."""
        return [self.key(request, chunk) for chunk in range(first, end)]

    def num_storable(self, request: RunningRequest, num_tokens: int) -> int:
        """Leading chunks of the first `num_tokens` tokens that are full and have blocks."""
        held = len(request.tables[self.index].blocks)
        return min(num_tokens // self.chunk, held)

    def keys_to_store(self, request: RunningRequest, first: int, end: int) -> list[Key]:
        """The keys of chunks whose blocks the request holds, and that a later hit can use."""
        if first >= end:
            return []
        table = request.tables[self.index].blocks
        reachable = self.cache.reachable(request, first, end)
        return [self.key(request, i) for i in reachable if table[i] != NULL_BLOCK]


def find_prefix(
    groups: Sequence[OffloadGroup],
    request: RunningRequest,
    num_local_tokens: int,
    look_up: Callable[[Key], Lookup],
) -> int | None:
    """Tokens beyond `num_local_tokens` on which all groups agree; None while some are on the way.

    Each group in turn accepts the longest prefix or shortens it; windows are asked again where
    another group shortened what they had accepted.

    Source:
        vLLM `OffloadingConnectorScheduler._lookup_complete_chunks`, 0.32.0.
    """
    full = [group for group in groups if group.window is None]
    windows = [group for group in groups if group.window is not None]
    windows.sort(key=lambda group: group.window_chunks or 0, reverse=True)
    most = request.num_tokens - (1 if windows else 0)
    found, is_pending = 0, False
    todo = [*full, *windows]
    while todo:
        asked, todo = todo, []
        asked_window = False
        for group in asked:
            most = min(most, request.num_tokens // group.chunk * group.chunk)
            if most - num_local_tokens < group.chunk:
                return 0
            first = num_local_tokens // group.chunk
            hits = _hits(group, request, first, most, look_up)
            if hits == 0:
                return 0
            if hits is None:
                is_pending = True
            else:
                most = min(most, group.chunk * (first + hits))
            if most - num_local_tokens < group.chunk:
                return 0
            if most - num_local_tokens < found:
                if is_pending:
                    is_pending, todo = False, [*full, *windows]
                elif asked_window and not todo:
                    todo = windows
            asked_window |= group.window is not None
            found = most - num_local_tokens
    return None if is_pending else found


def _hits(
    group: OffloadGroup,
    request: RunningRequest,
    first: int,
    num_tokens: int,
    look_up: Callable[[Key], Lookup],
) -> int | None:
    """Chunks after `first` with which a prefix of at most `num_tokens` can end."""
    keys = group.keys(request, first, ceil_div(num_tokens, group.chunk))
    if group.window_chunks is None:
        return _leading(keys, look_up)
    return _last_run(keys, group.window_chunks, group.load_window(num_tokens) or 0, look_up)


def _leading(keys: Sequence[Key], look_up: Callable[[Key], Lookup]) -> int | None:
    hits, is_pending = 0, False
    for key in keys:
        result = look_up(key)
        if result is Lookup.MISS:
            break
        is_pending |= result is Lookup.PENDING
        hits += 1
    return None if is_pending else hits


def _last_run(
    keys: Sequence[Key], window: int, first_window: int, look_up: Callable[[Key], Lookup]
) -> int | None:
    """Where the last run of a window's chunks ends, right to left; what is left at the start."""
    run, wanted, is_pending = 0, first_window, False
    for i in range(len(keys) - 1, -1, -1):
        result = look_up(keys[i])
        if result is Lookup.MISS:
            run, wanted, is_pending = 0, window, False
            continue
        is_pending |= result is Lookup.PENDING
        run += 1
        if run == wanted:
            return None if is_pending else i + run
    return None if is_pending else run
