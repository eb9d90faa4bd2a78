"""The block map against the pool: every block in one state, every count the run's own."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.sim.block_map import BlockMapRecorder, BlockState
from kvsim.sim.engine import Engine
from tests.sim.runs import BLOCK_SIZE, layer, settings, workload
from tests.sim.test_properties import LAYERS, SETTINGS, engine, workloads

ONE_SECOND = 1.0


def recorded(trace, layers, given_settings, spare, *, most_frames=300):
    """A run's records, its map, and the engine that did it."""
    plain = engine(trace, layers, given_settings, spare)
    recorder = BlockMapRecorder(most_frames=most_frames)
    running = Engine(plain._setup, trace, lambda _: ONE_SECOND, observe=recorder)
    return list(running.run()), recorder.block_map(), running, list(plain.run())


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_every_frame_agrees_with_the_steps_record(trace, layers, given_settings, spare):
    """What is drawn is what was counted: used blocks, running, waiting, preempted."""
    steps, drawn, running, plain = recorded(trace, layers, given_settings, spare)

    assert steps == plain  # watching changes nothing
    assert [frame.step for frame in drawn.frames] == list(range(len(steps) + 1))
    for frame, step in zip(drawn.frames, steps, strict=False):
        assert frame.num_used == step.num_used_blocks
        assert len(frame.running) == step.num_running
        assert len(frame.waiting) + len(frame.preempted) == step.num_waiting
        assert len(frame.events.preempted) == step.num_preempted
        hits = step.num_hit_tokens + step.num_resume_hit_tokens
        assert frame.events.num_hit_tokens == hits
    assert drawn.frames[-1].num_used == 0
    pool = running._scheduler.cache.pool
    assert sum(frame.events.num_allocated for frame in drawn.frames) == pool.num_allocated


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_every_block_is_in_one_state_and_references_are_tables(
    trace, layers, given_settings, spare
):
    """Nobody's blocks have no reference, held ones one, shared ones as many as tables list them."""
    _, drawn, _, _ = recorded(trace, layers, given_settings, spare)

    for frame in drawn.frames:
        assert len(frame.blocks) == drawn.num_blocks
        assert sum(map(frame.count, BlockState)) == drawn.num_blocks
        held = Counter(block for table in frame.tables.values() for block in table)
        for i, block in enumerate(frame.blocks):
            assert block.ref_count == held[i + 1]
            least, most = {
                BlockState.FREE: (0, 0),
                BlockState.CACHED: (0, 0),
                BlockState.HELD: (1, 1),
                BlockState.SHARED: (2, len(frame.tables)),
            }[block.state]
            assert least <= block.ref_count <= most
            assert 0 <= block.num_tokens <= block.num_slots
        assert frame.num_references == held.total()


@given(workloads(), SETTINGS, st.integers(0, 20))
def test_tokens_in_blocks_are_what_the_waste_counts(trace, given_settings, spare):
    """Slots without a token are those that the run reports as reserved or idle."""
    steps, drawn, _, _ = recorded(trace, [layer()], given_settings, spare)

    for frame, step in zip(drawn.frames, steps, strict=False):
        held = [block for block in frame.blocks if block.ref_count]
        empty = sum(block.num_slots - block.num_tokens for block in held)
        assert empty == pytest.approx((step.reserved_blocks + step.idle_blocks) * BLOCK_SIZE)


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20), st.integers(2, 9))
def test_a_long_run_is_sampled_evenly_and_no_event_is_lost(
    trace, layers, given_settings, spare, most_frames
):
    """Every n-th step as the full map has it, and sums of events that are the full map's."""
    _, full, _, _ = recorded(trace, layers, given_settings, spare)
    _, few, _, _ = recorded(trace, layers, given_settings, spare, most_frames=most_frames)

    assert len(few.frames) <= most_frames
    sampled = [*full.frames[:-1][:: few.steps_per_frame], full.frames[-1]]
    assert [replace(f, events=None) for f in few.frames] == [
        replace(f, events=None) for f in sampled
    ]
    for name in ("num_allocated", "num_evicted", "num_hit_tokens"):
        counted = [sum(getattr(f.events, name) for f in m.frames) for m in (full, few)]
        assert counted[0] == counted[1]
    for name in ("admitted", "preempted", "finished"):
        told = [[r for f in m.frames for r in getattr(f.events, name)] for m in (full, few)]
        assert told[0] == told[1]


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_every_request_finishes_once(trace, layers, given_settings, spare):
    """Each answer ends in one frame, after it was admitted."""
    _, drawn, _, _ = recorded(trace, layers, given_settings, spare)

    num_answers = sum(request.num_samples for request in trace)
    finished = [request for frame in drawn.frames for request in frame.events.finished]
    assert sorted(finished) == list(range(num_answers))
    admitted = Counter(r for frame in drawn.frames for r in frame.events.admitted)
    preempted = Counter(r for frame in drawn.frames for r in frame.events.preempted)
    assert all(admitted[r] <= 1 + preempted[r] for r in range(num_answers))


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_differences_give_every_frame_back(trace, layers, given_settings, spare):
    """A reader that follows the changes sees the pool and the tables of each frame."""
    _, drawn, _, _ = recorded(trace, layers, given_settings, spare)

    blocks = [["free", 0, 0, 0]] * drawn.num_blocks
    tables = {}
    for frame, plain in zip(drawn.frames, drawn.as_dict()["frames"], strict=True):
        for block_id, *block in plain["blocks"]:
            blocks[block_id - 1] = block
        tables |= dict(plain["tables"])
        assert blocks == [list(block) for block in frame.blocks]
        assert {r: tuple(t) for r, t in tables.items() if t} == dict(frame.tables)


def served(trace, *, num_gpu_blocks, **given):
    cache_config, config = settings(**given)
    recorder = kvsim.BlockMapRecorder()
    kvsim.simulate_schedule(
        [layer()],
        cache_config,
        config,
        trace,
        num_gpu_blocks=num_gpu_blocks,
        observe=recorder,
    )
    return recorder.block_map()


def test_two_equal_prompts_share_and_a_third_finds_what_nobody_holds():
    """Counted by hand: two prompts of 9 tokens share two blocks of four, and leave them cached."""
    prompt = (kvsim.PromptSegment(1, 9),)
    requests = tuple(
        kvsim.Request(num_prompt_tokens=9, num_output_tokens=2, prompt=prompt, arrival_s=at)
        for at in (0.0, 0.0, 9.0)
    )
    drawn = served(
        kvsim.Workload(requests=requests),
        num_gpu_blocks=17,
        max_num_batched_tokens=64,
        caching=True,
    )
    first, *_, last = drawn.frames

    assert first.tables == {0: (1, 2, 3), 1: (1, 2, 4)}
    assert [block.state for block in first.blocks[:5]] == [
        "shared",
        "shared",
        "held",
        "held",
        "free",
    ]
    assert [tuple(block)[1:] for block in first.blocks[:4]] == [
        (4, 4, 2),
        (4, 4, 2),
        (1, 4, 1),
        (1, 4, 1),
    ]
    assert first.events.num_hit_tokens == 8
    assert first.events.num_allocated == 4
    third = next(frame for frame in drawn.frames if 2 in frame.events.admitted)
    assert third.tables == {2: (1, 2, 4)}  # 4 was given back last
    assert third.events.num_hit_tokens == 8
    assert third.events.num_allocated == 1
    assert last.count(BlockState.CACHED) == 2


def test_a_preempted_request_holds_nothing_and_is_named():
    """Three blocks and two requests that both grow into a third."""
    drawn = served(workload((3, 8), (3, 8)), num_gpu_blocks=4, max_num_batched_tokens=64)
    hit = next(frame for frame in drawn.frames if frame.events.preempted)

    assert hit.events.preempted == (1,)
    assert hit.preempted == (1,)
    assert 1 not in hit.tables
    assert drawn.frames[-1].events.finished == (1,)


def test_evictions_are_counted():
    """Of three blocks two stay cached after the first request; the second one needs all three."""
    drawn = served(
        workload((11, 1), (11, 1)), num_gpu_blocks=4, max_num_batched_tokens=64, caching=True
    )
    assert sum(frame.events.num_evicted for frame in drawn.frames) == 2


def test_a_pool_that_is_no_picture_is_refused():
    """A thousand blocks can be looked at, a million cannot."""
    with pytest.raises(kvsim.SpecError, match="num_gpu_blocks=2000 must be <= 1025"):
        served(workload((3, 8)), num_gpu_blocks=2000)


def test_nothing_observed_is_no_map():
    """An empty recorder says what it lacks."""
    with pytest.raises(kvsim.SpecError, match="at least one step"):
        kvsim.BlockMapRecorder().block_map()
