"""Traffic: one seed, one workload; rates, variations and shared prefixes are those asked for."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.sim.traffic import arrival_times, generate
from kvsim.specs.lengths import Lengths, constant
from kvsim.specs.traffic import ArrivalProcess, Arrivals, PrefixLevel, Traffic


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def traffic(**kwargs):
    fields = {
        "name": "test",
        "prompt_tokens": constant(10),
        "output_tokens": constant(5),
        "arrivals": Arrivals(rate_per_s=4.0),
    }
    return Traffic(**(fields | kwargs))


@pytest.mark.parametrize("name", kvsim.named_workloads())
def test_a_seed_is_a_workload(name):
    """
    The same twice, another with another seed; as many as asked, none too long.
    """
    described = kvsim.named_workload(name)
    workload = kvsim.generate_workload(name, num_requests=300, seed=7)

    assert workload == kvsim.generate_workload(name, num_requests=300, seed=7)
    assert workload != kvsim.generate_workload(name, num_requests=300, seed=8)
    assert len(workload) == 300
    longest = max(r.num_prompt_tokens + r.num_output_tokens for r in workload)
    assert longest <= described.max_tokens


@pytest.mark.parametrize(
    "process", [p for p in ArrivalProcess if p not in ("at-once", "closed", "diurnal")]
)
def test_open_arrivals_keep_their_rate(process):
    """
    4,000 arrivals at 4 per s take 1,000 s, whatever the gaps look like.
    """
    arrivals = Arrivals(process=process, rate_per_s=4.0, variation=2.0)

    times = arrival_times(arrivals, rng(), 4000)

    assert times[-1] == pytest.approx(1000, rel=0.1)
    assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize(
    ("process", "variation"), [("constant", 0.0), ("poisson", 1.0), ("gamma", 3.0)]
)
def test_gaps_vary_as_asked(process, variation):
    """
    The variation is the gaps' standard deviation over their mean.
    """
    arrivals = Arrivals(process=process, variation=max(variation, 0.1))

    gaps = np.diff(arrival_times(arrivals, rng(), 20_000))

    assert gaps.std() / gaps.mean() == pytest.approx(variation, abs=0.05 + variation / 10)


def test_diurnal_arrivals_swing_with_the_period():
    """
    The first half of a period has (1 + 2 a / pi) / 2 of its arrivals: 0.75 for a = pi / 4.
    """
    arrivals = Arrivals(process="diurnal", rate_per_s=100.0, amplitude=np.pi / 4, period_s=100.0)

    times = arrival_times(arrivals, rng(), 10_000)

    assert (times % 100 < 50).mean() == pytest.approx(0.75, abs=0.02)


LOOP = Arrivals(process="closed", num_users=8, think_time_s=6.0, response_s=2.0)


def test_a_closed_loop_never_has_more_requests_than_users():
    """
    Eight users with answers of 2 s and pauses of 6 s ask once in 8 s each: 1 per s.
    """
    workload = generate(traffic(arrivals=LOOP), rng(), num_requests=4000)
    times = np.array([r.arrival_s for r in workload])

    assert 4000 / times[-1] == pytest.approx(1.0, rel=0.05)
    assert max(np.searchsorted(times, times + 2.0) - np.arange(4000)) <= 8


@pytest.mark.parametrize("step_time_s", [0.1, 2.0])
def test_users_wait_for_their_answers_however_long_they_take(step_time_s):
    """
    A slow engine is asked less often; no user asks before the answer, and the pause after it.
    """
    talk = traffic(arrivals=LOOP, num_turns=constant(3), turn_gap_s=1.0)
    workload = generate(talk, rng(), num_requests=120)
    engine = kvsim.Vllm(num_gpu_blocks_override=400, max_model_len=1024)
    done = kvsim.simulate_blocks(
        kvsim.load_model("gpt2"), workload, engine=engine, step_time_s=step_time_s
    )
    by_place = {r.index: r for r in done.requests}

    assert len(by_place) == 120
    waiting = [(i, r) for i, r in enumerate(workload) if r.after is not None]
    assert len(waiting) > 100
    for i, request in waiting:
        answer_s = by_place[request.after].finish_s
        assert by_place[i].arrival_s == pytest.approx(answer_s + request.pause_s)
    starts = sorted(r.arrival_s for r in done.requests)
    ends = sorted(r.finish_s for r in done.requests)
    under_way = [np.searchsorted(starts, t, side="right") - np.searchsorted(ends, t) for t in ends]
    assert max(under_way) <= 8
    expected_s = workload.requests[-1].arrival_s
    assert (done.duration_s > 2 * expected_s) == (step_time_s == 2.0)


def test_a_closed_loop_survives_its_file(tmp_path):
    """
    Who waits for whom is written and read back.
    """
    workload = generate(traffic(arrivals=LOOP), rng(), num_requests=30)
    for name in ("loop.csv", "loop.jsonl.gz", "loop.parquet"):
        kvsim.write_trace(workload, tmp_path / name)
        assert kvsim.read_trace(tmp_path / name).requests == workload.requests


def test_all_at_once_is_second_0():
    """
    An offline batch has no arrivals to speak of.
    """
    workload = generate(traffic(arrivals=Arrivals(process="at-once")), rng(), num_requests=5)

    assert {r.arrival_s for r in workload} == {0.0}


def test_a_later_turn_repeats_what_was_said():
    """
    System prompt, question, answer, question: the next prompt begins with all of it.
    """
    talk = traffic(
        arrivals=Arrivals(process="at-once"),
        num_turns=constant(3),
        turn_tokens=constant(2),
        prefix_tree=(PrefixLevel(num_choices=1, num_tokens=7),),
    )

    first, second, third = generate(talk, rng(), num_requests=3)

    assert [s.num_tokens for s in third.prompt] == [7, 10, 5, 2, 5, 2]
    assert second.prompt == third.prompt[:4]
    assert second.prompt[2].segment_id == first.output_segment
    assert first.arrival_s < second.arrival_s < third.arrival_s


def test_conversations_are_under_way_at_the_start():
    """
    The rate counts later turns too, and is even: the first tenth has a tenth of the requests.
    """
    talk = traffic(num_turns=constant(5), turn_gap_s=20.0)

    workload = generate(talk, rng(), num_requests=4000)

    last_s = workload.requests[-1].arrival_s
    assert 4000 / last_s == pytest.approx(4.0, rel=0.1)
    early = sum(1 for r in workload if r.arrival_s < last_s / 10)
    assert early == pytest.approx(400, rel=0.25)


def test_a_prefix_tree_is_shared_by_its_branches():
    """
    One root for all; of 4 children with skew 1 the first has 12/25 of the requests.
    """
    tree = (
        PrefixLevel(num_choices=1, num_tokens=8),
        PrefixLevel(num_choices=4, num_tokens=16, skew=1.0),
    )

    workload = generate(traffic(prefix_tree=tree), rng(), num_requests=4000)

    roots, children = zip(*(r.prompt[:2] for r in workload), strict=True)
    assert len(set(roots)) == 1
    shares = sorted(n / 4000 for n in Counter(children).values())
    assert shares == pytest.approx([3 / 25, 4 / 25, 6 / 25, 12 / 25], abs=0.02)


def test_a_conversation_ends_before_it_is_too_long():
    """
    Turns of 15 tokens in 40: two of them.
    """
    talk = traffic(num_turns=constant(9), max_tokens=40, arrivals=Arrivals(process="at-once"))

    workload = generate(talk, rng(), num_requests=20)

    assert Counter(len(r.prompt) for r in workload).keys() == {1, 3}


@given(st.floats(0, 1), st.floats(0, 1))
def test_quantiles_do_not_fall(a, b):
    """
    A quantile function rises, and its ends are the shortest and the longest length.
    """
    lengths = Lengths(probabilities=(0.0, 0.2, 0.7, 1.0), tokens=(1.0, 1.0, 40.0, 900.0))
    low, high = sorted((a, b))

    assert 1 <= lengths.quantile(low) <= lengths.quantile(high) <= 900


@pytest.mark.parametrize("name", kvsim.fitted_traces())
def test_shipped_fits_have_the_mean_of_their_distribution(name):
    """
    The closed form of the mean and of the logarithm's spread against 200,000 samples.
    """
    from kvsim.sim.lengths import sample_lengths  # noqa: PLC0415

    for lengths in kvsim.fitted_trace(name).lengths.values():
        sample = sample_lengths(lengths, rng(), 200_000)
        assert sample.mean() == pytest.approx(lengths.mean, rel=0.03)
        if lengths.tokens[0] > 1:  # where rounding to a token does not bend the logarithm
            assert np.log(sample).std() == pytest.approx(lengths.log_std, rel=0.03)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"rate_per_s": 0.0}, "rate_per_s=0 must be > 0"),
        ({"rate_per_s": float("nan")}, "rate_per_s=nan must be > 0"),
        ({"variation": -1.0}, "variation=-1 must be > 0"),
        ({"amplitude": 1.5}, "amplitude=1.5 must be in"),
        ({"process": "tides"}, "arrivals=tides must be one of"),
        ({"num_users": 0}, "num_users=0 must be"),
        ({"think_time_s": -1.0}, "think_time_s=-1 must be >= 0"),
    ],
)
def test_impossible_arrivals_are_refused(kwargs, message):
    """
    Field, value and rule.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        Arrivals(**kwargs)


def test_impossible_traffic_is_refused():
    """
    No requests, no such workload, a prefix that leaves no room.
    """
    with pytest.raises(kvsim.SpecError, match="num_requests=0 must be"):
        kvsim.generate_workload("chat", num_requests=0)
    with pytest.raises(kvsim.UnknownNameError, match="workload=chatt is not in the catalogue"):
        kvsim.generate_workload("chatt")
    with pytest.raises(kvsim.SpecError, match="prefix tree of 50 tokens must fit into 40"):
        replace(traffic(), prefix_tree=(PrefixLevel(num_choices=1, num_tokens=50),), max_tokens=40)
