"""Sweeps: rows equal single answers; nothing that happens on the way changes the table."""

# long: one claim after another about one question

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import kvsim
from tests.processes import interrupted, kill_a_worker

ROOT = Path(__file__).parents[2]
PLANS = {
    "model": ["llama-3.1-8b", "gemma-3-27b", "deepseek-v3.2", "qwen3-next-80b-a3b"],
    "gpu": ["h100", "b200"],
    "max_model_len": [4096, 10**9],
    "tensor_parallel_size": [2, 3],
    "concurrent_requests": [1, 40],
}
RUNS = {
    "model": "llama-3.1-8b",
    "gpu": "h100",
    "max_model_len": 4096,
    "num_requests": 40,
    "max_num_seqs": [8, 16],
    "seed": [0, 1, 2, 3],
}
COMMAND = [sys.executable, "-W", "error", "-m", "kvsim", "sweep"]


def runs():
    return kvsim.sweep_grid(RUNS, simulate=True)


def flags(fields):
    for name, values in fields.items():
        many = values if isinstance(values, list) else [values]
        yield f"--grid={name}={','.join(map(str, many))}"


def planned(cells):
    """The single plan of a row's fields, or why it is refused."""
    try:
        return kvsim.plan(
            kvsim.Deployment(
                model=kvsim.load_model(cells["model"]),
                accelerator=kvsim.accelerator(cells["gpu"]),
                engine=kvsim.Vllm(max_model_len=cells["max_model_len"]),
                parallel=kvsim.Parallelism(tensor_parallel_size=cells["tensor_parallel_size"]),
            ),
            concurrent_requests=cells["concurrent_requests"],
        ).as_dict()
    except kvsim.KvsimError as error:
        return str(error)


def test_a_planned_row_is_that_plan():
    """A sweep has no formula of its own."""
    table = kvsim.sweep(PLANS)
    names = list(table.columns)
    answered = 0
    for row in table.rows:
        cells = dict(zip(names, row, strict=True))
        plan = planned(cells)
        if isinstance(plan, str):
            assert (cells["refusal"], cells["fits"]) == (plan, None)
            continue
        answered += 1
        held = plan["capacity"]
        assert cells["refusal"] is None
        for name in ("fits", "verdict", "needed_bytes", "available_bytes"):
            assert cells[name] == plan[name]
        for name in ("num_gpu_blocks", "kv_cache_tokens", "max_concurrency", "request_bytes"):
            assert cells[name] == held[name]
        assert cells["max_requests"] == held["max_requests"]
        assert cells["kv_cache_bytes"] == plan["budget"]["kv_cache_bytes"]["best"]
    assert 0 < answered < len(table.rows) == 64


def test_a_simulated_row_is_that_run():
    """Latencies and counts are those of `kvsim.simulate` with the row's settings."""
    table = kvsim.sweep(runs(), num_workers=1)
    cells = dict(zip(table.columns, table.rows[5], strict=True))
    done = kvsim.simulate(
        kvsim.Deployment(
            model=kvsim.load_model("llama-3.1-8b"),
            accelerator=kvsim.accelerator("h100"),
            engine=kvsim.Vllm(max_model_len=4096, max_num_seqs=16),
        ),
        kvsim.poisson_workload(kvsim.PoissonTraffic(num_requests=40), seed=1),
        seed=1,
    )
    assert (cells["max_num_seqs"], cells["seed"]) == (16, 1)
    assert cells["steps"] == len(done.steps)
    assert cells["ttft_s_p99"] == done.ttft_s.p99
    assert cells["waste_used"] == done.waste.used
    assert cells["mean_block_utilization"] == done.mean_block_utilization


def test_limits_and_efficiencies_are_fields():
    """How many requests keep a latency goal, over batch sizes: what a planner asks."""
    fields = {
        **RUNS,
        "rate_per_s": 5.0,
        "seed": 0,
        "slo_ttft_s": [1e-6, 1000.0],
        "bandwidth_efficiency": [0.4, 0.8],
        "max_num_seqs": 16,
    }
    table = kvsim.sweep(kvsim.sweep_grid(fields, simulate=True), num_workers=1)
    cells = [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    assert [one["slo_met"] for one in cells] == [False, False, True, True]
    assert [one["goodput_share"] for one in cells] == [0.0, 0.0, 1.0, 1.0]
    assert cells[0]["tpot_s_mean"] > cells[1]["tpot_s_mean"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_table_is_the_same_on_any_number_of_processes(tmp_path, suffix):
    """Byte for byte."""
    written = []
    for workers in (1, 2, 3):
        path = tmp_path / f"{workers}{suffix}"
        kvsim.sweep(runs(), num_workers=workers, output=path)
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]


@pytest.mark.slow
def test_a_killed_process_loses_nothing(tmp_path):
    """Its tasks are done by another; the table is complete and the same."""
    killed = []

    def kill_one(_done):
        if not killed:
            killed.append(kill_a_worker("LokyProcess"))

    there, here = tmp_path / "there.parquet", tmp_path / "here.parquet"
    table = kvsim.sweep(runs(), num_workers=2, output=there, on_progress=kill_one)
    kvsim.sweep(runs(), num_workers=1, output=here)

    assert len(killed) == 1
    assert table.num_computed == 8
    assert there.read_bytes() == here.read_bytes()


def test_a_task_on_which_every_worker_dies_ends_the_sweep(monkeypatch):
    """Out of memory again and again must not run for ever."""
    # A module that workers import, whose function ends the process that calls it.
    from tests.planner import deadly  # noqa: PLC0415

    monkeypatch.setattr("kvsim.api.sweeping.run_points", deadly.die)
    with pytest.raises(kvsim.WorkerError, match="points 0 to 0: 4 workers died"):
        kvsim.sweep(runs(), num_workers=2)


def test_a_rerun_does_only_what_is_missing(tmp_path):
    """What an earlier run kept is read, not computed again."""
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    kvsim.sweep(runs(), num_workers=1, output=whole)

    def stop(done):
        if done == 3:
            raise KeyboardInterrupt

    partial = kvsim.sweep(runs(), num_workers=1, output=broken, on_progress=stop, keep_partial=True)
    kept = sorted(Path(f"{broken}.parts").glob("*.parquet"))
    assert partial.interrupted
    assert (partial.num_computed, len(kept)) == (3, 3)
    assert pl.read_parquet(kept[0])["seed"].to_list() == [0]

    again = kvsim.sweep(runs(), num_workers=1, output=broken, resume=True)
    assert (again.num_computed, again.num_reused) == (5, 3)
    assert broken.read_bytes() == whole.read_bytes()
    done = kvsim.sweep(runs(), num_workers=1, output=broken)
    assert (done.num_computed, done.num_reused) == (0, 8)


def test_another_sweeps_output_is_refused(tmp_path):
    """Neither a whole table, nor parts, nor a file of something else is written over."""
    output = tmp_path / "table.csv"
    kvsim.sweep({**PLANS, "gpu": "h100"}, output=output)
    before = output.read_bytes()
    with pytest.raises(kvsim.SpecError, match="another sweep's"):
        kvsim.sweep(PLANS, output=output)
    assert output.read_bytes() == before

    foreign = tmp_path / "notes.csv"
    foreign.write_text("mine\n")
    with pytest.raises(kvsim.SpecError, match="no sweep's"):
        kvsim.sweep(PLANS, output=foreign)
    assert foreign.read_text() == "mine\n"


def test_a_sweep_of_another_kvsim_says_so(tmp_path):
    """What changed between two versions is in neither's digest by name: the reason is said."""
    output = tmp_path / "table.csv"
    kvsim.sweep(PLANS, output=output)
    path = tmp_path / "table.csv.sweep.json"
    held = json.loads(path.read_text())
    path.write_text(
        json.dumps({**held, "digest": "", "sweep": {**held["sweep"], "kvsim": "0.0.1"}})
    )

    with pytest.raises(kvsim.SpecError, match=r"is of kvsim 0\.0\.1, whose rules may differ"):
        kvsim.sweep(PLANS, output=output)


def test_a_description_that_states_no_version_is_the_first_ones(tmp_path):
    """Descriptions had no `schema_version` at first; their sweeps still go on."""
    output = tmp_path / "table.csv"
    whole = kvsim.sweep(PLANS, output=output)
    path = tmp_path / "table.csv.sweep.json"
    held = json.loads(path.read_text())
    assert held.pop("schema_version") == 1
    path.write_text(json.dumps(held))

    assert kvsim.sweep(PLANS, output=output, resume=True).num_reused == whole.num_computed


def test_a_changed_model_is_another_sweep(tmp_path):
    """A config that was edited in between must not be mixed with the old one's rows."""
    config = json.loads((ROOT / "validation/golden/configs/llama-3.1-8b.json").read_text())
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    grid = {"model": str(path), "gpu": "h100", "max_model_len": [1024, 2048]}
    kvsim.sweep(grid, output=tmp_path / "table.csv")

    path.write_text(json.dumps({**config, "num_key_value_heads": 4}))
    with pytest.raises(kvsim.SpecError, match="another sweep's"):
        kvsim.sweep(grid, output=tmp_path / "table.csv")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("table.xlsx", r"must end in \.parquet or \.csv"),
        ("nowhere/table.csv", "the folder is not there"),
    ],
)
def test_an_impossible_output_is_refused(tmp_path, output, words):
    """Before anything is computed."""
    with pytest.raises(kvsim.KvsimError, match=words):
        kvsim.sweep(PLANS, output=tmp_path / output)


def test_nothing_to_resume_is_said(tmp_path):
    """`resume` is a promise that something is there."""
    with pytest.raises(kvsim.SpecError, match="no sweep to resume"):
        kvsim.sweep(PLANS, output=tmp_path / "new.csv", resume=True)


def test_a_full_disk_keeps_what_was_written(tmp_path):
    """The system refuses a file over the limit, as a full disk does."""
    output = tmp_path / "table.parquet"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(done):
        if done == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    try:
        with pytest.raises(kvsim.FileError, match="what is done is kept in") as caught:
            kvsim.sweep(runs(), num_workers=1, output=output, on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "\n" not in str(caught.value)
    kept = [pl.read_parquet(part) for part in Path(f"{output}.parts").glob("*.parquet")]
    assert sorted(frame["seed"].item() for frame in kept) == [0, 1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "table.parquet.parts",
        "table.parquet.sweep.json",
    ]
    assert kvsim.sweep(runs(), num_workers=1, output=output).num_reused == 3


def test_ctrl_c_as_the_table_is_made_whole_loses_nothing(tmp_path, monkeypatch):
    """The last task is done, the file is being written: the rows are told, and are still there."""

    def interrupt(*_):
        monkeypatch.undo()
        raise KeyboardInterrupt

    output = tmp_path / "table.csv"

    def near_the_end(done):
        if done == 8:
            monkeypatch.setattr(Path, "replace", interrupt)

    told = kvsim.sweep(
        runs(), num_workers=1, output=output, keep_partial=True, on_progress=near_the_end
    )

    assert (told.interrupted, told.num_computed) == (True, 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "table.csv.parts",
        "table.csv.sweep.json",
    ]
    again = kvsim.sweep(runs(), num_workers=1, output=output, resume=True)
    assert (again.interrupted, again.num_reused) == (False, 8)
    assert len(pl.read_csv(output)) == 8


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_keeps_what_is_done(tmp_path, workers):
    """The whole process group gets the signal, as from a terminal; no traceback, status 130."""
    output = tmp_path / "table.csv"
    big = {**RUNS, "num_requests": 50_000, "seed": list(range(20))}
    command = [*COMMAND, *flags(big), "--simulate", "--json"]

    result = interrupted(
        [*command, f"--output={output}", f"--workers={workers}"],
        Path(f"{output}.parts"),
        cwd=ROOT,
    )

    assert result["interrupted"]
    kept = len(list(Path(f"{output}.parts").glob("*.parquet")))
    assert 2 <= result["computed"] == kept < 40


def test_sigkill_loses_at_most_one_task(tmp_path):
    """No file is half written, what was told as done is kept, and a rerun does only the rest."""
    output = tmp_path / "table.parquet"
    big = {**RUNS, "num_requests": 200, "seed": list(range(12))}
    code = (
        "import json, sys, kvsim\n"
        "grid = kvsim.sweep_grid(json.loads(sys.argv[2]), simulate=True)\n"
        "tell = lambda done: print(done, flush=True)\n"
        "kvsim.sweep(grid, num_workers=1, output=sys.argv[1], on_progress=tell)\n"
    )
    argv = [sys.executable, "-c", code, str(output), json.dumps(big)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        told = [int(process.stdout.readline()) for _ in range(5)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout]

    parts = list(Path(f"{output}.parts").glob("*.parquet"))
    kept = [pl.read_parquet(part).height for part in parts]
    assert 0 <= sum(kept) - told[-1] <= 1
    assert sum(kept) < 24
    grid = kvsim.sweep_grid(big, simulate=True)
    again = kvsim.sweep(grid, num_workers=1, output=output, resume=True)

    assert (again.num_reused, again.num_computed) == (sum(kept), 24 - sum(kept))
    whole = tmp_path / "whole.parquet"
    kvsim.sweep(grid, num_workers=1, output=whole)
    assert output.read_bytes() == whole.read_bytes()
    left = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("table"))
    assert left == ["table.parquet", "table.parquet.sweep.json"]
