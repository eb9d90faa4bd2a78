"""Figures over seeds: the bootstrap holds what it says, and the command line shows it."""

import json
from functools import partial
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import kvsim
from kvsim.cli import main
from kvsim.planner import seed_runs
from kvsim.planner.seeds import over_seeds
from kvsim.planner.sweep_run import run_tasks

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs/schema/simulate.schema.json").read_text(encoding="utf-8")
)
SMALL = ["simulate", "gpt2", "--num-gpu-blocks", "200", "--num-requests", "15", "--rate", "9"]
SMALL += ["--prompt-tokens", "300", "--output-tokens", "40"]


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says():
    """
    200 times 25 normal figures around 10: the 95 % interval misses 10 in some 5 % of them.
    """
    chance = rng()
    missed = 0
    for trial in range(200):
        runs = [{"mean_running": float(x)} for x in chance.normal(10, 2, 25)]
        figure = over_seeds(runs, range(25), rng(trial)).figures["mean_running"]
        assert figure.low <= figure.mean <= figure.high
        missed += not figure.low <= 10 <= figure.high

    assert 0.02 < missed / 200 < 0.12


def test_equal_runs_leave_no_doubt():
    """
    What is the same in every run has an interval of one point; groups are told by both names.
    """
    runs = [{"preemptions": 3, "ttft_s": {"p99": 0.5}, "goodput": {"met": True, "share": 1.0}}] * 4

    figures = over_seeds(runs, range(4), rng()).figures

    assert set(figures) == {"preemptions", "ttft_s.p99", "goodput.share"}
    assert all(f.low == f.mean == f.high for f in figures.values())
    with pytest.raises(kvsim.SpecError, match="seeds=1 must be >= 2"):
        kvsim.over_seeds(runs[:1])


def test_the_command_line_runs_as_many_seeds(capsys):
    """
    The other figures are of the first seed; the intervals are of all of them.
    """
    assert main([*SMALL, "--seeds", "4", "--slo-e2e-s", "60", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main([*SMALL, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)

    jsonschema.Draft202012Validator(SCHEMA).validate(result)
    assert result["over_seeds"]["seeds"] == [0, 1, 2, 3]
    assert result["ttft_s"] == first["ttft_s"]
    ttft = result["over_seeds"]["figures"]["ttft_s.p90"]
    assert ttft["low"] < ttft["mean"] < ttft["high"]
    assert main([*SMALL, "--seeds", "2"]) == 0
    assert "2 seeds, 95% intervals" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--seeds", "0"], "seeds=0 must be in [1, 1000]"),
        (["--seeds", "2", "--trace", "x.csv"], "seeds=2 must be 1 with trace=x.csv"),
    ],
)
def test_seeds_that_say_nothing_are_refused(argv, message, capsys):
    """
    Field, value and rule.
    """
    assert main([*SMALL, *argv]) == 2
    assert message in capsys.readouterr().err


def test_progress_is_shown_on_a_terminal_alone(capsys, monkeypatch, tmp_path):
    """
    A bar on stderr while a trace is read and served; not a character elsewhere.
    """
    path = tmp_path / "t.csv"
    kvsim.write_trace(kvsim.poisson_workload(kvsim.PoissonTraffic(num_requests=20)), path)
    argv = ["simulate", "llama-3.1-8b", "--num-gpu-blocks", "9000", "--trace", str(path)]
    argv += ["--max-model-len", "4096", "--json"]

    assert main(argv) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert main(argv) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["requests"] == 20
    assert "requests" in shown.err


def test_progress_tells_how_much_is_done(tmp_path):
    """
    Requests read, and answers complete; never more than there are.
    """
    path, read, served = tmp_path / "t.csv", [], []
    traffic = kvsim.PoissonTraffic(num_requests=1500, prompt_tokens=50, output_tokens=20)
    kvsim.write_trace(kvsim.poisson_workload(traffic), path)

    workload = kvsim.read_trace(path, on_progress=read.append)
    engine = kvsim.Vllm(num_gpu_blocks_override=4000, max_model_len=1024)
    kvsim.simulate_blocks(
        kvsim.load_model("gpt2"), workload, engine=engine, on_progress=served.append
    )

    assert read == [1000]
    assert served == sorted(served)
    assert 0 < max(served) <= 1500


# --- seeds side by side ---------------------------------------------------------------------------

SEEDS = [*SMALL, "--seeds", "4", "--slo-e2e-s", "60", "--reproducible", "--json"]


def served(*, num_requests=15, max_model_len=1024):
    """What serves small requests, and what makes those of a seed; both can be sent to a process."""
    engine = kvsim.Vllm(num_gpu_blocks_override=200, max_model_len=max_model_len)
    run = partial(kvsim.simulate_blocks, kvsim.load_model("gpt2"), engine=engine, step_time_s=0.01)
    traffic = kvsim.PoissonTraffic(
        num_requests=num_requests, rate_per_s=9.0, prompt_tokens=300, output_tokens=40
    )
    return run, partial(kvsim.poisson_workload, traffic)


def test_seeds_are_the_same_on_any_number_of_processes(capsys):
    """
    What is printed says what was found, byte for byte, not who found it.
    """
    printed = []
    for workers in ([], ["--workers", "1"], ["--workers", "3"]):
        assert main([*SEEDS, *workers]) == 0
        printed.append(capsys.readouterr().out)

    assert printed[0] == printed[1] == printed[2]


def test_each_seed_is_the_run_of_that_seed_alone():
    """
    The library's runs, in processes, are what `simulate_blocks` gives for each seed.
    """
    run, workload = served()

    done = kvsim.simulate_seeds(run, workload, range(3, 6), num_workers=2)

    alone = [run(workload(seed=seed), seed=seed) for seed in range(3, 6)]
    assert list(done.runs) == [one.as_dict() for one in alone]
    assert done.first.requests == alone[0].requests
    assert done.spread == kvsim.over_seeds(done.runs, first_seed=3)
    assert done.source == workload(seed=3).source


def test_small_runs_start_no_process(monkeypatch):
    """
    Processes take seconds to start: work that is shorter stays here, unless they are asked for.
    """
    asked = []

    def noted(todo, *given, num_workers, **further):
        asked.append(num_workers)
        return run_tasks(todo, *given, num_workers=1, **further)

    monkeypatch.setattr(seed_runs, "run_tasks", noted)
    run, workload = served()
    kvsim.simulate_seeds(run, workload, range(3))
    kvsim.simulate_seeds(run, workload, range(3), num_workers=2)
    monkeypatch.setattr(seed_runs, "WORTH_PROCESSES_S", 0.0)
    kvsim.simulate_seeds(run, workload, range(3))

    assert asked == [1, 2, None]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_lowest_seed_that_is_refused_says_why(num_workers):
    """
    Requests that do not fit the context end the runs with that seed's words, whoever met them.
    """
    run, workload = served(max_model_len=420)
    why = [_refusal(run, workload, seed) for seed in range(60)]
    start = next(i for i in range(60) if not why[i] and why[i + 1])

    with pytest.raises(kvsim.SpecError) as raised:
        kvsim.simulate_seeds(run, workload, range(start, start + 3), num_workers=num_workers)
    assert str(raised.value) == why[start + 1]


@pytest.mark.parametrize("seeds", [[], [0, 2], [1, 0]])
def test_seeds_follow_each_other(seeds):
    """
    Intervals are told with their seeds: from the first on, one after the other.
    """
    with pytest.raises(kvsim.SpecError, match="seeds="):
        kvsim.simulate_seeds(*served(), seeds)


def test_what_no_process_can_be_sent_is_refused_at_once():
    """
    Long work goes to processes: what cannot is refused before any work, short work too.
    """
    run, workload = served()
    rule = "must be of a module, or filled in by functools.partial"

    with pytest.raises(kvsim.SpecError, match=f"run=.* {rule}"):
        kvsim.simulate_seeds(lambda w, seed, **_: run(w, seed=seed), workload, range(2))
    with pytest.raises(kvsim.SpecError, match=f"workload=.* {rule}"):
        kvsim.simulate_seeds(run, lambda seed: workload(seed=seed), range(2))


def test_progress_counts_the_answers_of_all_seeds():
    """
    Those of the first as they come, then seed by seed.
    """
    told = []

    kvsim.simulate_seeds(*served(num_requests=15), range(3), on_progress=lambda *n: told.append(n))

    assert told == sorted(told)
    assert told[-3:] == [(15, 45), (30, 45), (45, 45)]


def test_ctrl_c_among_the_seeds_keeps_the_first(monkeypatch, capsys):
    """
    As within a run: what is done is told, as interrupted, with exit status 130.
    """

    def stopped(todo, work, shared, **_):
        yield todo[0], work(shared, todo[0].points)
        raise KeyboardInterrupt

    monkeypatch.setattr(seed_runs, "run_tasks", stopped)
    assert main(SEEDS) == 130
    result = json.loads(capsys.readouterr().out)
    monkeypatch.undo()
    assert main([*SMALL, "--slo-e2e-s", "60", "--reproducible", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)

    assert result["interrupted"]
    assert "over_seeds" not in result
    assert result["ttft_s"] == alone["ttft_s"]
    run, workload = served()
    monkeypatch.setattr(seed_runs, "run_tasks", stopped)
    with pytest.raises(KeyboardInterrupt):
        kvsim.simulate_seeds(run, workload, range(3))
    kept = kvsim.simulate_seeds(run, workload, range(3), keep_partial=True)
    assert (len(kept.runs), kept.interrupted, kept.spread) == (2, True, None)


def _refusal(run, workload, seed):
    """What a seed's requests are refused with; empty if they are served."""
    try:
        run(workload(seed=seed), seed=seed)
    except kvsim.SpecError as error:
        return str(error)
    return ""
