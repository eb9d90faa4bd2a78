"""Running requests in the compiled twin: a step over them, and how they give way."""

from kvsim.sim._kernels.cache import blocks_of, num_free, publish, release, take
from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.decoding import (
    end_decoding,
    fill_block,
    fill_blocks,
    idle_slots,
    last_border,
)
from kvsim.sim._kernels.state import DECODING, NONE, PREFILLING, WAITING, Memory, Run


@piece
def leave(s: Run, m: Memory, r: int) -> None:
    """Take a request out of the running list."""
    req = m.req
    before, after = req[r].before, req[r].after
    if before == NONE:
        s.head = after
    else:
        req[before].after = after
    if after == NONE:
        s.tail = before
    else:
        req[after].before = before
    s.num_running -= 1


@piece
def give_back(s: Run, m: Memory, r: int, num_published: int, owner: int) -> None:
    """Free the blocks of a request that left the running list."""
    computed = m.req[r].computed
    if computed > last_border(s, m, r):
        s.idle_tokens -= idle_slots(s, m, r)
    s.computed_tokens -= computed
    release(s, m, r, num_published, owner)


@piece
def num_published(s: Run, m: Memory, r: int) -> int:
    """Full blocks of a running request that can be found.

    Async scheduling learns a token when the next is under way: a block that an answer fills can
    be found one token later.
    """
    req, full = m.req, m.req[r].computed // s.block_size
    if not s.is_async or req[r].status == PREFILLING or req[r].cut_step == s.step - 1:
        return full
    known = req[r].known // s.block_size
    return max(known, (req[r].computed - 1) // s.block_size)


@piece
def wait(s: Run, m: Memory, r: int) -> None:
    """Note since when a request waits for a token that would have come in this step."""
    if not m.req[r].is_late:
        m.req[r].is_late = 1
        m.req[r].last_token_s = s.last_end_s


@piece
def log_eviction(s: Run, m: Memory, r: int, by: int) -> None:
    """Write down who lost blocks to whom."""
    m.req[r].lost_tokens = m.req[r].computed
    row = m.evictions[s.num_evictions]
    row.step = s.step
    row.time_s = s.now_s
    row.request = r
    row.by = by
    row.num_lost_tokens = m.req[r].computed
    s.num_evictions += 1


@piece
def preempt(s: Run, m: Memory, r: int, by: int) -> None:
    """Take a running request's blocks; it is computed again later, from the front of the queue."""
    req = m.req
    leave(s, m, r)
    if req[r].status == DECODING:
        end_decoding(s, m, r)
    published = num_published(s, m, r)
    if req[r].status == PREFILLING:
        s.num_prefilling -= 1
    else:
        req[r].known = req[r].computed + 1
        wait(s, m, r)
    log_eviction(s, m, r, by)
    give_back(s, m, r, published, r)
    req[r].status = WAITING
    req[r].num_preemptions += 1
    req[r].after = s.front
    s.front = r
    s.num_preempted_waiting += 1
    s.num_preempted += 1


@piece
def make_room(s: Run, m: Memory, r: int, count: int) -> bool:
    """Free blocks, from the tail of the running list; False if the request itself had to go."""
    while num_free(s) < count:
        victim = s.tail
        preempt(s, m, victim, r)
        if victim == r:
            return False
    return True


@piece
def compute_chunk(s: Run, m: Memory, r: int, count: int) -> None:
    """Let a request compute the next tokens that it knows; it has the blocks."""
    req = m.req
    start = req[r].computed
    stop = start + count
    border = last_border(s, m, r)
    if start <= border and stop > border:
        s.idle_tokens += idle_slots(s, m, r)
    req[r].computed = stop
    s.budget -= count
    s.num_tokens += count
    s.num_spans += 1
    s.context += stop
    s.pairs += (stop * (stop + 1) - start * (start + 1)) // 2
    if s.caches:
        publish(s, m, r, stop // s.block_size)
    if stop == req[r].known:
        m.fresh[s.num_fresh] = r
        s.num_fresh += 1


@piece
def continue_prefill(s: Run, m: Memory, r: int, limit: int) -> bool:
    """Compute the next chunk of a running request's prompt; False if it was preempted."""
    count = min(m.req[r].known - m.req[r].computed, limit, s.budget)
    if count <= 0:
        return True
    held = blocks_of(s, m.req[r].computed)
    missing = blocks_of(s, m.req[r].computed + count) - held
    if not make_room(s, m, r, missing):
        return False
    take(s, m, missing)
    s.table_blocks += missing
    compute_chunk(s, m, r, count)
    return True


@piece
def count_decoders(s: Run, num_advanced: int, sum_context: int) -> None:
    """Count the tokens of decoding requests; each attends to all up to itself."""
    s.budget -= num_advanced
    s.num_tokens += num_advanced
    s.num_spans += num_advanced
    s.context += sum_context
    s.pairs += sum_context


@piece
def run_all(s: Run, m: Memory, limit: int) -> bool:
    """The usual step: every request has room, none has to be looked at; False if it is not so."""
    tail = s.tail
    if s.num_decoding > s.budget or s.num_prefilling > 1:
        return False
    missing, chunk = m.due[s.phase], 0
    if s.num_prefilling == 1:
        if m.req[tail].status != PREFILLING:
            return False
        start = m.req[tail].computed
        chunk = min(m.req[tail].known - start, limit, s.budget - s.num_decoding)
        missing += blocks_of(s, start + chunk) - blocks_of(s, start)
    if missing > num_free(s):
        return False
    take(s, m, missing)
    s.table_blocks += missing
    if s.caches:
        fill_blocks(s, m)
    count = s.num_decoding
    count_decoders(s, count, s.sum_base + count * (s.decoded + 1))
    if chunk > 0:
        compute_chunk(s, m, tail, chunk)
    return True


@piece
def run_in_order(s: Run, m: Memory, limit: int) -> None:
    """The step in which blocks or tokens run short: request by request."""
    req, r = m.req, s.head
    while r != NONE and s.budget > 0:
        if req[r].status == PREFILLING:
            if not continue_prefill(s, m, r, limit):
                return
        elif req[r].status == DECODING:
            computed = req[r].computed + s.decoded
            missing = int(computed % s.block_size == 0)
            if not make_room(s, m, r, missing):
                return
            take(s, m, missing)
            s.table_blocks += missing
            fill_block(s, m, r)
            count_decoders(s, 1, computed + 1)
        r = req[r].after
    while r != NONE:
        if req[r].status == DECODING:
            cut(s, m, r)
        r = req[r].after


@piece
def cut(s: Run, m: Memory, r: int) -> None:
    """Let a decoding request compute nothing in this step: all it awaits comes a step later."""
    end_decoding(s, m, r)
    wait(s, m, r)
    m.req[r].cut_step = s.step
    m.cut[s.num_cut] = r
    s.num_cut += 1
