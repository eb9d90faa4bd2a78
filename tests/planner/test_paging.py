"""Paging beside reserving, frame by frame: parts are the pool, stretches never overlap."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.planner.waste_runs import METHODS, PAGED, PAGED_CACHED
from tests.planner.test_waste import WORKLOADS

SLOTS, LONGEST, BLOCK = 192, 64, 4
PARTS = ("used", "reserved", "internal", "external", "free")


def shared(num_requests, *, prefix=32, own=8, output=8, gap_s=1.0):
    """Prompts that begin alike, one arrival after the other."""
    return kvsim.Workload(
        requests=tuple(
            kvsim.Request(
                num_prompt_tokens=prefix + own,
                num_output_tokens=output,
                arrival_s=i * gap_s,
                prompt=(kvsim.PromptSegment(1, prefix), kvsim.PromptSegment(10 + i, own)),
            )
            for i in range(num_requests)
        )
    )


def drawn(workload, reservation="orca-max", **given_settings):
    return kvsim.paging(
        workload,
        reservation=reservation,
        **{"num_slots": SLOTS, "max_model_len": LONGEST, "block_size": BLOCK} | given_settings,
    )


@settings(max_examples=40)
@given(WORKLOADS, st.sampled_from(list(kvsim.Reservation)))
def test_parts_are_the_pool_and_stretches_never_overlap(workload, reservation):
    """In every frame, whatever is reserved."""
    done = drawn(workload, reservation)

    stays = {stay.request: stay for stay in done.contiguous.stays}
    for frame in done.contiguous.frames:
        assert sum(getattr(frame, part) for part in PARTS) == SLOTS
        held = [stays[request] for request, _ in frame.held]
        assert all(a.extent.start + a.extent.num_slots <= b.extent.start for a, b in pairwise(held))
        assert all(0 <= s.extent.start <= SLOTS - s.extent.num_slots for s in held)
        assert frame.used == sum(used for _, used in frame.held)
        internal = sum(s.reserved_slots - s.num_tokens for s in held)
        assert frame.internal == internal
        assert frame.reserved == sum(stays[r].num_tokens - used for r, used in frame.held)
        assert len(frame.held) + len(frame.waiting) + frame.num_finished <= len(workload)


@settings(max_examples=40)
@given(WORKLOADS)
def test_both_pools_are_drawn_at_the_same_times(workload):
    """A frame of one lies beside the frame of the other, and no time goes back."""
    done = drawn(workload)

    frames = zip(done.paged.frames, done.contiguous.frames, strict=True)
    assert all(right.start_s <= left.start_s + 1e-6 for left, right in frames)
    steps = [frame.step for frame in done.contiguous.frames]
    assert steps == sorted(steps)
    assert done.num_left == len(workload) - done.contiguous.frames[-1].num_finished


def test_the_frames_are_the_waste_reports_own_run():
    """The mean of the drawn parts over time is what the report says of the method."""
    workload = shared(12, gap_s=0.0)
    done = drawn(workload, "orca-max", num_slots=3 * LONGEST)
    (method,) = [m for m in done.report.methods if m.method == "orca-max"]
    server = kvsim.waste(workload, num_slots=3 * LONGEST, max_model_len=LONGEST)

    assert len(done.contiguous.frames[0].held) == 3
    assert method.batch == pytest.approx(3)
    first = done.contiguous.frames[0]
    assert first.used == 3 * 40
    assert first.reserved == 3 * 8
    assert first.internal == 3 * 16
    assert server.methods[0].batch == pytest.approx(3)


def test_prefix_caching_counts_what_prompts_share():
    """Six methods; sharing runs more requests in the same memory, and finds the prompts' start."""
    done = drawn(shared(12, gap_s=0.0))
    batch = {method.method: method.batch for method in done.report.methods}

    assert list(batch) == list(METHODS)
    assert batch[PAGED_CACHED] > batch[PAGED] > batch["orca-max"]
    assert sum(request.num_cached_tokens for request in done.requests) == 11 * 32
    assert done.num_hit_tokens >= 11 * 32  # resumed requests find theirs as well
    assert done.most_saved_blocks > 0
    assert done.num_left > 0
    for method in done.report.methods:
        assert sum(getattr(method, part) for part in PARTS) == pytest.approx(1)


def test_without_shared_prompts_a_prefix_cache_changes_nothing():
    """Each prompt is its own."""
    requests = (kvsim.Request(num_prompt_tokens=20, num_output_tokens=10),) * 9
    methods = kvsim.waste(kvsim.Workload(requests=requests), num_slots=SLOTS).methods
    plain, cached = methods[-2:]

    assert (plain.method, cached.method) == (PAGED, PAGED_CACHED)
    assert cached.used == pytest.approx(plain.used)
    assert cached.batch == pytest.approx(plain.batch)


def test_a_long_run_has_at_most_so_many_frames():
    """The limit holds, and what happened is still all there."""
    workload = shared(40, output=20)
    few = drawn(workload, most_frames=20)
    full = drawn(workload, most_frames=2000)

    assert len(few.paged.frames) <= 20 < len(full.paged.frames)
    assert len(few.contiguous.frames) == len(few.paged.frames)
    assert few.num_hit_tokens == full.num_hit_tokens
    assert few.num_preemptions == full.num_preemptions


BAD = {
    "unknown reservation": ({"reservation": "slab"}, "reservation=slab must be one of static"),
    "too many blocks": ({"num_slots": 100_000}, "num_gpu_blocks=25001 must be <= 1025"),
    "prompt too long": ({"max_model_len": 32}, "num_prompt_tokens=40 must be < max_model_len=32"),
    "one frame": ({"most_frames": 1}, "most_frames=1 must be >= 2: the last one is the end"),
    "no block": ({"block_size": 0}, "block_size=0 must be"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    """Field, value, rule."""
    given_settings, message = BAD[case]
    with pytest.raises(kvsim.SpecError, match=message):
        drawn(shared(2), **given_settings)
