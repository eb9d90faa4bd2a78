"""The end of a step in the compiled twin: tokens become known, requests end."""

from kvsim.sim._kernels.cache import publish
from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.decoding import begin_decoding, end_decoding, sort_by_order
from kvsim.sim._kernels.running import give_back, leave
from kvsim.sim._kernels.state import DECODING, ENDING, NONE, WAITING, Memory, Run
from kvsim.sim._kernels.waiting import leave_middle


@piece
def finish(s: Run, m: Memory, r: int, end_s: float) -> None:
    """A request's last token is known."""
    req = m.req
    if req[r].status == WAITING:  # it was preempted while the token was under way
        leave_middle(s, m, r)
        if req[r].private_node != NONE:
            m.node[req[r].private_node].owner = NONE
    else:
        leave(s, m, r)
        give_back(s, m, r, req[r].computed // s.block_size, NONE)
    req[r].last_step = s.step
    req[r].finish_s = end_s
    s.num_finished += 1


@piece
def collect_ending(s: Run, m: Memory) -> None:
    """Take those that computed their last token out of the decoding ones, in running order."""
    count = 0
    r = m.events[s.decoded & s.ring_mask]
    while r != NONE:
        m.ending[count] = r
        count += 1
        r = m.req[r].event_after
    for i in range(count):
        end_decoding(s, m, m.ending[i])
        m.req[m.ending[i]].status = ENDING
    if s.caches:
        sort_by_order(m, m.ending, count)
    s.num_ending = count


@piece
def finish_ending(s: Run, m: Memory, end_s: float) -> None:
    """Settle the step that computed the last tokens of some; others can find what they filled."""
    if s.caches:
        count = 0
        num_cut = s.num_cut if s.is_async else 0
        for i in range(s.num_ending + num_cut):
            r = m.ending[i] if i < s.num_ending else m.cut[i - s.num_ending]
            if m.req[r].status != WAITING:
                m.chosen[count] = r
                count += 1
        sort_by_order(m, m.chosen, count)
        for i in range(count):
            r = m.chosen[i]
            publish(s, m, r, m.req[r].computed // s.block_size)
    for i in range(s.num_ending):
        finish(s, m, m.ending[i], end_s)
    s.unreported = s.num_ending > 0


@piece
def log_stall(s: Run, m: Memory, r: int, end_s: float) -> None:
    """Write down how long a request waited for the token that it gets, if longer than a step."""
    if not m.req[r].is_late:
        return
    m.req[r].is_late = 0
    row = m.stalls[s.num_stalls]
    row.request = r
    row.from_s = m.req[r].last_token_s
    row.until_s = end_s
    s.num_stalls += 1


@piece
def advance(s: Run, m: Memory, end_s: float) -> None:
    """Move the shared counter on, and who began or stopped to decode with it."""
    s.decoded += 1
    s.phase += 1
    if s.phase == s.block_size:
        s.phase = 0
    for i in range(s.num_late):
        r = m.late[i]
        if m.req[r].status == DECODING and m.req[r].cut_step < s.step:
            log_stall(s, m, r, end_s)
    for i in range(s.num_cut):
        begin_decoding(s, m, m.cut[i])
        m.late[i] = m.cut[i]
    s.num_late = s.num_cut
    for i in range(s.num_fresh):
        r = m.fresh[i]
        if m.req[r].first_token_step < 0:
            m.req[r].first_token_step = s.step + s.is_async
            m.req[r].first_token_s = end_s
        log_stall(s, m, r, end_s)
        s.num_prefilling -= 1
        begin_decoding(s, m, r)


@piece
def settle(s: Run, m: Memory, before_s: float, end_s: float) -> int:
    """Take in what the step computed, or with async scheduling the step before."""
    if s.is_async:
        finish_ending(s, m, before_s)
        num_done = s.num_ending
        advance(s, m, end_s)
        collect_ending(s, m)
        return num_done
    advance(s, m, end_s)
    collect_ending(s, m)
    finish_ending(s, m, end_s)
    num_done = s.num_ending
    s.num_ending = 0
    return num_done
