"""The pool block by block over a run: who holds what, how full, and what happened in between."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from kvsim.errors import SpecError
from kvsim.sim.block_pool import NULL_BLOCK
from kvsim.sim.moment import Moment, Served
from kvsim.sim.request import Status

MOST_FRAMES = 300
MOST_BLOCKS = 1024
"""Blocks of the largest pool that is drawn; a larger one is no picture."""

Json = dict[str, object]


class BlockState(StrEnum):
    """What a block is; each is exactly one of these."""

    FREE = "free"  # nobody holds it, and nothing is in it
    CACHED = "cached"  # nobody holds it, its content can still be found
    HELD = "held"  # by one request
    SHARED = "shared"  # by several


class Block(NamedTuple):
    """One block at one moment."""

    state: BlockState
    num_tokens: int  # that it holds
    num_slots: int  # for tokens; 0 where nobody has said yet what it is for
    ref_count: int


FREE_BLOCK = Block(BlockState.FREE, 0, 0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameEvents:
    """What happened since the frame before; requests by their order of arrival."""

    num_allocated: int = 0  # blocks taken
    num_evicted: int = 0  # of these, blocks that lost content that could still be found
    num_hit_tokens: int = 0  # found in the prefix cache
    admitted: tuple[int, ...] = ()
    preempted: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()

    def followed_by(self, later: "FrameEvents") -> "FrameEvents":
        """Both together."""
        return FrameEvents(
            num_allocated=self.num_allocated + later.num_allocated,
            num_evicted=self.num_evicted + later.num_evicted,
            num_hit_tokens=self.num_hit_tokens + later.num_hit_tokens,
            admitted=self.admitted + later.admitted,
            preempted=self.preempted + later.preempted,
            finished=self.finished + later.finished,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFrame:
    """The pool right after a step was scheduled; the last frame, when all is answered.

    `blocks[i]` is block i + 1: block 0 is the null block, which nobody owns. `tables` has the
    blocks of each request that holds some, group after group, in the order of their tokens.
    """

    step: int
    start_s: float
    blocks: tuple[Block, ...]
    tables: Mapping[int, tuple[int, ...]]
    running: tuple[int, ...]
    waiting: tuple[int, ...]
    preempted: tuple[int, ...]
    events: FrameEvents

    def count(self, state: BlockState) -> int:
        """Blocks in a state."""
        return [block.state for block in self.blocks].count(state)

    @property
    def num_used(self) -> int:
        """Blocks that requests hold."""
        return self.count(BlockState.HELD) + self.count(BlockState.SHARED)

    @property
    def num_references(self) -> int:
        """Entries of all block tables: what requests would hold if they shared nothing."""
        return sum([block.ref_count for block in self.blocks])

    @property
    def num_saved(self) -> int:
        """Blocks that sharing spares."""
        return self.num_references - self.num_used

    def as_dict(self, before: "BlockFrame | None") -> Json:
        """Plain values; of blocks and tables, what differs from the frame before."""
        old_blocks = (FREE_BLOCK,) * len(self.blocks) if before is None else before.blocks
        old_tables: Mapping[int, tuple[int, ...]] = {} if before is None else before.tables
        gone = [(request, ()) for request in old_tables if request not in self.tables]
        changed = [(r, t) for r, t in self.tables.items() if old_tables.get(r) != t]
        counted = Counter([block.state for block in self.blocks])
        used = counted[BlockState.HELD] + counted[BlockState.SHARED]
        return {
            "step": self.step,
            "start_s": self.start_s,
            "running": list(self.running),
            "waiting": list(self.waiting),
            "preempted": list(self.preempted),
            "num_blocks": {str(state): counted[state] for state in BlockState},
            "num_used": used,
            "num_saved": self.num_references - used,
            "blocks": [
                [i + 1, str(new.state), new.num_tokens, new.num_slots, new.ref_count]
                for i, (old, new) in enumerate(zip(old_blocks, self.blocks, strict=True))
                if old != new
            ],
            "tables": [[request, list(table)] for request, table in (*gone, *changed)],
            "events": {f.name: getattr(self.events, f.name) for f in fields(FrameEvents)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockMap:
    """A run as frames, evenly spread over its steps; events between two frames are summed."""

    num_blocks: int  # the null block not counted
    num_steps: int
    steps_per_frame: int
    frames: tuple[BlockFrame, ...]

    def as_dict(self) -> Json:
        """Plain values."""
        before = (None, *self.frames[:-1])
        return {
            "num_blocks": self.num_blocks,
            "num_steps": self.num_steps,
            "steps_per_frame": self.steps_per_frame,
            "frames": [frame.as_dict(old) for frame, old in zip(self.frames, before, strict=True)],
        }


class BlockMapRecorder:
    """An observer that draws the pool: every step, or every 2nd, 4th, ... of a long run.

    Invariant: `_frames` are those of every `_stride`-th step, at most `most_frames` - 1: one is
    left for the end. What happened since the last of them is in `_events`.
    """

    def __init__(self, *, most_frames: int = MOST_FRAMES) -> None:
        if most_frames < 2:
            msg = f"most_frames={most_frames} must be >= 2: the last one is the end"
            raise SpecError(msg)
        self._most_frames = most_frames - 1
        self._stride = 1
        self._frames: list[BlockFrame] = []
        self._events = FrameEvents()
        self._last: Moment | None = None
        self._served: set[int] = set()
        self._counted = (0, 0)  # blocks taken and evicted by the last moment

    def __call__(self, moment: Moment) -> None:
        """Note a step.

        Raises:
            SpecError: for a pool that is too large to be drawn.
        """
        if moment.pool.num_usable > MOST_BLOCKS:
            msg = f"num_gpu_blocks={moment.pool.num_gpu_blocks} must be <= {MOST_BLOCKS + 1} where "
            raise SpecError(msg + "every block is drawn")
        self._last = moment
        batch = moment.batch
        self._events = self._events.followed_by(
            FrameEvents(
                num_hit_tokens=batch.num_hit_tokens + batch.num_resume_hit_tokens,
                admitted=tuple(admission.request.index for admission in batch.admitted),
                preempted=tuple(eviction.request.index for eviction in batch.preempted),
            )
        )
        self._count(moment)
        if moment.record.step % self._stride:
            return
        if len(self._frames) == self._most_frames:
            self._thin()
            if moment.record.step % self._stride:
                return
        self._frames.append(_frame(moment, moment.record.step, moment.record.start_s, self._events))
        self._events = FrameEvents()

    def block_map(self) -> BlockMap:
        """The run so far, its last frame when the last step was settled.

        Raises:
            SpecError: if no step was observed.
        """
        if self._last is None:
            msg = "block_map: the recorder must have observed at least one step"
            raise SpecError(msg)
        last = self._last
        self._count(last)
        end = _frame(last, last.record.step + 1, last.record.end_s, self._events)
        return BlockMap(
            num_blocks=last.pool.num_usable,
            num_steps=end.step,
            steps_per_frame=self._stride,
            frames=(*self._frames, end),
        )

    def _count(self, moment: Moment) -> None:
        """Add what the pool did, and who is no longer served."""
        pool, (allocated, evicted) = moment.pool, self._counted
        now = {served.running.index for served in moment.served}
        self._events = self._events.followed_by(
            FrameEvents(
                num_allocated=pool.num_allocated - allocated,
                num_evicted=pool.num_evicted - evicted,
                finished=tuple(sorted(self._served - now)),
            )
        )
        self._served = now
        self._counted = (pool.num_allocated, pool.num_evicted)

    def _thin(self) -> None:
        """Keep the first, third, ... frame, each with the events of the one before it."""
        pairs = zip(self._frames[1::2], self._frames[2::2], strict=False)
        if len(self._frames) % 2 == 0:
            self._events = self._frames[-1].events.followed_by(self._events)
        merged = (replace(b, events=a.events.followed_by(b.events)) for a, b in pairs)
        self._frames = [self._frames[0], *merged]
        self._stride *= 2


@lru_cache(maxsize=4096)
def _block(state: BlockState, num_tokens: int, num_slots: int, ref_count: int) -> Block:
    """One object for equal blocks: frames of a large pool then cost a pointer a block."""
    return Block(state, num_tokens, num_slots, ref_count)


def _frame(moment: Moment, step: int, start_s: float, events: FrameEvents) -> BlockFrame:
    pool = moment.pool
    filled = {block: use for served in moment.served for block, use in _uses(served, moment)}
    blocks = []
    for block_id in range(NULL_BLOCK + 1, pool.num_gpu_blocks):
        references = pool.ref_count(block_id)
        if references:
            state = BlockState.SHARED if references > 1 else BlockState.HELD
            blocks.append(_block(state, *filled[block_id], references))
        elif (group := pool.published_group(block_id)) is not None:
            slots = moment.groups[group].block_size
            blocks.append(_block(BlockState.CACHED, slots, slots, 0))
        else:
            blocks.append(FREE_BLOCK)
    by_status: dict[Status, list[int]] = {status: [] for status in Status}
    for served in moment.served:
        by_status[served.running.status].append(served.running.index)
    return BlockFrame(
        step=step,
        start_s=start_s,
        blocks=tuple(blocks),
        tables=_tables(moment),
        running=tuple(by_status[Status.RUNNING]),
        waiting=tuple(by_status[Status.WAITING]),
        preempted=tuple(by_status[Status.PREEMPTED]),
        events=events,
    )


def _tables(moment: Moment) -> dict[int, tuple[int, ...]]:
    tables = {
        served.running.index: tuple(
            block
            for table in served.running.tables
            for block in table.blocks
            if block != NULL_BLOCK
        )
        for served in moment.served
    }
    return {request: table for request, table in tables.items() if table}


def _uses(served: Served, moment: Moment) -> Iterator[tuple[int, tuple[int, int]]]:
    """Blocks of a request, each with its tokens and its slots.

    Blocks that are not filled one token after the other, such as states, count as full.
    """
    running = served.running
    for group, table in zip(moment.groups, running.tables, strict=True):
        size = group.block_size
        for i, block in enumerate(table.blocks):
            if block == NULL_BLOCK:
                continue
            left = running.num_computed_tokens - i * size if group.fills_up else size
            yield block, (min(size, max(0, left)), size)
