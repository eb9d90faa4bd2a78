"""Fleets: the answer keeps the limits in a simulation, one replica fewer does not."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.units import GiB

REPLICA = kvsim.Deployment(
    model=kvsim.load_model("llama-3.1-8b"),
    accelerator=kvsim.accelerator("L4"),
    engine=kvsim.Vllm(max_model_len=2048, num_gpu_blocks_override=400),
)
STEP_S = 0.05


def traffic(num_requests, gap_s, prompt=500, answer=20):
    requests = tuple(
        kvsim.Request(num_prompt_tokens=prompt, num_output_tokens=answer, arrival_s=i * gap_s)
        for i in range(num_requests)
    )
    return kvsim.Workload(requests=requests)


def worst_ttft_s(workload, replicas):
    """Simulated apart from the solver: every replica its share, the slowest of all requests."""
    slowest = 0.0
    for i in range(replicas):
        share = dataclasses.replace(workload, requests=workload.requests[i::replicas])
        done = kvsim.simulate(REPLICA, share, step_time_s=STEP_S)
        slowest = max(slowest, *(request.ttft_s for request in done.requests))
    return slowest


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_requests=st.integers(2, 40),
    gap_s=st.floats(0.01, 0.5),
    ttft_s=st.floats(0.06, 3.0),
)
def test_the_answer_keeps_the_goal_and_one_fewer_does_not(num_requests, gap_s, ttft_s):
    """
    Judged by the slowest request of a simulation of every replica's share.
    """
    workload = traffic(num_requests, gap_s)
    limits = kvsim.ServiceLimits(slo_ttft_s=ttft_s, slo_share=1.0)
    fleet = kvsim.size_fleet(REPLICA, workload, limits, step_time_s=STEP_S)

    assert fleet.at_value.level.is_met
    assert worst_ttft_s(workload, fleet.replicas) <= ttft_s
    if fleet.replicas > 1:
        assert fleet.beyond.replicas == fleet.replicas - 1
        assert not fleet.beyond.level.is_met
        assert worst_ttft_s(workload, fleet.replicas - 1) > ttft_s
    else:
        assert fleet.beyond is None


def test_what_it_costs_is_what_is_stated():
    """
    Three replicas of two devices and a spare, 2 dollars an hour each, 730 hours.
    """
    workload = traffic(30, 0.05)
    two = dataclasses.replace(REPLICA, parallel=kvsim.Parallelism(tensor_parallel_size=2))
    price = kvsim.Price(low_usd_per_hour=2.0, high_usd_per_hour=2.0, date="", source="stated")
    fleet = kvsim.size_fleet(
        two, workload, kvsim.ServiceLimits(slo_ttft_s=0.3), spare=1, price=price, step_time_s=STEP_S
    )
    devices = 2 * (fleet.replicas + 1)

    assert fleet.cost.low_usd_per_month == devices * 2.0 * 730
    tokens_per_s = 520 * workload.rate_per_s
    assert fleet.cost.low_usd_per_million_tokens == pytest.approx(
        devices * 2.0 / 3600 / tokens_per_s * 1e6
    )
    assert fleet.as_dict()["num_gpus"] == devices


def test_a_price_is_never_invented():
    """
    A device without a sourced price has no cost, and a note says so.
    """
    unpriced = dataclasses.replace(REPLICA.accelerator, price=None)
    asked = dataclasses.replace(REPLICA, accelerator=unpriced)
    fleet = kvsim.size_fleet(
        asked, traffic(5, 1.0), kvsim.ServiceLimits(slo_e2e_s=10.0), step_time_s=STEP_S
    )

    assert fleet.cost is None
    assert any("no price is known" in note for note in fleet.notes)


def test_a_goal_that_no_number_keeps_is_no_answer():
    """
    A step takes 50 ms: a first token after 10 ms is out of reach, and the run says by how much.
    """
    fleet = kvsim.size_fleet(
        REPLICA,
        traffic(8, 1.0),
        kvsim.ServiceLimits(slo_ttft_s=0.01),
        most_replicas=4,
        step_time_s=STEP_S,
    )

    assert fleet.replicas is None
    assert fleet.beyond.replicas == 4
    assert fleet.as_dict()["fits"] is False
    assert fleet.reason == "4 replicas are too few: 0.00% kept the limits, 99.00% must"


def test_the_tier_of_a_window_is_the_rate_times_what_is_new():
    """
    Ten requests of 512 tokens a second, nothing shared, a minute: 600 x 32 blocks of 2 MiB.
    """
    asked = dataclasses.replace(REPLICA, host_memory_bytes=10 * GiB)
    workload = traffic(41, 0.1, prompt=500, answer=12)
    fleet = kvsim.size_fleet(
        asked, workload, kvsim.ServiceLimits(slo_e2e_s=100.0), retention_s=60.0, step_time_s=STEP_S
    )
    kept = fleet.retention

    assert kept.total_bytes == pytest.approx(600 * 32 * 16 * 131072, rel=1e-6)
    assert kept.host_bytes == 10 * GiB * fleet.replicas
    assert kept.host_bytes + kept.disk_bytes == kept.total_bytes


def test_roofline_times_are_called_what_they_are():
    """
    Without a measured step time the replicas are a lower bound, and the answer says so.
    """
    fleet = kvsim.size_fleet(REPLICA, traffic(3, 1.0), kvsim.ServiceLimits(slo_e2e_s=100.0))

    assert any("not calibrated" in note for note in fleet.notes)


@pytest.mark.parametrize(
    ("limits", "changes", "message"),
    [
        ({}, {}, "at least one of slo_ttft_s"),
        ({"slo_ttft_s": 1.0}, {"spare": -1}, "spare=-1 must be >= 0"),
        ({"slo_ttft_s": 1.0}, {"most_replicas": 0}, "most_replicas=0 must be"),
        ({"slo_ttft_s": 1.0}, {"retention_s": 0.0}, "retention_s=0 must be > 0"),
    ],
)
def test_impossible_questions_are_refused(limits, changes, message):
    """
    The field, the value and the rule.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.size_fleet(REPLICA, traffic(3, 1.0), kvsim.ServiceLimits(**limits), **changes)


def test_replicas_within_the_engine_are_refused():
    """
    Data-parallel replicas would be counted twice.
    """
    asked = dataclasses.replace(REPLICA, parallel=kvsim.Parallelism(data_parallel_size=2))
    with pytest.raises(kvsim.SpecError, match="data_parallel_size must be 1"):
        kvsim.size_fleet(asked, traffic(3, 1.0), kvsim.ServiceLimits(slo_ttft_s=1.0))


def test_requests_without_a_rate_cannot_be_stretched():
    """
    All at once stays all at once.
    """
    at_once = traffic(3, 0.0)
    assert at_once.rate_per_s is None
    with pytest.raises(kvsim.SpecError, match="rate_per_s=2 must be > 0, and the requests"):
        at_once.at_rate(2.0)
    with pytest.raises(kvsim.SpecError, match="needs requests that arrive over time"):
        kvsim.size_fleet(
            REPLICA,
            at_once,
            kvsim.ServiceLimits(slo_e2e_s=100.0),
            retention_s=9.0,
            step_time_s=STEP_S,
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"H100-SXM5-80GB" = -1', "usd_per_gpu_hour=-1 must be > 0"),
        ('"H1000" = 2', "gpu=H1000 is not in the catalogue"),
        ('H100 = "cheap"', "H100 must be a number, or have low_usd_per_hour"),
        ("H100 = {low_usd_per_hour = 3, high_usd_per_hour = 2}", "must be <= high_usd_per_hour"),
        ("H100 = {low_usd_per_hour = 1, high_usd_per_hour = 2, year = 2}", "has no field year"),
        ("H100 = ", "is no TOML"),
    ],
)
def test_prices_that_are_none_are_refused(text, message, tmp_path):
    """
    A price file is read or refused, never guessed at.
    """
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(kvsim.KvsimError, match=message):
        kvsim.read_prices(path)


def test_prices_are_numbers_or_ranges(tmp_path):
    """
    Aliases stand for the device's own name.
    """
    path = tmp_path / "prices.toml"
    path.write_text('h100 = 2.5\n"L4" = {low_usd_per_hour = 0.4, high_usd_per_hour = 0.7}\n')
    prices = kvsim.read_prices(path)

    assert prices["H100-SXM5-80GB"].high_usd_per_hour == 2.5
    assert prices["L4"].low_usd_per_hour == 0.4
    with pytest.raises(kvsim.FileError, match="No such file"):
        kvsim.read_prices(tmp_path / "none.toml")
