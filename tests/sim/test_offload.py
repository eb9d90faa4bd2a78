"""Tiers below the device: what is stored, found again and loaded, and how long that takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.engine import Engine
from kvsim.sim.offload import TierSizes
from kvsim.sim.setup import EngineSetup
from kvsim.sim.step_times import ConstantStepTime
from tests.sim import runs

BLOCK = runs.BLOCK_SIZE
PAGE = runs.layer().page_size_bytes


def engine(
    requests,
    *,
    num_gpu_blocks,
    num_chunks,
    num_disk_chunks=0,
    layers=None,
    is_async=False,
    step_time=ConstantStepTime(1.0),  # noqa: B008 - frozen
    **links,
):
    """An engine with a tier of so many chunks, one second per step."""
    layers = layers or [runs.layer()]
    cache_config, config = runs.settings(caching=True, async_scheduling=is_async)
    setup = EngineSetup(
        groups=group_layers(layers, cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=num_gpu_blocks,
        tiers=TierSizes(
            num_host_chunks=num_chunks,
            num_disk_chunks=num_disk_chunks,
            chunk_bytes=PAGE,
            copies=1,
            links=kvsim.Offload(**links),
        ),
    )
    return Engine(setup, kvsim.Workload(requests=requests), step_time)


def prompt(name, *, at, tokens=16, output=1):
    """A prompt of one segment."""
    return kvsim.Request(
        arrival_s=at,
        num_prompt_tokens=tokens,
        num_output_tokens=output,
        prompt=(kvsim.PromptSegment(name, tokens),),
    )


def test_an_evicted_prompt_is_loaded_before_its_prefill():
    """
    Four chunks of 128 bytes over a link of 64 bytes per second are 8 s; what the device lost is
    loaded whole, the last token is computed in one more step, and nothing else is.
    """
    requests = (prompt(1, at=0), prompt(2, at=10), prompt(3, at=20), prompt(1, at=100))
    run = engine(requests, num_gpu_blocks=7, num_chunks=50, offload_bytes_per_s=64.0)
    steps = list(run.run())
    again = run.requests[-1]

    assert (again.num_cached_tokens, again.num_loaded_tokens) == (0, 16)
    assert again.ttft_s == 4 * PAGE / 64 + 1
    assert sum(step.num_tokens for step in steps) == 3 * 16 + 1
    tier = run.tiers[0]
    assert (tier.hit_tokens, tier.loaded_bytes, tier.stored_bytes) == (16, 4 * PAGE, 12 * PAGE)


def test_a_load_ends_although_empty_steps_take_no_time():
    """
    With async scheduling an empty step is under way while the engine waits; it computes nothing,
    so time goes on to the transfer's end.
    """
    requests = (prompt(1, at=0), prompt(2, at=10), prompt(3, at=20), prompt(1, at=100))
    run = engine(
        requests,
        num_gpu_blocks=7,
        num_chunks=50,
        is_async=True,
        step_time=lambda batch: 1.0 if batch.tokens else 0.0,
        offload_bytes_per_s=64.0,
    )
    for _ in range(200):
        if run.advance() is None:
            break
    again = run.requests[-1]

    assert again.index == 3
    assert again.ttft_s == 4 * PAGE / 64 + 1


def test_the_longest_unused_prompt_leaves_a_full_tier():
    """
    Eight chunks hold two prompts of four; the third takes the first one's, tail first.
    """
    requests = (prompt(1, at=0), prompt(2, at=10), prompt(3, at=20), prompt(2, at=100))
    run = engine(requests, num_gpu_blocks=6, num_chunks=8)
    list(run.run())

    assert run.tiers[0].evicted_chunks == 4
    assert run.requests[-1].num_loaded_tokens == 16 - run.requests[-1].num_cached_tokens


def test_a_disk_brings_back_what_host_memory_lost():
    """
    Host memory of four chunks holds one prompt; the others are read from disk, then loaded.
    """
    requests = (prompt(1, at=0), prompt(2, at=10), prompt(3, at=20), prompt(1, at=100))
    run = engine(
        requests,
        num_gpu_blocks=7,
        num_chunks=4,
        num_disk_chunks=50,
        disk_bytes=50 * PAGE,
        disk_bytes_per_s=64.0,
    )
    list(run.run())
    host, disk = run.tiers

    assert run.requests[-1].num_loaded_tokens == 16
    assert (host.hit_tokens, disk.hit_tokens) == (0, 16)
    assert disk.loaded_bytes == 4 * PAGE
    assert run.requests[-1].ttft_s >= 4 * PAGE / 64


def test_a_prompt_that_is_on_its_way_is_waited_for():
    """
    The second of two equal requests waits for the first one's load and finds it on the device,
    all but the last block: a hit there leaves a token to compute, so that one is loaded again.
    """
    requests = (
        prompt(1, at=0),
        prompt(2, at=10),
        prompt(3, at=20),
        prompt(1, at=100),
        prompt(1, at=100),
    )
    run = engine(requests, num_gpu_blocks=9, num_chunks=50, offload_latency_s=5.0)
    list(run.run())
    first, second = run.requests[-2:]

    assert (first.num_loaded_tokens, second.num_loaded_tokens) == (16, 4)
    assert second.num_cached_tokens == 12
    assert run.tiers[0].loaded_bytes == 5 * PAGE


def test_groups_share_the_chunks_of_a_tier():
    """
    A window of one block beside full attention: four chunks and one for a prompt of 16 tokens.
    """
    layers = [runs.layer(), runs.layer("SlidingWindowSpec", sliding_window=4)]
    run = engine((prompt(1, at=0),), num_gpu_blocks=20, num_chunks=50, layers=layers)
    list(run.run())

    assert run.tiers[0].peak_chunks == 5


def test_recurrent_states_are_refused():
    """
    Their stores are handed over at block borders, which is not modelled.
    """
    state = runs.state_layer(cached=True, max_model_len=64)
    cache_config, config = runs.settings(caching=True)
    cache_config = kvsim.VllmCacheConfig(
        max_model_len=64, max_num_batched_tokens=16, block_size=BLOCK, mamba_cache_mode="align"
    )
    setup = EngineSetup(
        groups=group_layers([runs.layer(), state], cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=30,
        tiers=TierSizes(
            num_host_chunks=9, num_disk_chunks=0, chunk_bytes=1, copies=1, links=kvsim.Offload()
        ),
    )
    with pytest.raises(kvsim.UnsupportedError, match="MambaSpec"):
        setup.scheduler(lambda _: 0)


REQUESTS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 24), st.integers(1, 6), st.integers(0, 9)),
    min_size=1,
    max_size=10,
)


def served(rows):
    """Requests from (segment, tokens, answer, seconds after the one before)."""
    now, requests = 0, []
    for segment, tokens, output, gap in rows:
        now += gap
        requests.append(prompt(segment, at=now, tokens=tokens, output=output))
    return tuple(requests)


@given(rows=REQUESTS, blocks=st.integers(10, 30), chunks=st.integers(1, 40))
def test_every_request_ends_and_every_block_comes_back(rows, blocks, chunks):
    """
    Tiers of any size lose nobody; each token of a prompt was found, loaded or computed.
    """
    run = engine(served(rows), num_gpu_blocks=blocks, num_chunks=chunks, offload_bytes_per_s=100.0)
    list(run.run())

    assert len(run.requests) == len(rows)
    assert run.num_free_blocks == blocks - 1
    tier = run.tiers[0]
    assert tier.peak_chunks <= chunks
    assert tier.loaded_bytes % PAGE == 0
    for record in run.requests:
        assert record.num_cached_tokens + record.num_loaded_tokens < record.num_prompt_tokens + 1


@given(rows=REQUESTS)
def test_a_tier_that_is_never_asked_changes_nothing(rows):
    """
    Where no prompt comes twice, a run with a tier is the run without one.
    """
    requests = served([(i, *row[1:]) for i, row in enumerate(rows)])
    run = engine(requests, num_gpu_blocks=200, num_chunks=40)
    cache_config, config = runs.settings(caching=True)
    plain = kvsim.simulate_schedule(
        [runs.layer()], cache_config, config, kvsim.Workload(requests=requests), num_gpu_blocks=200
    )

    assert list(run.run()) == list(plain.steps)
    assert sorted(run.requests, key=lambda r: r.index) == list(plain.requests)


def test_speeds_without_a_tier_are_refused():
    """
    A rate of a link that there is not would be ignored.
    """
    model = kvsim.load_model("llama-3.1-8b")
    engine = kvsim.Vllm(num_gpu_blocks_override=600, max_model_len=4096)
    with pytest.raises(kvsim.SpecError, match="kv_offloading_size"):
        kvsim.simulate_blocks(
            model,
            runs.workload((10, 2)),
            engine=engine,
            offload=kvsim.Offload(offload_bytes_per_s=1e9),
        )
