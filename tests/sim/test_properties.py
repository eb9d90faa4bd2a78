"""What must hold for every workload."""

from collections import Counter
from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng

import kvsim
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.block_pool import NULL_BLOCK
from kvsim.sim.engine import Engine
from kvsim.sim.setup import EngineSetup
from tests.sim.runs import BLOCK_SIZE, layer, serve, settings, state_layer, workload

MAX_MODEL_LEN = 64
SEGMENTS = st.integers(1, 3)


@st.composite
def requests(draw):
    """A request whose prompt may begin like others'."""
    shared = draw(st.integers(0, 20))
    own = draw(st.integers(1, 12))
    prompt = [kvsim.PromptSegment(draw(SEGMENTS), shared)] if shared else []
    prompt.append(kvsim.PromptSegment(draw(st.integers(10, 12)), own))
    return kvsim.Request(
        arrival_s=0.0,
        num_prompt_tokens=shared + own,
        num_output_tokens=draw(st.integers(1, 24)),
        prompt=tuple(prompt),
        priority=draw(st.integers(0, 1)),
        num_samples=draw(st.sampled_from([1, 1, 2])),
    )


@st.composite
def workloads(draw):
    """Up to eight requests in order of arrival."""
    chosen = draw(st.lists(requests(), min_size=1, max_size=8))
    times = sorted(draw(st.lists(st.integers(0, 20), min_size=len(chosen), max_size=len(chosen))))
    pairs = zip(chosen, times, strict=True)
    return kvsim.Workload(requests=tuple(replace(r, arrival_s=float(t)) for r, t in pairs))


STATES = "recurrent states, cached as the settings say"
LAYERS = st.sampled_from(
    [
        [layer()],
        [layer("SlidingWindowSpec", sliding_window=10)],
        [layer(), layer("SlidingWindowSpec", sliding_window=10)],
        [layer(), layer("ChunkedLocalAttentionSpec", attention_chunk_size=8)],
        [layer(), STATES],
    ]
)
SETTINGS = st.fixed_dictionaries(
    {
        "max_num_batched_tokens": st.sampled_from([8, 16, 64]),
        "max_num_seqs": st.sampled_from([1, 3, 8]),
        "caching": st.booleans(),
        "async_scheduling": st.booleans(),
        "policy": st.sampled_from(["fcfs", "priority"]),
        "watermark": st.sampled_from([0.0, 0.1]),
        "scheduler_reserve_full_isl": st.booleans(),
        "num_speculative_tokens": st.sampled_from([0, 0, 2]),
    }
)


def engine(trace, layers, given_settings, spare):
    """An engine over a pool that holds the longest request, and `spare` blocks more."""
    cache_config, config = settings(**given_settings)
    caching = config.enable_prefix_caching
    cache_config = replace(cache_config, mamba_cache_mode="align" if caching else "none")
    states = state_layer(cached=caching, max_model_len=MAX_MODEL_LEN)
    layers = [states if one is STATES else one for one in layers]
    groups = group_layers(layers, cache_config)
    setup = EngineSetup(groups=groups, cache_config=cache_config, config=config, num_gpu_blocks=2)
    needed = setup.blocks_of(MAX_MODEL_LEN)
    setup = EngineSetup(
        groups=groups, cache_config=cache_config, config=config, num_gpu_blocks=needed + 1 + spare
    )
    return Engine(setup, trace, lambda _: 1.0)


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_blocks_conserve_and_references_match_the_tables(trace, layers, given_settings, spare):
    """At every step each block is free or in as many tables as its reference count says."""
    running = engine(trace, layers, given_settings, spare)
    pool = running._scheduler._cache.pool

    for step in running.run():
        tables = (t for served in running._served for t in served.tables)
        held = Counter(b for table in tables for b in table.blocks if b != NULL_BLOCK)
        assert all(pool.ref_count(block) == n for block, n in held.items())
        assert len(held) + pool.num_free == pool.num_usable
        assert step.num_used_blocks <= pool.num_usable
        assert -1e-9 <= step.reserved_blocks + step.idle_blocks <= step.num_used_blocks + 1e-9

    assert pool.num_free == pool.num_usable


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_every_request_is_served_to_its_end(trace, layers, given_settings, spare):
    """Enough blocks for the longest request mean that nobody starves."""
    running = engine(trace, layers, given_settings, spare)
    steps = list(running.run())

    served = Counter(record.index for record in running.requests)
    assert served == {i: request.num_samples for i, request in enumerate(trace)}
    for record in running.requests:
        asked = trace.requests[record.index]
        longest = MAX_MODEL_LEN - asked.num_prompt_tokens
        assert record.num_output_tokens == min(asked.num_output_tokens, longest)
        assert record.first_step <= record.first_token_step <= record.last_step < len(steps)
        assert asked.arrival_s <= record.first_token_s <= record.finish_s


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_the_token_budget_and_the_limit_on_requests_are_kept(trace, layers, given_settings, spare):
    """No step computes more than it may."""
    for step in engine(trace, layers, given_settings, spare).run():
        assert step.num_tokens <= given_settings["max_num_batched_tokens"]
        assert step.num_running <= given_settings["max_num_seqs"]


@given(workloads(), LAYERS, SETTINGS, st.integers(0, 20))
def test_same_inputs_same_records(trace, layers, given_settings, spare):
    """A run is a pure function of what it is given."""
    first, second = (engine(trace, layers, given_settings, spare) for _ in range(2))

    assert list(first.run()) == list(second.run())
    assert first.requests == second.requests


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=8),
    st.integers(16, 40),
    st.sampled_from([8, 16, 64]),
    st.booleans(),
)
def test_a_pool_for_everyone_is_never_slower_than_a_scarce_one(lengths, scarce, budget, is_async):
    """Without prefix caching, memory for all requests at once is the best there is.

    Between two scarce pools the larger one can lose, see the next test.
    """
    trace = workload(*lengths)
    ample = max(scarce, 1 + 15 * len(lengths))
    given = {"max_num_batched_tokens": budget, "async_scheduling": is_async}

    steps = [len(serve(trace, num_gpu_blocks=n, **given).steps) for n in (scarce, ample)]

    assert steps[1] <= steps[0]


def test_of_two_scarce_pools_the_larger_can_be_slower():
    """A block more can admit a request that preempts another later: vLLM does the same.

    Its own scheduler takes 55 steps with 16 blocks and 56 with 17, as this one does.
    """
    trace = workload((25, 29), (10, 23), (8, 20))
    steps = [
        len(serve(trace, num_gpu_blocks=n, max_num_batched_tokens=8, max_num_seqs=2).steps)
        for n in (16, 17, 400)
    ]

    assert steps == [55, 56, 48]


@given(
    st.integers(1, 40),
    st.integers(1, 23),
    st.sampled_from([8, 16, 64]),
    st.booleans(),
    st.booleans(),
)
def test_one_request_equals_the_closed_form(prompt, output, budget, caching, is_async):
    """Alone, a request takes its chunks, then a step per token; blocks round its tokens up.

    The last token is sampled and never computed. With async scheduling one more step is
    scheduled before the end is known, and computes nothing.
    """
    done = serve(
        workload((prompt, output)),
        num_gpu_blocks=17,
        max_num_batched_tokens=budget,
        caching=caching,
        async_scheduling=is_async,
    )

    chunks = ceil(prompt / budget)
    computing = [step for step in done.steps if step.num_tokens]
    assert len(computing) == chunks + output - 1
    assert sum(step.num_tokens for step in done.steps) == prompt + output - 1
    assert done.peak_blocks == ceil((prompt + output - 1) / BLOCK_SIZE)
    assert done.requests[0].first_token_step == chunks - 1 + is_async


@pytest.mark.parametrize("is_async", [False, True])
def test_samples_of_one_prompt_share_its_blocks(is_async):
    """Parallel sampling is several requests; full blocks of the prompt are held once."""
    alone = serve(workload((17, 2)), num_gpu_blocks=65, caching=True, async_scheduling=is_async)
    three = serve(
        workload((17, 2), num_samples=3),
        num_gpu_blocks=65,
        max_num_batched_tokens=64,
        caching=True,
        async_scheduling=is_async,
    )

    own_blocks = 1  # the last, which no other request can share
    assert three.peak_blocks == alone.peak_blocks + 2 * own_blocks
    assert [record.sample for record in three.requests] == [0, 1, 2]


def test_right_drafts_shorten_the_answer():
    """Each step brings the drafts that were right, and one token more."""
    trace = workload((8, 13))
    plain = serve(trace, num_gpu_blocks=17)
    cache_config, config = settings(num_speculative_tokens=3, acceptance_rate=1.0)
    drafted = kvsim.simulate_schedule(
        [layer()],
        cache_config,
        config,
        trace,
        num_gpu_blocks=17,
        generator=default_rng(0),
    )

    assert len(plain.steps) == 13
    assert len(drafted.steps) == 1 + 12 / 4
    assert drafted.requests[0].num_output_tokens == 13
