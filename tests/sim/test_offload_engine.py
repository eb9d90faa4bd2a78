"""Random prompts through vLLM's own offloading connector and through ours, every step compared.

Needs vLLM 0.32: `python -m pytest -m engine tests/sim/test_offload_engine.py`.
"""

import random

import pytest

import kvsim
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.engine import Engine
from kvsim.sim.offload import TierSizes
from kvsim.sim.setup import EngineSetup
from kvsim.sim.step_times import ConstantStepTime
from tests.sim import runs

pytest.importorskip("vllm")

from tests.sim.vllm_offload_oracle import OffloadOracle

CASES = 60


def random_requests(rng):
    """Rows of (arrival, segments, answer, priority), prompts sharing beginnings."""
    now, rows = 0, []
    for _ in range(rng.randint(3, 14)):
        now += rng.choice([0, 0, 1, 3, 8])
        segments = [(rng.randint(1, 3), rng.randint(1, 24))]
        if rng.random() < 0.6:
            segments.append((10 + rng.randint(0, 4), rng.randint(1, 16)))
        rows.append((now, segments, rng.randint(1, 8), 0))
    return rows


def as_request(row):
    arrival, segments, output, _ = row
    return kvsim.Request(
        arrival_s=arrival,
        num_prompt_tokens=sum(length for _, length in segments),
        num_output_tokens=output,
        prompt=tuple(kvsim.PromptSegment(*segment) for segment in segments),
    )


# long: both engines are set up alike, a setting a line
@pytest.mark.engine
@pytest.mark.parametrize("has_windows", [False, True])
def test_every_step_is_the_engines(has_windows):
    """
    Same batches, blocks, hits, loads and evictions. Left out are runs in which the tier refused
    a store (vLLM offers it again from blocks that are free by then, which ours does not know),
    and other retention intervals than the default, under which a few stores differ.
    """
    rng, num_loads, num_runs = random.Random(has_windows), 0, 0
    for _ in range(CASES):
        layers = [runs.layer()]
        if has_windows:
            window = rng.choice([2, 4, 6, 8, 13])
            layers.append(runs.layer("SlidingWindowSpec", sliding_window=window))
        cache_config, config = runs.settings(
            max_num_batched_tokens=rng.choice([8, 16, 32]),
            caching=True,
            max_num_seqs=rng.choice([2, 4, 8]),
            watermark=rng.choice([0, 0, 0.1]),
        )
        rows, num_blocks = random_requests(rng), rng.randint(24, 44)
        num_chunks = rng.choice([6, 12, 40, 200])
        setup = EngineSetup(
            groups=group_layers(layers, cache_config),
            cache_config=cache_config,
            config=config,
            num_gpu_blocks=num_blocks,
            tiers=TierSizes(
                num_host_chunks=num_chunks,
                num_disk_chunks=0,
                chunk_bytes=1,
                copies=1,
                links=kvsim.Offload(offload_latency_s=1.0),
            ),
        )
        requests = tuple(as_request(row) for row in rows)
        ours = Engine(setup, kvsim.Workload(requests=requests), ConstantStepTime(1.0))
        steps = list(ours.run())
        if ours.tiers[0].refused_stores:
            continue
        engine = OffloadOracle(
            layers,
            cache_config,
            config,
            num_gpu_blocks=num_blocks,
            num_chunks=num_chunks,
            accept=lambda _: 0,
        )
        assert engine.run(rows, most_steps=10 * len(steps))
        assert engine.manager.num_evicted == ours.tiers[0].evicted_chunks
        assert [tuple(map(int, row)) for row in engine.rows] == [
            (
                int(step.start_s),
                step.num_running,
                step.num_waiting,
                step.num_used_blocks,
                step.num_tokens,
                step.num_preempted,
                step.num_hit_tokens,
                step.num_resume_hit_tokens,
            )
            for step in steps
        ]
        num_runs += 1
        num_loads += any(record.num_loaded_tokens for record in ours.requests)
    assert num_loads >= 5
    assert num_runs >= CASES // 4
