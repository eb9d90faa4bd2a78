"""Replicas behind a router: nobody is lost, one is an engine alone, and prefixes stay together."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.engines.vllm_groups import group_layers
from kvsim.sim.arrivals import Arrivals, Inbox
from kvsim.sim.content import ContentTree
from kvsim.sim.engine import Engine
from kvsim.sim.routers import router
from kvsim.sim.setup import EngineSetup
from kvsim.sim.side_by_side import RoutedArrivals, run_side_by_side
from kvsim.sim.simulate_replicas import share
from kvsim.sim.step_times import ConstantStepTime
from tests.sim import runs

MODEL = kvsim.load_model("llama-3.1-8b")
POLICIES = tuple(kvsim.RoutingPolicy)
DEVICE = kvsim.Deployment(
    model=MODEL,
    accelerator=kvsim.accelerator("H100-SXM5-80GB"),
    engine=kvsim.Vllm(max_model_len=4096),
)


DEVICE_LONG = dataclasses.replace(DEVICE, engine=kvsim.Vllm(max_model_len=131072))


def serve(workload, replicas, routing="round-robin", *, blocks=60, step_s=0.05, **engine):
    """So many engines with few blocks, every step as long."""
    return kvsim.simulate_blocks(
        MODEL,
        workload,
        engine=kvsim.Vllm(max_model_len=512, num_gpu_blocks_override=blocks, **engine),
        parallel=kvsim.Parallelism(data_parallel_size=replicas),
        step_time_s=step_s,
        routing=routing,
        scheduler="reference" if replicas == 1 else "auto",
    )


def setup(num_gpu_blocks, **given):
    """One layer, blocks of four tokens."""
    cache_config, config = runs.settings(max_model_len=2048, max_num_batched_tokens=64, **given)
    return EngineSetup(
        groups=group_layers([runs.layer()], cache_config),
        cache_config=cache_config,
        config=config,
        num_gpu_blocks=num_gpu_blocks,
    )


def on_one_clock(engine_setup, workload, replicas, routing):
    """The steps and the engines of a routed run, whatever the policy, even of one replica."""
    arrivals, tree, chooses = Arrivals(workload), ContentTree(), router(kvsim.Routing.of(routing))
    inboxes = [Inbox(arrivals) for _ in range(replicas)]
    engines = [
        Engine(engine_setup, workload, ConstantStepTime(0.05), arrivals=inbox, tree=tree)
        for inbox in inboxes
    ]
    steps = [[] for _ in engines]

    def choose(arrival):
        return chooses.choose(engines, workload.requests[arrival.place], arrival.place)

    for i, step in run_side_by_side(engines, [RoutedArrivals(arrivals, inboxes, choose)]):
        steps[i].append(step)
    return steps, engines


@st.composite
def workloads(draw, *, waits=True):
    """A few requests of which some share prompts, want several answers, or wait for one."""
    count, arrival_s, requests = draw(st.integers(1, 14)), 0.0, []
    for i in range(count):
        arrival_s += draw(st.sampled_from([0.0, 0.01, 0.05, 0.3]))
        shared, own = draw(st.sampled_from([0, 48, 320])), draw(st.integers(1, 120))
        after = draw(st.none() | st.integers(0, i - 1)) if waits and i else None
        prompt = (
            kvsim.PromptSegment(draw(st.integers(0, 2)), shared),
            kvsim.PromptSegment(100 + i, own),
        )
        requests.append(
            kvsim.Request(
                num_prompt_tokens=shared + own,
                num_output_tokens=draw(st.integers(1, 40)),
                arrival_s=arrival_s,
                prompt=prompt,
                num_samples=draw(st.sampled_from([1, 1, 2])),
                after=after,
                pause_s=draw(st.sampled_from([0.0, 0.2])),
            )
        )
    return kvsim.Workload(requests=tuple(requests))


SLOW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SLOW
@given(workload=workloads(), replicas=st.integers(2, 4), routing=st.sampled_from(POLICIES))
def test_every_request_is_served_exactly_once(workload, replicas, routing):
    """
    Whatever the router does, and a second run does the same.
    """
    done = serve(workload, replicas, routing)
    asked = [(i, n) for i, r in enumerate(workload) for n in range(r.num_samples)]

    assert [(r.index, r.sample) for r in done.requests] == asked
    assert sum(len(one.requests) for one in done.replicas) == done.num_requests == len(asked)
    assert done.num_free_blocks == 59
    assert done == serve(workload, replicas, routing)


@SLOW
@given(
    workload=workloads(),
    routing=st.sampled_from(POLICIES),
    is_async=st.booleans(),
    caching=st.booleans(),
)
def test_one_replica_is_the_engine_alone(workload, routing, is_async, caching):
    """
    Record by record, on the clock that many would share.
    """
    engine_setup = setup(160, async_scheduling=is_async, caching=caching)
    alone = Engine(engine_setup, workload, ConstantStepTime(0.05))
    expected = list(alone.run())
    steps, (one,) = on_one_clock(engine_setup, workload, 1, routing)

    assert steps == [expected]
    assert one.requests == alone.requests
    assert one.preemptions == alone.preemptions


@SLOW
@given(workload=workloads(waits=False), replicas=st.integers(2, 4), is_async=st.booleans())
def test_in_turn_is_each_share_apart(workload, replicas, is_async):
    """
    Every so many-th request, served by an engine that knows of no other.
    """
    engine_setup = setup(160, async_scheduling=is_async, caching=True)
    steps, engines = on_one_clock(engine_setup, workload, replicas, "round-robin")
    for i in range(min(replicas, len(workload))):
        alone = Engine(engine_setup, share(workload, i, replicas), ConstantStepTime(0.05))

        assert steps[i] == list(alone.run())
        for there, here in zip(engines[i].requests, alone.requests, strict=True):
            assert there == dataclasses.replace(here, index=i + replicas * here.index)


def test_in_turn_is_served_by_the_compiled_twin_and_figures_add_up():
    """
    Three engines, each its own share; latencies are those of all requests together.
    """
    workload = kvsim.generate_workload("chat", num_requests=90, seed=3)
    done = kvsim.simulate(DEVICE_LONG, workload, replicas=3)
    parts = [kvsim.simulate(DEVICE_LONG, share(workload, i, 3)) for i in range(3)]

    assert done.scheduler == "compiled"
    assert sorted(r.ttft_s for r in done.requests) == sorted(
        r.ttft_s for part in parts for r in part.requests
    )
    assert done.num_preemptions == sum(part.num_preemptions for part in parts)
    assert done.prefix_cache.hit_tokens == sum(part.prefix_cache.hit_tokens for part in parts)
    assert done.duration_s == max(part.duration_s for part in parts)
    limits = kvsim.ServiceLimits(slo_itl_s=0.02, slo_ttft_s=0.5)
    assert done.goodput(limits).requests == sum(part.goodput(limits).requests for part in parts)
    gaps = sum(r.num_output_tokens - 1 for r in done.requests)
    mean = sum(r.finish_s - r.first_token_s for r in done.requests) / gaps
    assert done.itl_s.mean == pytest.approx(mean)
    for request in done.requests:
        assert done.steps[request.first_step].end_s <= request.first_token_s


def test_least_loaded_counts_a_waiting_request_four_times():
    """
    Two engines that run one request at a time: the third goes to the first, which is as loaded.
    """
    requests = tuple(
        kvsim.Request(num_prompt_tokens=100, num_output_tokens=100, arrival_s=0.1 * i)
        for i in range(4)
    )
    done = serve(kvsim.Workload(requests=requests), 2, "least-loaded", max_num_seqs=1)
    homes = [sorted(r.index for r in one.requests) for one in done.replicas]

    assert homes == [[0, 2], [1, 3]]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["chat", "agent"])
def test_prefixes_that_are_followed_are_found_more_often(name, seed):
    """
    Conversations of eight seeds: where a turn follows its history, it finds at least as much.
    """
    workload = kvsim.generate_workload(name, num_requests=60, seed=seed)
    rates = {
        routing: kvsim.simulate(
            DEVICE_LONG, workload, replicas=3, routing=routing, step_time_s=0.02
        ).prefix_cache.token_hit_rate
        for routing in POLICIES
    }

    assert rates["prefix-aware"] >= rates["round-robin"]


def test_an_overloaded_replica_is_left_although_it_has_the_prefix():
    """
    All share a prompt. With a threshold of two, the fourth goes to the second engine, three to
    none; from then on both have the prompt, and the less loaded one is chosen.
    """
    prompt = (kvsim.PromptSegment(1, 160),)
    requests = tuple(
        kvsim.Request(
            num_prompt_tokens=160, num_output_tokens=50, arrival_s=0.06 * i, prompt=prompt
        )
        for i in range(8)
    )
    workload = kvsim.Workload(requests=requests)
    followed = serve(workload, 2, "prefix-aware")
    bounded = serve(
        workload,
        2,
        kvsim.Routing(routing=kvsim.RoutingPolicy.PREFIX_AWARE, balance_abs_threshold=2),
    )

    assert [len(one.requests) for one in followed.replicas] == [8, 0]
    assert [len(one.requests) for one in bounded.replicas] == [4, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"routing": "fastest"}, "routing=fastest must be one of round-robin"),
        ({"replicas": 0}, "replicas=0 must be a whole number >= 1"),
        ({"replicas": 2, "routing": "least-loaded", "scheduler": "compiled"}, "does not cover"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    """
    With the field, the value and the rule.
    """
    workload = runs.workload((10, 10), (10, 10))
    with pytest.raises(kvsim.KvsimError, match=message):
        kvsim.simulate(DEVICE, workload, **changes)


@pytest.mark.parametrize(
    ("field", "value"),
    [("cache_threshold", 1.5), ("balance_abs_threshold", -1), ("balance_rel_threshold", 0.5)],
)
def test_thresholds_have_ranges(field, value):
    """
    A share is in [0, 1], a difference is not negative, a ratio is at least 1.
    """
    with pytest.raises(kvsim.SpecError, match=f"{field}={value}"):
        kvsim.Routing(**{field: value})
