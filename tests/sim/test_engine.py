"""Random workloads through vLLM's own scheduler classes and through ours, every step compared.

Needs vLLM 0.32, which nothing else here does:
`python -m pytest -m engine tests/sim/test_engine.py`.
"""

import random
from dataclasses import replace

import pytest

import kvsim
from kvsim.engines.vllm_groups import group_layers, resolve_block_sizes
from kvsim.sim.engine import Engine
from kvsim.sim.setup import EngineSetup
from validation.recorded.vllm_schedule import read_step, read_workload

pytest.importorskip("vllm")

from tests.sim.vllm_oracle import Oracle

MOST_STEPS = 20_000
CASES_PER_KIND = 40
DRAFTS_RIGHT = {"none": lambda _: 0, "half": lambda n: n // 2, "all": lambda n: n}


def attention(kind, block_size, **fields):
    return kvsim.vllm_layer_spec(
        kind, block_size=block_size, num_kv_heads=1, head_size=8, dtype="bfloat16", **fields
    )


def states(block_size, page_block_size, mode, **fields):
    return kvsim.vllm_layer_spec(
        "MambaSpec",
        block_size=block_size,
        shapes=[[16 * page_block_size]],
        dtypes=["bfloat16"],
        page_size_padded=32 * page_block_size,
        mamba_cache_mode=mode,
        **fields,
    )


def layers_of(kind, rng, size, max_model_len, drafts):
    """The layers of a kind of model, with windows and chunks of any size."""
    window = rng.choice([1, size // 2 + 1, size, 2 * size, 3 * size + 5, 64, 100])
    full = attention("FullAttentionSpec", size)
    near = attention("SlidingWindowSpec", size, sliding_window=window)
    local = attention(
        "ChunkedLocalAttentionSpec", size, attention_chunk_size=size * rng.choice([2, 4, 8])
    )
    saves = rng.choice([None, 1, 4, size])
    checkpoint = {"num_prefill_checkpoint_blocks": 1, "prefill_checkpoint_alignment": saves}
    aligned = states(
        size, size, "align", num_speculative_blocks=drafts, **(checkpoint if saves else {})
    )
    wide = kvsim.vllm_layer_spec(
        "SlidingWindowSpec",
        block_size=size,
        num_kv_heads=1,
        head_size=16,
        dtype="bfloat16",
        sliding_window=window,
    )
    return {
        "full": [full],
        "window": [near],
        "chunk": [local],
        "full and window": [full, near],
        "five windows to one": ([near] * 5 + [full]) * 2,
        "full and chunk": [local, local, full],
        "two windows": [
            full,
            near,
            attention("SlidingWindowSpec", size, sliding_window=2 * window + 3),
        ],
        "uneven pages": [full, full, wide, wide],
        "states": [full, states(max_model_len, size, "none", num_speculative_blocks=drafts)],
        "cached states": [full, aligned],
        "cached states alone": [aligned],
        "states and window": [full, near, aligned],
        "split context": [full],
    }[kind]


KINDS = [
    *("full", "window", "chunk", "full and window", "five windows to one", "full and chunk"),
    *("two windows", "uneven pages", "states", "cached states", "cached states alone"),
    *("states and window", "split context"),
]


def random_requests(rng, max_model_len):
    """Prompts that share beginnings, repeat answers, or stand alone."""
    shared = [[s, rng.randint(1, max_model_len // 2)] for s in range(1, 6)]
    rows, now = [], 0
    for i in range(rng.choice([5, 20, 40])):
        now += rng.choice([0, 0, 0, 1, 3, 20])
        prompt = [list(rng.choice(shared))] if rng.random() < 0.6 else []
        if rows and rng.random() < 0.3:  # a further turn of a conversation
            _, before, answer, _, segment = rng.choice(rows)
            prompt = [*map(list, before), [segment, rng.randint(1, answer)]]
        if not prompt or rng.random() < 0.8:
            prompt.append([100 + i, rng.randint(1, max_model_len // 2)])
        room, kept = max_model_len - 2, []
        for segment, length in prompt:
            if room:
                kept.append([segment, min(length, room)])
                room -= kept[-1][1]
        answer = rng.randint(1, rng.choice([3, 40, max_model_len // 2]))
        rows.append([now, kept, answer, rng.randint(0, 2), 500_000 + i])
    return rows


def random_settings(rng, kind, size, max_model_len, drafts):
    """Settings of the cache and of the scheduler, in agreement."""
    cached = kind in ("cached states", "cached states alone", "states and window")
    caching = cached or (kind != "states" and rng.random() < 0.6)
    budget = rng.choice([2 * size, 64, 128, 512, 1024])
    chunked = cached or rng.random() < 0.85
    both = {
        "max_model_len": max_model_len,
        "max_num_batched_tokens": budget if chunked else max(budget, max_model_len),
        "enable_prefix_caching": caching,
        "async_scheduling": rng.random() < 0.45,
    }
    seqs = rng.choice([1, 4, 16, 64])
    config = kvsim.SchedulerConfig(
        **both,
        max_num_seqs=seqs,
        max_num_active_seqs=rng.choice([None, min(seqs, 3)]),
        policy=rng.choice(["fcfs", "fcfs", "priority"]),
        watermark=rng.choice([0.0, 0.0, 0.01, 0.05, 0.2]),
        scheduler_reserve_full_isl=rng.random() < 0.8,
        enable_chunked_prefill=chunked,
        long_prefill_token_threshold=rng.choice([0, 0, 0, size, 48]),
        long_prefill_token_threshold_adaptive=rng.random() < 0.1,
        num_speculative_tokens=drafts,
        num_lookahead_tokens=rng.choice([0, drafts]),
    )
    cache_config = kvsim.VllmCacheConfig(
        **both,
        block_size=size,
        mamba_cache_mode="align" if cached else "none",
        decode_context_parallel_size=2 if kind == "split context" else 1,
    )
    return cache_config, config


@pytest.mark.engine
@pytest.mark.parametrize("seed", range(CASES_PER_KIND))
@pytest.mark.parametrize("kind", KINDS)
def test_every_step_is_as_in_the_engine(kind, seed):
    """Running, waiting, blocks, tokens, preemptions, hits and ends, step by step."""
    rng = random.Random(f"{kind} {seed}")
    size, max_model_len = rng.choice([4, 8, 16, 32]), rng.choice([128, 256, 512])
    drafts = rng.choice([0, 0, 1, 3])
    cache_config, config = random_settings(rng, kind, size, max_model_len, drafts)
    layers = layers_of(kind, rng, size, max_model_len, drafts)
    groups = group_layers(layers, cache_config)
    config = with_interval(rng, config, layers, groups, cache_config)
    needed = EngineSetup(
        groups=groups, cache_config=cache_config, config=config, num_gpu_blocks=2
    ).blocks_of(max_model_len)
    num_gpu_blocks = needed + 1 + rng.choice([0, 1, 3, needed // 2, 2 * needed, 6 * needed])
    requests = random_requests(rng, max_model_len)
    accept = DRAFTS_RIGHT[rng.choice(list(DRAFTS_RIGHT))]

    theirs = Oracle(layers, cache_config, config, num_gpu_blocks=num_gpu_blocks, accept=accept)
    if not theirs.run(requests, most_steps=MOST_STEPS):
        pytest.skip("the engine preempts one request for ever")
    setup = EngineSetup(
        groups=groups, cache_config=cache_config, config=config, num_gpu_blocks=num_gpu_blocks
    )
    ours = Engine(setup, read_workload(requests), lambda _: 1.0, accept)
    rows = [read_step(step) for step in ours.run()]

    assert rows == theirs.rows
    assert {r.index: rows[r.last_step][0] for r in ours.requests} == theirs.done


def with_interval(rng, config, layers, groups, cache_config):
    """A retention interval, where the layers take one."""
    if not any(type(layer).__name__ in ("SlidingWindowSpec", "MambaSpec") for layer in layers):
        return config
    border = resolve_block_sizes(groups, cache_config).scheduler
    interval = rng.choice([0, 0, None, border, 4 * border])
    return replace(config, prefix_cache_retention_interval=interval)
