"""The loop over steps in the compiled twin: arrivals, a schedule, its seconds, what it brings."""

from kvsim.sim._kernels.cache import num_free
from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.running import run_all, run_in_order
from kvsim.sim._kernels.settling import settle
from kvsim.sim._kernels.state import (
    GOES_ON,
    IS_DONE,
    IS_STUCK,
    NEVER,
    NONE,
    WANTS_REQUESTS,
    WANTS_ROOM,
    Memory,
    Run,
)
from kvsim.sim._kernels.waiting import admit, first_waiting, num_waiting
from kvsim.sim.step_costs import CostForm

CONSTANT, LINE = int(CostForm.CONSTANT), int(CostForm.LINE)


@piece
def schedule(s: Run, m: Memory) -> None:
    """Choose what the next step computes."""
    s.budget = s.max_tokens
    s.num_tokens = s.num_spans = s.context = s.pairs = 0
    s.num_preempted = s.num_fresh = s.num_cut = 0
    s.query_tokens = s.hit_tokens = s.resume_query_tokens = s.resume_hit_tokens = 0
    limit = prefill_limit(s)
    if s.num_running and not run_all(s, m, limit):
        run_in_order(s, m, limit)
    if s.num_preempted == 0:
        while s.budget > 0 and s.num_running < s.max_running:
            r = first_waiting(s)
            if r == NONE or not admit(s, m, r, limit):
                break
    s.computed_tokens += s.num_tokens
    place = s.decoded & s.ring_mask
    s.idle_tokens += m.idle[place]
    m.idle[place] = 0


@piece
def prefill_limit(s: Run) -> int:
    """Most tokens of one request in this step; a request that is alone starves nobody."""
    count = s.num_running + num_waiting(s)
    if s.prefill_limit == 0 or count < 2:
        return NEVER
    if s.prefill_limit_adapts:
        return max(s.prefill_limit, s.max_tokens // count)
    return s.prefill_limit


@piece
def seconds(s: Run, m: Memory) -> float:
    """How long the step takes."""
    if s.form == CONSTANT:
        return s.base_s
    if s.num_tokens == 0:
        return 0.0
    if s.form == LINE:
        told = s.base_s + s.per_request_s * s.num_spans
        return told + s.per_token_s * s.num_tokens + s.per_cached_token_s * s.context
    flops = s.pair_flops * s.pairs
    flops += s.token_flops * s.num_tokens + s.sample_flops * s.num_spans
    num_bytes = s.weights_bytes * m.shares[s.num_tokens] + s.context_bytes * s.context
    return max(flops / s.flops_per_s, num_bytes / s.bytes_per_s)


@piece
def record(s: Run, m: Memory, end_s: float) -> None:
    """Write the step as it stands right after it was scheduled."""
    row = m.steps[s.num_series]
    row.step = s.step
    row.start_s = s.now_s
    row.end_s = end_s
    row.num_tokens = s.num_tokens
    row.num_running = s.num_running
    row.num_waiting = num_waiting(s)
    row.num_used_blocks = s.num_blocks - num_free(s)
    empty = s.table_blocks * s.block_size - s.computed_tokens
    row.reserved_blocks = (empty - s.idle_tokens) / s.block_size
    row.idle_blocks = s.idle_tokens / s.block_size
    row.num_query_tokens = s.query_tokens
    row.num_hit_tokens = s.hit_tokens
    row.num_resume_query_tokens = s.resume_query_tokens
    row.num_resume_hit_tokens = s.resume_hit_tokens
    row.num_preempted = s.num_preempted
    s.num_series += 1


@piece
def arrive(s: Run, m: Memory) -> int:
    """Queue what has arrived; GOES_ON if there is a step to take."""
    if s.num_running == 0 and num_waiting(s) == 0:
        if s.num_arrived == s.num_requests:
            return IS_DONE if s.is_last else WANTS_REQUESTS
        if not s.unreported:
            s.now_s = max(s.now_s, m.req[s.num_arrived].arrival_s)  # idle: jump, don't tick
    while s.num_arrived < s.num_requests and m.req[s.num_arrived].arrival_s <= s.now_s:
        s.num_arrived += 1
    if s.num_arrived == s.num_requests and not s.is_last:
        return WANTS_REQUESTS
    return GOES_ON


@piece
def is_stuck(s: Run, was_empty: int, num_done: int, end_s: float) -> bool:
    """Whether nothing runs and nothing can."""
    if s.num_tokens or num_done:
        return False
    if s.num_arrived < s.num_requests and end_s > s.now_s:
        return False
    if s.num_running == 0 and num_waiting(s) == 0:
        return False
    return was_empty == 1 if s.is_async else s.num_preempted == 0


@piece
def has_rows(s: Run, m: Memory) -> bool:
    """Whether one more step can be logged, whatever happens in it."""
    return (
        s.num_series < m.steps.size
        and s.num_evictions + s.max_running <= m.evictions.size
        and s.num_stalls + 2 * s.max_running <= m.stalls.size
    )


def run(s: Run, m: Memory) -> int:
    """Go on until all is served, or something is wanted; why it stopped."""
    while True:
        if not has_rows(s, m):
            return WANTS_ROOM
        reply = arrive(s, m)
        if reply != GOES_ON:
            return reply
        schedule(s, m)
        end_s = s.now_s + seconds(s, m)
        record(s, m, end_s)
        was_empty = s.was_empty
        num_done = settle(s, m, s.last_end_s, end_s)
        if is_stuck(s, was_empty, num_done, end_s):
            return IS_STUCK
        s.now_s = s.last_end_s = end_s
        s.was_empty = s.num_tokens == 0 and s.num_preempted == 0
        s.step += 1
