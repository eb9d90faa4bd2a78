"""The whole live run on a fake CUDA device that counts the tensors of real models."""

import json

import pytest

import kvsim
from kvsim.cli import main as kvsim_main
from tests.validation.fake_cuda import MIB, FakeCuda, counting
from validation.__main__ import main
from validation.live import device as devices
from validation.live.architectures import load_rows, resized
from validation.live.device import Cuda
from validation.live.rung import Outcome, Status
from validation.live.transformers import reserved_shares

pytest.importorskip("transformers")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SMALL = ("--threads", "1", "--prompts", "16", "--batches", "2", "--caches", "dynamic", "static")


class Roomy(Cuda):
    """A device that promises more than it has."""

    def available_bytes(self):
        return 2**40


@pytest.fixture
def cuda(monkeypatch):
    """A fake whose tensors lie on the CPU; `kind` is the adapter's class."""

    def make(*, kind=Cuda, **settings):
        fake = FakeCuda(**settings)

        def select(_name, *, index=0):
            device = kind(fake, index)
            device.torch_name = "cpu"
            return device

        monkeypatch.setattr(devices, "select", select)
        return fake

    return make


@pytest.fixture
def config(tmp_path):
    """A tiny Llama's config.json."""
    path = tmp_path / "config.json"
    path.write_text(json.dumps(resized(load_rows()["llama/base"]["config"])))
    return path


def live(fake, *arguments, index=0):
    with counting(fake, index):
        return main(["live", "transformers", *arguments])


@pytest.mark.parametrize("expandable", [False, True])
@pytest.mark.parametrize("row", ["llama/base", "gemma3/base"])
def test_the_ladder_is_exact_on_cuda(row, expandable, cuda, capsys):
    """
    Storages, growth with each tensor in whole 512 bytes, and the append by the peak.
    """
    fake = cuda(expandable=expandable)

    assert live(fake, "--census", row, *SMALL, "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [rung["status"] for rung in record["rungs"]] == ["exact", "exact"]
    for rung in record["rungs"]:
        notes = rung["notes"]
        beside = notes["decode_growth_bytes"] - notes["decode_rounded_bytes"]
        assert 0 <= beside < 20 * 512  # counters, the last token
        assert notes["decode_peak_bytes"] >= notes["decode_growth_bytes"]
        assert notes["device_index"] == 0
    assert record["provenance"]["device"]["kind"] == "cuda"


def test_a_large_cache_is_held_against_the_allocator(cuda, capsys):
    """
    And the report says how much more was reserved than it holds.
    """
    fake = cuda()
    arguments = ("--threads", "1", "--prompts", "256", "--batches", "64", "--caches", "dynamic")

    assert live(fake, "--census", "llama/base", *arguments) == 0
    said = capsys.readouterr().out
    assert "dynamic caches: up to " in said
    assert "times as much is reserved as they hold" in said
    assert "not VRAM" not in said


def test_memory_that_runs_out_ends_the_ladder_with_the_last_good_rung(cuda, capsys):
    """
    The device's own error, in the middle of a rung; larger rungs are not tried.
    """
    fake = cuda(kind=Roomy, total=16 * MIB, context=MIB)
    arguments = ("--threads", "1", "--caches", "dynamic", "--batches", "16")

    live(fake, "--census", "llama/base", *arguments, "--prompts", "16", "512", "900")
    lines = capsys.readouterr().out.splitlines()
    assert "exact" in lines[0]
    assert "out_of_memory" in lines[1]
    assert lines[1].endswith("the last good rung: dynamic P16 D3 x16")
    assert not any("P900" in line for line in lines)


def test_each_device_is_climbed_in_turn(cuda, capsys):
    """
    Rungs name theirs; what runs on one leaves the other alone.
    """
    fake = cuda(count=2)
    arguments = ("--device-index", "0", "1", "--caches", "dynamic")

    live(fake, "--census", "llama/base", *SMALL[:6], *arguments, "--json")
    record = json.loads(capsys.readouterr().out)
    assert [rung["notes"]["device_index"] for rung in record["rungs"]] == [0, 1]
    assert [device["index"] for device in record["provenance"]["devices"]] == [0, 1]
    assert fake.memory_allocated(1) == 0


def test_a_calibration_is_read_by_a_plan(cuda, config, tmp_path, capsys):
    """
    Total, context and workspace, and the peak of a step of as many tokens as asked.
    """
    fake = cuda(total=80 * 1024 * MIB, context=500 * MIB)
    fake.allocate(32 * MIB)  # a workspace that torch keeps
    path = tmp_path / "gpu.json"
    arguments = ("--calibration", str(path), "--step-tokens", "256")

    assert live(fake, "--config", str(config), *SMALL, *arguments) == 0

    found = kvsim.read_calibration(path)
    assert found.overheads.total_bytes.best == 80 * 1024 * MIB
    assert found.overheads.non_torch_bytes.best == 532 * MIB
    assert found.overheads.activation_peak_bytes.best > 256 * 64 * 2
    assert found.provenance["context_bytes"] == 500 * MIB
    assert found.provenance["workspace_bytes"] == 32 * MIB
    assert found.provenance["step_tokens"] == 256
    capsys.readouterr()
    plan = ["plan", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB", "--calibration", str(path), "--json"]
    assert kvsim_main(plan) == 0
    assert str(532 * MIB) in capsys.readouterr().out


def test_without_a_step_no_activations_are_calibrated(cuda, config, tmp_path):
    """
    A plan's own estimate stands: the ladder's prompts are no engine's step.
    """
    path = tmp_path / "gpu.json"
    live(cuda(), "--config", str(config), *SMALL, "--calibration", str(path))

    assert kvsim.read_calibration(path).measured == ("total_bytes", "non_torch_bytes")


def test_a_cpu_is_not_calibrated(config, tmp_path, capsys):
    """
    Refused before anything runs.
    """
    arguments = ("--device", "cpu", "--calibration", str(tmp_path / "gpu.json"))

    assert main(["live", "transformers", "--config", str(config), *arguments]) == 2
    assert "calibration is of a GPU's memory" in capsys.readouterr().err
    assert not (tmp_path / "gpu.json").exists()


def test_a_step_needs_one_model():
    """
    Activations are a model's.
    """
    with pytest.raises(SystemExit):
        main(["live", "transformers", "--calibration", "gpu.json", "--step-tokens", "8"])


def test_small_caches_say_nothing_of_segments():
    """
    A segment's own size would show.
    """
    case = {"cache": {"cache_implementation": "dynamic"}}
    common = {"subject": "a", "rung": "b", "case": case, "status": Status.EXACT}
    small = Outcome(
        **common,
        measured={"decode_storage_bytes": MIB},
        notes={"decode_reserved_bytes": 20 * MIB},
    )
    large = Outcome(
        **common,
        measured={"decode_storage_bytes": 10 * MIB},
        notes={"decode_reserved_bytes": 20 * MIB},
    )

    assert reserved_shares([small, large]) == {"dynamic": 2.0}
