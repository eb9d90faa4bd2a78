"""Requests that decode in the compiled twin: a step that all take part in touches none of them.

Each has computed `computed + s.decoded` tokens. What will happen to one is known in advance:
`event` is the value of the shared counter at which it fills a block that others may have too, or
computes its last token.
"""

from kvsim.sim._kernels.cache import publish
from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.state import DECODING, NONE, Ints, Memory, Run


@piece
def last_border(s: Run, m: Memory, r: int) -> int:
    """Tokens before a request's last block; its last token is never computed."""
    return (m.req[r].end - 2) // s.block_size * s.block_size


@piece
def idle_slots(s: Run, m: Memory, r: int) -> int:
    """Slots of a request's last block that no token will ever fill."""
    return last_border(s, m, r) + s.block_size - (m.req[r].end - 1)


@piece
def next_event(s: Run, m: Memory, r: int) -> int:
    """When a decoding request next fills a block that others may have too, or is done."""
    req = m.req
    event = req[r].end - 1 - req[r].computed
    if req[r].num_shared_published < req[r].shared_blocks:
        full = (req[r].num_shared_published + 1) * s.block_size - req[r].computed
        event = min(event, full + s.is_async)
    return event


@piece
def expect(s: Run, m: Memory, r: int, event: int) -> None:
    """Note when something will happen to a decoding request."""
    req, place = m.req, event & s.ring_mask
    first = m.events[place]
    req[r].event = event
    req[r].event_before = NONE
    req[r].event_after = first
    if first != NONE:
        req[first].event_before = r
    m.events[place] = r


@piece
def expect_no_more(s: Run, m: Memory, r: int) -> None:
    """Forget what was to happen to a request."""
    req = m.req
    before, after = req[r].event_before, req[r].event_after
    if before == NONE:
        m.events[req[r].event & s.ring_mask] = after
    else:
        req[before].event_after = after
    if after != NONE:
        req[after].event_before = before


@piece
def begin_decoding(s: Run, m: Memory, r: int) -> None:
    """Move a request that has computed all it knows to those that a step need not touch."""
    req = m.req
    computed = req[r].computed
    req[r].status = DECODING
    req[r].computed = computed - s.decoded
    s.num_decoding += 1
    s.sum_base += req[r].computed
    m.due[-req[r].computed % s.block_size] += 1
    border = last_border(s, m, r)
    if computed <= border:
        m.idle[(border - req[r].computed) & s.ring_mask] += idle_slots(s, m, r)
    expect(s, m, r, next_event(s, m, r))


@piece
def end_decoding(s: Run, m: Memory, r: int) -> int:
    """Take a request out of those; its computed tokens."""
    req = m.req
    base = req[r].computed
    computed = base + s.decoded
    s.num_decoding -= 1
    s.sum_base -= base
    m.due[-base % s.block_size] -= 1
    border = last_border(s, m, r)
    if computed <= border:
        m.idle[(border - base) & s.ring_mask] -= idle_slots(s, m, r)
    expect_no_more(s, m, r)
    req[r].computed = computed
    return computed


@piece
def fill_block(s: Run, m: Memory, r: int) -> None:
    """Publish the block that a decoding request fills in this step, if others may have it."""
    if m.req[r].event != s.decoded + 1:
        return
    if s.is_async:
        full = (m.req[r].computed + s.decoded) // s.block_size
    else:
        full = (m.req[r].computed + s.decoded + 1) // s.block_size
    if m.req[r].num_shared_published < min(full, m.req[r].shared_blocks):
        publish(s, m, r, full)
        expect_no_more(s, m, r)
        expect(s, m, r, next_event(s, m, r))


@piece
def sort_by_order(m: Memory, chosen: Ints, count: int) -> None:
    """Put requests in the order of the running list; they are few."""
    for i in range(1, count):
        r = chosen[i]
        j = i - 1
        while j >= 0 and m.req[chosen[j]].order > m.req[r].order:
            chosen[j + 1] = chosen[j]
            j -= 1
        chosen[j + 1] = r


@piece
def fill_blocks(s: Run, m: Memory) -> None:
    """Publish what decoding requests fill in this step."""
    count = 0
    r = m.events[(s.decoded + 1) & s.ring_mask]
    while r != NONE:
        if m.req[r].num_shared_published < m.req[r].shared_blocks:
            m.chosen[count] = r
            count += 1
        r = m.req[r].event_after
    sort_by_order(m, m.chosen, count)
    for i in range(count):
        fill_block(s, m, m.chosen[i])
