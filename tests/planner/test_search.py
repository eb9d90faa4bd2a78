"""Searches: the front is one, leaving candidates out never changes it, and everybody agrees."""

# long: one claim after another about one question

import dataclasses
import importlib.util
import json
import math
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.cli import main
from kvsim.units import GiB
from tests.processes import interrupted

ROOT = Path(__file__).parents[2]
LLAMA = kvsim.load_model("llama-3.1-8b")
DEVICES = [kvsim.accelerator(name) for name in ("L4", "RTX 4090", "h100")]
SETTINGS = {"tensor_parallel_size": [1, 2], "quantization": ["none", "fp8"]}
GOAL = kvsim.ServiceLimits(slo_ttft_s=1.0, slo_tpot_s=0.03)
SMALL = {"num_requests": 100, "num_seeds": 1, "num_workers": 1}
SEEDS = {"num_seeds": 2, "num_requests": 30, "rate_per_s": 2.0}


@cache
def chat(seed=0, num_requests=100):
    """A named workload's requests, drawn once: a trace, to a search."""
    return kvsim.generate_workload("chat", num_requests=num_requests, seed=seed)


def found(goal=GOAL, devices=DEVICES, workload=None, **changes):
    asked = {"settings": SETTINGS, "rate_per_s": 12.0, "num_workers": 1, **changes}
    return kvsim.search(LLAMA, workload or chat(), goal, devices, **asked)


def drawn(**changes):
    """The same with requests of several seeds."""
    return found(workload="chat", **{**SEEDS, **changes})


def weighed(one, result):
    """Cost, throughput and latency of a simulated candidate, each less is better."""
    cost, _, latency = result.ranked_by
    ends = one.as_dict()[cost]
    e2e = one.as_dict()["e2e_s"][latency.partition(".")[2]]
    steps = math.floor(math.log(one.output_tokens_per_s) / math.log(1.1))
    return sum(ends) / 2, -steps, e2e


def is_beaten(one, others):
    return any(
        other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in others
    )


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ttft_s=st.sampled_from([0.2, 1.0, 5.0]),
    tpot_s=st.sampled_from([0.01, 0.03, 0.1]),
    rate_per_s=st.sampled_from([None, 1.0, 20.0]),
    seed=st.integers(0, 9),
)
def test_leaving_out_never_changes_the_front(ttft_s, tpot_s, rate_per_s, seed):
    """
    Everybody simulated: the same front, no member of it beaten, and whoever was left out beaten
    or without a rate that keeps the goal.
    """
    goal = kvsim.ServiceLimits(slo_ttft_s=ttft_s, slo_tpot_s=tpot_s)
    asked = {"rate_per_s": rate_per_s, "workload": chat(seed, 60)}
    pruned = found(goal, **asked)
    whole = found(goal, **asked, prune=False)

    assert pruned.front == whole.front
    assert [m.found for m in pruned.members] == [m.found for m in whole.members]
    able = {i: one for i, one in whole.contenders.items() if one.cost is not None}
    ranks = {i: weighed(one, whole) for i, one in able.items()}
    assert not any(is_beaten(ranks[i], ranks.values()) for i in whole.front)
    for index, one in pruned.contenders.items():
        if one.candidate.outcome == "overtaken" and index in ranks:
            assert is_beaten(ranks[index], ranks.values())
        if one.candidate.outcome == "too slow":
            assert whole.contenders[index].found["capacity_per_s"] is None


def test_the_capacity_keeps_the_goal_and_a_little_more_does_not():
    """
    Judged by simulations apart from the search, at the rate found and 4 % above it.
    """
    result = found(rate_per_s=None, settings={}, devices=DEVICES[-1:])
    (member,) = result.members
    rate = member.found["capacity_per_s"]

    def share(rate_per_s):
        done = kvsim.simulate(member.candidate.deployment, chat().at_rate(rate_per_s))
        return done.goodput(GOAL).share

    assert share(rate) >= 0.99
    assert share(1.04 * rate) < 0.99 or 1.04 * rate > member.candidate.bounds.most_rate_per_s


def test_replicas_bear_the_rate_at_the_stated_price():
    """
    Twice as many requests as one can bear need more than one, spares cost what others do.
    """
    price = kvsim.Price(low_usd_per_hour=2.0, high_usd_per_hour=2.0, date="", source="stated")
    device = dataclasses.replace(DEVICES[-1], price=price)
    alone = found(rate_per_s=None, settings={}, devices=[device]).members[0]
    rate = 2.5 * alone.found["capacity_per_s"]
    member = found(rate_per_s=rate, settings={}, devices=[device], spare=1).members[0]
    shown = member.as_dict()

    assert member.found["replicas"] >= 3
    assert shown["usd_per_month"] == [(member.found["replicas"] + 1) * 2.0 * 730] * 2
    assert member.found["share"] >= 0.99


def test_without_measured_speeds_no_tail_is_ranked():
    """
    A roofline is a lower bound: its p99 says nothing of a device's.
    """
    plain = found(settings={})
    measured = kvsim.Efficiencies(compute_efficiency=0.5, bandwidth_efficiency=0.7)
    known = found(settings={}, efficiencies=measured)

    assert plain.ranked_by == ("usd_per_month", "output_tokens_per_s", "e2e_s.p50")
    assert plain.as_dict()["step_time"]["calibrated"] is False
    assert any("not calibrated" in note for note in plain.notes)
    assert known.ranked_by[-1] == "e2e_s.p99"
    assert known.as_dict()["step_time"]["calibrated"] is True


def test_seeds_give_intervals():
    """
    Three seeds: each figure's mean lies in its interval; one seed gives none.
    """
    result = drawn(settings={}, num_seeds=3)
    spread = result.members[0].seeds

    assert spread.seeds == (0, 1, 2)
    for figure in spread.figures.values():
        assert figure.low <= figure.mean <= figure.high
    assert found(settings={}).members[0].seeds is None


def test_the_answer_is_the_same_on_any_number_of_processes():
    """
    Byte for byte.
    """
    one, two = (drawn(num_workers=n).as_dict() for n in (1, 2))
    assert json.dumps(one) == json.dumps(two)


def test_a_rerun_does_only_what_is_missing(tmp_path):
    """
    What was kept is read; the answer is the same as without a file.
    """
    path = tmp_path / "search.parquet"

    def stop(done):
        if done >= 7:
            raise KeyboardInterrupt

    partial = drawn(resume=path, on_progress=stop, keep_partial=True)
    kept = {part: part.stat().st_mtime_ns for part in Path(f"{path}.parts").iterdir()}
    assert partial.interrupted
    assert kept
    assert any(one.candidate.outcome == "not reached" for one in partial.contenders.values())

    again = drawn(resume=path)
    whole = drawn()
    assert again.as_dict() == whole.as_dict()
    assert not again.interrupted
    before = path.read_bytes()
    assert drawn(resume=path).as_dict() == whole.as_dict()
    assert path.read_bytes() == before
    rows = pl.read_parquet(path).filter(pl.col("is_trial").is_null())
    simulated = {one.candidate.index for one in whole.contenders.values() if one.found}
    assert set(rows["candidate"]) == simulated


def test_another_searchs_file_is_refused(tmp_path):
    """
    Rows of another goal must not be mixed in.
    """
    path = tmp_path / "search.parquet"
    found(resume=path, settings={})
    other = dataclasses.replace(GOAL, slo_ttft_s=2.0)
    with pytest.raises(kvsim.SpecError, match="another sweep's"):
        found(other, resume=path, settings={})
    with pytest.raises(kvsim.SpecError, match=r"must end in \.parquet"):
        found(resume=tmp_path / "search.csv")


def test_no_candidate_says_what_would_have_to_give():
    """
    A millionth of a second per token is out of reach: the nearest candidate, and by how much.
    """
    goal = kvsim.ServiceLimits(slo_ttft_s=1.0, slo_tpot_s=1e-6)
    result = found(goal)
    short = result.shortfall
    nearest = result.contenders[short.candidate]

    assert result.fits is False
    assert not result.members
    assert nearest.candidate.outcome == "misses the goal"
    factors = [one.found["excess"] for one in result.contenders.values() if one.found]
    assert short.factor == min(factors) > 100
    relaxed = dataclasses.replace(goal, slo_tpot_s=1e-6 * short.factor * 1.001)
    assert found(relaxed).fits


def test_a_model_that_fits_nowhere_says_how_much_lacks():
    """
    405 billion parameters on one L4.
    """
    result = kvsim.search(
        kvsim.load_model("llama-3.1-405b"), "chat", GOAL, DEVICES[:1], **SMALL, rate_per_s=1.0
    )

    assert result.as_dict()["outcomes"] == {"does not fit": 1}
    assert result.shortfall.missing_bytes > 100 * GiB


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": []}, r"catalogue=\[\] must hold at least one"),
        ({"goal": kvsim.ServiceLimits()}, "at least one of slo_ttft_s"),
        ({"goal": kvsim.ServiceLimits(slo_tpot_s=0.1)}, "keeps a queue from growing"),
        ({"rate_per_s": 0.0}, "rate_per_s=0 must be > 0"),
        ({"spare": -1}, "spare=-1 must be >= 0"),
        ({"num_seeds": 0}, "num_seeds=0 must be a whole number >= 1"),
        ({"settings": {"data_parallel_size": [2]}}, "replicas are what is asked for"),
        ({"settings": {"kv_cash_dtype": ["fp8"]}}, "settings=kv_cash_dtype must be one of"),
        ({"settings": {"tensor_parallel_size": [1, 1]}}, "must not be given twice"),
        ({"backend": "cloud"}, "backend=cloud must be one of"),
    ],
)
def test_an_impossible_question_is_refused(changes, words):
    """
    In one line that names field, value and rule.
    """
    with pytest.raises(kvsim.SpecError, match=words):
        found(**changes)


@pytest.mark.parametrize(("name", "words"), [("offline-batch", "come over time")])
def test_requests_without_a_rate_are_refused(name, words):
    """
    A search varies the rate at which requests come.
    """
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.search(LLAMA, name, GOAL, DEVICES, **SMALL)


def test_a_trace_is_stretched():
    """
    Its requests serve at every rate; seeds are refused, for nothing in it is by chance.
    """
    asked = {"settings": {}, "rate_per_s": 5.0, "devices": DEVICES[-1:]}
    result = found(**asked)
    assert result.members[0].seeds is None
    with pytest.raises(kvsim.SpecError, match="num_seeds=2 must be 1"):
        found(**asked, num_seeds=2)


def test_devices_without_a_price_are_left_out():
    """
    A cost is never invented.
    """
    unpriced = dataclasses.replace(DEVICES[-1], price=None)
    result = found(devices=[unpriced, DEVICES[0]], settings={"quantization": "fp8"})
    assert result.contenders[0].candidate.outcome == "no price"


ASKED = ["search", "llama-3.1-8b", "--workload", "chat", "--workers", "1", "--num-requests", "60"]


def test_the_command_answers_and_exits_with_3_without_one(capsys):
    """
    JSON alone on stdout; status 0 with a front, 3 without.
    """
    goal = ["--slo-ttft-s", "1", "--rate", "4", "--json"]
    assert main([*ASKED, "--gpus", "h100,l4", "--quantization", "none,fp8", *goal]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["fits"]
    assert len(result["candidates"]) == 4

    assert main([*ASKED, "--gpus", "h100", "--slo-e2e-s", "0.0001", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["shortfall"]["factor"] > 1


def test_the_table_breaks_no_name_on_a_narrow_terminal(capsys, monkeypatch):
    """
    80 columns: devices, settings and figures stand in whole words.
    """
    monkeypatch.setenv("COLUMNS", "80")
    varied = ["--kv-cache-dtype", "auto,int8_per_token_head", "-tp", "1,2"]
    goal = ["--slo-ttft-s", "1", "--rate", "40"]
    assert main([*ASKED, "--gpus", "h100,a100-sxm4-80gb", *varied, *goal]) == 0
    table = capsys.readouterr().out.partition("vllm serve")[0]

    assert all(len(line.rstrip()) <= 80 for line in table.splitlines())
    words = set(table.split())
    assert "H100-SXM5-80GB" in words
    assert "replicas" in words
    assert words & {"int8_per_token_head", "auto"}
    assert not any(word.endswith("…") for word in words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--gpus", "", "--slo-ttft-s", "1"], "catalogue=[] must hold at least one"),
        (["--gpus", "all,h100", "--slo-ttft-s", "1"], "exclude each other"),
        (["--gpus", "h100"], "at least one of slo_ttft_s"),
        (["--gpus", "h100", "--slo-ttft-s", "1", "--trace", "t.csv"], "one of --workload"),
        (["--gpus", "h100", "--slo-ttft-s", "1", "-tp", "two"], "tensor_parallel_size='two'"),
    ],
)
def test_contradictory_flags_are_one_line(flags, words, capsys):
    """
    Status 2, and what is wrong.
    """
    assert main([*ASKED, *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", "1"], "seed=1 is of generated requests: leave it or trace out"),
        (["--num-requests", "5"], "num_requests=5 is of generated requests"),
        ([], "no-such.csv: No such file"),
    ],
)
def test_a_trace_is_read_as_it_is(flags, words, capsys):
    """
    Nothing in it is by chance, and it must be there.
    """
    asked = ["search", "gpt2", "--trace", "no-such.csv", "--gpus", "h100", "--slo-ttft-s", "1"]
    assert main([*asked, *flags]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_is_done(tmp_path, workers):
    """
    The signal reaches every process, as from a terminal: status 130, a whole answer, kept rows.
    """
    path = tmp_path / "search.parquet"
    asked = ["--gpus", "l4,a100-sxm4-80gb,h100,h200", "-tp", "1,2,4,8", "--kv-cache-dtype"]
    asked += ["auto,fp8", "--num-requests", "3000", "--slo-ttft-s", "1", "--json"]
    command = [sys.executable, "-m", "kvsim", "search", "llama-3.1-8b", "--workload", "chat"]
    parts = Path(f"{path}.parts")

    result = interrupted(
        [*command, *asked, f"--resume={path}", f"--workers={workers}"], parts, cwd=ROOT
    )

    assert result["interrupted"]
    assert result["outcomes"]["not reached"] > 0
    assert len(list(parts.glob("*.parquet"))) >= 2


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_a_cluster_finds_the_same():
    """
    Two Ray nodes: byte for byte the answer of one process here.
    """
    # Ray's own switch for addresses of this machine alone, and no report to its makers.
    alone = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("search_on_ray.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT), **alone},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == json.dumps(drawn().as_dict())
