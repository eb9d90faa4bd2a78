"""Contiguous baselines: the parts are the pool, and decisions are functions of what came before."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvsim.errors import SpecError
from kvsim.sim.buddy import Buddies, Partitions
from kvsim.sim.contiguous import ContiguousServer, Reservation, Size, replay
from kvsim.specs.workload import Request, Workload

LONGEST = 64
WORKLOADS = st.lists(
    st.tuples(st.floats(0, 5), st.integers(1, LONGEST - 1), st.integers(1, 2 * LONGEST)),
    min_size=1,
    max_size=30,
).map(
    lambda rows: Workload(
        requests=tuple(
            Request(
                arrival_s=sum(gap for gap, _, _ in rows[: i + 1]),
                num_prompt_tokens=prompt,
                num_output_tokens=output,
            )
            for i, (_, prompt, output) in enumerate(rows)
        )
    )
)
POOLS = st.integers(LONGEST, 8 * LONGEST)


def serve(workload, reservation, num_slots, **kwargs):
    server = ContiguousServer(
        workload,
        reservation,
        num_slots=num_slots,
        max_model_len=LONGEST,
        batch_time=lambda batch: 0.1 + 0.01 * batch,
        **kwargs,
    )
    return server, list(server.run())


def at_once(*sizes):
    return Workload(
        requests=tuple(Request(num_prompt_tokens=p, num_output_tokens=o) for p, o in sizes)
    )


@settings(deadline=None)
@given(WORKLOADS, POOLS, st.sampled_from(Reservation))
def test_the_parts_are_the_pool_at_every_step(workload, num_slots, reservation):
    """
    Used, reserved, internal, external and free slots are all slots, in the first and last step.
    """
    _, intervals = serve(workload, reservation, num_slots)

    for i in intervals:
        assert i.used + i.reserved + i.internal + i.external + i.free == num_slots
        grown = i.num_running * (i.num_steps - 1)
        assert min(i.reserved - grown, i.internal, i.external, i.free) >= 0
        assert i.mean_used + i.mean_reserved == i.used + i.reserved


@settings(deadline=None)
@given(WORKLOADS, POOLS, st.sampled_from(Reservation))
def test_decisions_replay_from_their_log(workload, num_slots, reservation):
    """
    An allocator is a function of the decisions before: no clock, no order of hashing.
    """
    server, _ = serve(workload, reservation, num_slots)
    fresh = reservation.allocator(num_slots=num_slots, max_model_len=LONGEST)

    assert list(replay(server.log, fresh)) == server.log


@settings(deadline=None)
@given(WORKLOADS, POOLS, st.sampled_from(Reservation))
def test_every_request_is_served_in_order_and_gives_its_slots_back(
    workload, num_slots, reservation
):
    """
    First come, first served; no two running sequences overlap, and none outgrows its slots.
    """
    server, _ = serve(workload, reservation, num_slots)

    assert [d.request for d in server.log if d.is_admission] == list(range(len(workload)))
    held = {}
    for decision in server.log:
        if not decision.is_admission:
            del held[decision.request]
            continue
        request = workload.requests[decision.request]
        tokens = min(request.num_prompt_tokens + request.num_output_tokens, LONGEST)
        assert decision.extent.num_slots >= decision.reserved_slots >= tokens
        mine = range(decision.extent.start, decision.extent.start + decision.extent.num_slots)
        assert mine.stop <= num_slots
        for theirs in held.values():
            assert mine.stop <= theirs.start or theirs.stop <= mine.start
        held[decision.request] = mine
    assert held == {}


@settings(deadline=None)
@given(WORKLOADS, POOLS, st.sampled_from(Reservation))
def test_skipping_steps_changes_nothing(workload, num_slots, reservation):
    """
    Against a plain loop that takes one step at a time, from the definitions.
    """
    server, intervals = serve(workload, reservation, num_slots)
    skipped = [
        (round(i.start_s + k * i.step_s, 6), i.used + k * i.num_running, i.num_running)
        for i in intervals
        for k in range(i.num_steps)
    ]

    assert skipped == list(step_by_step(workload, server.log))


def step_by_step(workload, log):
    """Each step's start, used slots and sequences, from who was admitted in which step."""
    first = {d.request: d.step for d in log if d.is_admission}
    now = 0.0
    sizes = {}
    for index, request in enumerate(workload):
        output = min(request.num_output_tokens, LONGEST - request.num_prompt_tokens)
        sizes[index] = (request.num_prompt_tokens, output)
    for step in range(max(first[i] + sizes[i][1] for i in first)):
        running = [i for i in first if first[i] <= step < first[i] + sizes[i][1]]
        if step == min(first[i] for i in running) and all(first[i] == step for i in running):
            now = max(now, workload.requests[min(running)].arrival_s)
        yield round(now, 6), sum(sizes[i][0] + step - first[i] for i in running), len(running)
        now += 0.1 + 0.01 * len(running)


def test_buddies_round_up_and_merge():
    """
    100 slots are a run of 64, 32 and 4; once everything is back, so are these.
    """
    pool = Buddies(100)

    small = [pool.allocate(3) for _ in range(25)]
    assert [extent.num_slots for extent in small] == [4] * 25
    assert sorted(extent.start for extent in small) == list(range(0, 100, 4))
    assert pool.allocate(1) is None
    for extent in small:
        pool.free(extent)
    assert pool.num_free == 100
    assert [pool.allocate(n).num_slots for n in (33, 17, 4)] == [64, 32, 4]


def test_partitions_are_as_many_as_fit():
    """
    What a static cache reserves: the longest length, and the rest of the pool is lost.
    """
    pool = Partitions(100, partition_slots=30)

    assert [pool.allocate(1) and pool.num_slots for _ in range(4)] == [100, 100, 100, None]


@pytest.mark.parametrize(
    ("reservation", "slots"),
    [
        (Reservation.STATIC, 2048),
        (Reservation.MAX, 2048),
        (Reservation.POW2, 132),
        (Reservation.ORACLE, 125),
    ],
)
def test_reservations_are_the_papers(reservation, slots):
    """
    The paper's example: a true length of 25 reserves 32.
    """
    size = Size(num_prompt_tokens=100, num_output_tokens=25)

    assert reservation.slots(size, max_model_len=2048) == slots


def test_the_split_is_the_definition_by_hand():
    """
    One sequence of 3 + 2 of at most 64 slots in 100: its first step uses 3 and reserves 2 more;
    59 are never used, and 36 are too few for the next in line.
    """
    _, intervals = serve(at_once((3, 2), (3, 1)), Reservation.MAX, 100)
    first = intervals[0]

    assert (first.used, first.reserved, first.internal) == (3, 2, 59)
    assert (first.external, first.free) == (36, 0)
    assert (first.mean_used, first.mean_reserved) == (3.5, 1.5)
    assert (intervals[1].external, intervals[1].free) == (0, 36)  # nobody waits any more


@pytest.mark.parametrize(
    ("sizes", "num_slots", "message"),
    [
        ([(64, 1)], 100, "request 0: num_prompt_tokens=64 must be < max_model_len=64"),
        ([(1, 1)], 63, "request 0: 64 slots side by side must fit into num_slots=63"),
    ],
)
def test_what_can_never_run_is_refused(sizes, num_slots, message):
    """
    Waiting for ever is not an answer.
    """
    with pytest.raises(SpecError, match=message):
        serve(at_once(*sizes), Reservation.MAX, num_slots)


def test_max_num_seqs_bounds_the_batch():
    """
    An engine has a limit of its own, whatever the pool holds.
    """
    _, intervals = serve(at_once(*[(1, 5)] * 9), Reservation.ORACLE, 512, max_num_seqs=2)

    assert max(i.num_running for i in intervals) == 2
