"""The queue in the compiled twin: preempted requests in front, then those that never ran."""

from kvsim.sim._kernels.cache import adopt, blocks_of, look_up, num_free, take
from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.running import compute_chunk
from kvsim.sim._kernels.state import NONE, PREFILLING, Memory, Run


@piece
def num_waiting(s: Run) -> int:
    """Requests in the queue."""
    return s.num_preempted_waiting + s.num_arrived - s.next_new


@piece
def first_waiting(s: Run) -> int:
    """The request that is tried next; NONE if none waits."""
    if s.front != NONE:
        return s.front
    return s.next_new if s.next_new < s.num_arrived else NONE


@piece
def leave_queue(s: Run, m: Memory, r: int) -> None:
    """Take the first in the queue out."""
    if r == s.front:
        s.front = m.req[r].after
        s.num_preempted_waiting -= 1
    else:
        s.next_new += 1


@piece
def leave_middle(s: Run, m: Memory, r: int) -> None:
    """Take a preempted request out of the queue, wherever it stands."""
    req = m.req
    s.num_preempted_waiting -= 1
    if s.front == r:
        s.front = req[r].after
        return
    x = s.front
    while req[x].after != r:
        x = req[x].after
    req[x].after = req[r].after


@piece
def enter(s: Run, m: Memory, r: int) -> None:
    """Append a request to the running list."""
    req = m.req
    req[r].order = s.num_admitted
    s.num_admitted += 1
    req[r].before = s.tail
    req[r].after = NONE
    if s.tail == NONE:
        s.head = r
    else:
        req[s.tail].after = r
    s.tail = r
    s.num_running += 1
    s.num_prefilling += 1
    req[r].status = PREFILLING
    if req[r].first_step < 0:
        req[r].first_step = s.step
        req[r].num_cached_tokens = s.num_found * s.block_size


@piece
def has_room(s: Run, m: Memory, r: int, stop: int) -> bool:
    """Whether the first in the queue may start: its next chunk has room, or its whole prompt."""
    room = num_free(s) - (s.spare_blocks if s.num_running else 0) - s.num_evictable
    whole = m.req[r].known if s.reserves else stop
    return max(0, blocks_of(s, max(whole, stop)) - s.num_found) <= room


@piece
def count_lookup(s: Run, m: Memory, r: int, hit: int) -> None:
    """Count what the prefix cache was asked for and had, first comers apart."""
    if m.req[r].num_preemptions:
        s.resume_query_tokens += m.req[r].known
        s.resume_hit_tokens += hit
    else:
        s.query_tokens += m.req[r].known
        s.hit_tokens += hit


@piece
def admit(s: Run, m: Memory, r: int, limit: int) -> bool:
    """Let the first in the queue run; False if it has to wait."""
    req = m.req
    s.num_found = s.num_evictable = 0
    if s.caches:
        look_up(s, m, r)
    hit = s.num_found * s.block_size
    count = min(req[r].known - hit, limit)
    if count > s.budget:
        if not s.chunks:
            return False
        count = s.budget
    if not has_room(s, m, r, hit + count):
        return False
    leave_queue(s, m, r)
    enter(s, m, r)
    if s.caches:
        count_lookup(s, m, r, hit)
        adopt(s, m, r)
    req[r].num_recomputed_tokens += max(0, req[r].lost_tokens - hit)
    req[r].computed = hit
    s.computed_tokens += hit
    missing = blocks_of(s, hit + count) - s.num_found
    take(s, m, missing)
    s.table_blocks += missing + s.num_found
    compute_chunk(s, m, r, count)
    return True
