"""`kvsim simulate --stream`: the figures of a run at once, however often it was stopped."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

import kvsim
from kvsim.cli import main

NUM_REQUESTS = 1500
ENGINE = ["llama-3.1-8b", "--num-gpu-blocks", "200", "--max-model-len", "512"]
ENGINE += ["--max-num-seqs", "16", "--step-time", "0.02"]
OF_A_RUN = {"provenance", "simulated_requests_per_s", "workload"}
"""What a stream says otherwise than a run at once."""


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """Some twenty windows for a short trace."""
    monkeypatch.setattr("kvsim.api.reading.WINDOW_BYTES", 1500)
    monkeypatch.setattr("kvsim.api.reading.WINDOW_REQUESTS", 70)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """Requests that share nothing, some of which are preempted."""
    numbers = np.random.default_rng(3)
    path = tmp_path_factory.mktemp("trace") / "requests.csv"
    pl.DataFrame(
        {
            "arrival_s": np.cumsum(numbers.exponential(0.07, NUM_REQUESTS)),
            "num_prompt_tokens": numbers.integers(1, 300, NUM_REQUESTS),
            "num_output_tokens": numbers.integers(1, 100, NUM_REQUESTS),
        }
    ).write_csv(path)
    return path


def told(capsys, *argv):
    """The figures, and the command's code."""
    code = main(["simulate", *ENGINE, *map(str, argv), "--json"])
    result = json.loads(capsys.readouterr().out)
    return code, {name: value for name, value in result.items() if name not in OF_A_RUN}


def error_of(capsys, *argv):
    code = main(["simulate", *ENGINE, *map(str, argv)])
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err


def order(trace, folder, **changes):
    return kvsim.StreamOrder(trace=trace, folder=folder, **changes)


def stream(given, **listening):
    """The stream of the flags above, by the library."""
    return kvsim.simulate_blocks_stream(
        kvsim.load_model("llama-3.1-8b"),
        given,
        engine=kvsim.Vllm(max_model_len=512, max_num_seqs=16, num_gpu_blocks_override=200),
        step_time_s=0.02,
        listener=kvsim.StreamListener(**listening),
    )


def stop_after(num_windows):
    """Ctrl-C after so many windows."""
    left = iter(range(num_windows))

    def on_progress(_):
        if next(left, None) is None:
            raise KeyboardInterrupt

    return on_progress


def test_a_stream_says_what_a_run_at_once_says(capsys, trace, tmp_path):
    """Every figure, the goodput, and a row per request in the trace's order."""
    limits = ["--slo-ttft-s", "1", "--slo-tpot-s", "0.03"]
    whole = told(capsys, "--trace", trace, "--output", tmp_path / "whole.parquet", *limits)
    flags = ["--trace", trace, "--stream", tmp_path / "s", *limits]
    flags += ["--output", tmp_path / "parts.parquet"]

    assert told(capsys, *flags) == whole
    assert whole[1]["preemptions"] > 0
    tables = [pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts")]
    assert tables[0].equals(tables[1])
    assert told(capsys, *flags, "--resume") == whole  # all is done: read off the folder


def test_what_is_read_row_by_row_is_streamed_too(capsys, trace, tmp_path):
    """Quotes, and bad lines that are left out."""
    odd = tmp_path / "odd.csv"
    lines = trace.read_text().splitlines()
    lines[700] = ",".join(f'"{cell}"' for cell in lines[700].split(","))
    lines[900] = "x,y,z"
    odd.write_text("\n".join(lines))
    whole = told(capsys, "--trace", odd, "--skip-bad")

    assert told(capsys, "--trace", odd, "--skip-bad", "--stream", tmp_path / "s") == whole
    code, line = error_of(capsys, "--trace", odd, "--stream", tmp_path / "t")
    assert (code, line) == error_of(capsys, "--trace", odd)
    assert "odd.csv, line 901: arrival_s='x'" in line


@pytest.mark.parametrize("num_windows", [1, 7])
def test_a_stopped_stream_goes_on(trace, tmp_path, num_windows):
    """Twice stopped, then served to the end: no figure differs."""
    whole = stream(order(trace, tmp_path / "whole"))
    given = order(trace, tmp_path / "parts")

    parts = [stream(given, keep_partial=True, on_progress=stop_after(num_windows)) for _ in "ab"]
    assert [part.interrupted for part in parts] == [True, True]
    counts = [part.outcome.num_finished for part in parts]
    assert 0 < counts[0] < counts[1] < NUM_REQUESTS
    with pytest.raises(KeyboardInterrupt):
        stream(given, on_progress=stop_after(0))
    last = stream(given)

    assert last.num_resumed > counts[1]
    assert last.outcome == whole.outcome


def test_what_was_written_after_the_state_is_forgotten(trace, tmp_path, monkeypatch):
    """A run that dies between its columns and its state leaves nothing twice."""
    whole = stream(order(trace, tmp_path / "whole", output=tmp_path / "whole.parquet"))
    given = order(trace, tmp_path / "parts", output=tmp_path / "parts.parquet")
    calls = iter(range(9))

    def savez(*args, **arrays):
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return np.savez_compressed(*args, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr("numpy.savez", savez)
        with pytest.raises(kvsim.FileError, match="No space left on device; what is done is kept"):
            stream(given)

    assert stream(given).outcome == whole.outcome
    tables = [pl.read_parquet(tmp_path / f"{name}.parquet") for name in ("whole", "parts")]
    assert tables[0].equals(tables[1])


def test_a_killed_stream_goes_on(capsys, trace, tmp_path):
    """SIGKILL at any time: the next run gives what one that nobody killed gives."""
    folder = tmp_path / "s"
    code = "import kvsim.api.reading as r; r.WINDOW_BYTES = 1500\n"
    code += "from kvsim.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    flags = ["--trace", str(trace), "--stream", str(folder)]
    argv = [sys.executable, "-c", code, "simulate", *ENGINE, *flags]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 60
    while not (folder / "state.npz").exists() and time.monotonic() < deadline_s:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    assert told(capsys, *flags, "--resume") == told(capsys, "--trace", trace)


def test_another_runs_folder_is_refused(trace, tmp_path):
    """Other settings, another trace, a folder of something else; nothing to resume."""
    stream(order(trace, tmp_path / "s"), on_progress=None)
    other = tmp_path / "other.csv"
    other.write_text("arrival_s,num_prompt_tokens,num_output_tokens\n0,3,4\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")

    with pytest.raises(kvsim.SpecError, match="s is another run's: name another folder"):
        stream(order(other, tmp_path / "s"))
    with pytest.raises(kvsim.SpecError, match="full is there and no stream's"):
        stream(order(trace, tmp_path / "full"))
    with pytest.raises(kvsim.SpecError, match="there is no stream to resume"):
        stream(order(trace, tmp_path / "new", resume=True))
    with pytest.raises(kvsim.FileError, match="nowhere/s: No such file or directory"):
        stream(order(trace, tmp_path / "nowhere" / "s"))
    (tmp_path / "s" / "state.npz").write_bytes(b"PK no zip")
    with pytest.raises(kvsim.FileError, match=r"state.npz: is no state of a stream"):
        stream(order(trace, tmp_path / "s"))


def test_a_stream_of_another_kvsim_says_so(trace, tmp_path):
    """Its state is not gone on from by other rules; a description of a later form is not read."""
    given = order(trace, tmp_path / "s")
    stream(given)
    path = tmp_path / "s" / "stream.json"
    held = json.loads(path.read_text())
    path.write_text(json.dumps({**held, "digest": "", "run": {**held["run"], "kvsim": "0.0.1"}}))
    with pytest.raises(kvsim.SpecError, match=r"is of kvsim 0\.0\.1, whose rules may differ"):
        stream(given)

    path.write_text(json.dumps({**held, "schema_version": 2}))
    with pytest.raises(kvsim.FileError, match="schema_version=2 must be 1: a newer kvsim"):
        stream(given)


def test_a_state_of_other_records_is_another_runs(trace, tmp_path, monkeypatch):
    """Another kvsim may keep something else."""
    given = order(trace, tmp_path / "s")
    with pytest.raises(KeyboardInterrupt):
        stream(given, on_progress=stop_after(0))
    monkeypatch.setattr("kvsim.sim.stream.LAYOUT", "of another kvsim")

    with pytest.raises(kvsim.SpecError, match="is another run's"):
        stream(given)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--resume"], "resume must come with --stream FOLDER"),
        (["--stream", "s"], "stream=s must come with --trace FILE"),
        (["--stream", "s", "--trace", "t", "--rate", "3"], "stream=s: rate_per_s must be left out"),
        (["--stream", "s", "--trace", "t", "--scheduler", "reference"], "scheduler must be left"),
        (["--stream", "s", "--trace", "t", "--slo-itl-s", "1"], "slo_itl_s=1 must be left out"),
        (["--stream", "s", "--trace", "t", "--output", "o.csv"], "output=o.csv of a stream must"),
        (["--stream", "s", "--trace", "t"], "t: No such file or directory"),
    ],
)
def test_what_a_stream_does_not_take_is_one_line(capsys, tmp_path, monkeypatch, flags, message):
    """Before anything is read or written."""
    monkeypatch.chdir(tmp_path)

    code, line = error_of(capsys, *flags)

    assert code == 2
    assert message in line
    assert line.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_the_twin_does_not_cover_is_refused(trace, tmp_path):
    """A stream has no reference to hand over to."""
    with pytest.raises(kvsim.UnsupportedError, match=r"stream needs the compiled twin.*groups"):
        kvsim.simulate_blocks_stream(
            kvsim.load_model("gemma-3-27b"),
            order(trace, tmp_path / "s"),
            engine=kvsim.Vllm(max_model_len=512, num_gpu_blocks_override=4000),
        )
