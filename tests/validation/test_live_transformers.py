"""Real caches against their prediction: a fast part of the ladder, the whole one as recorded."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import kvsim
from validation.__main__ import main
from validation.live.architectures import ARCHITECTURES, load_rows, resized
from validation.live.device import Cpu
from validation.live.ladder import TOLERANCE, climb, differing, judges
from validation.live.predicted import predict
from validation.live.rung import Outcome, Rung, Status
from validation.live.subject import cache_word, from_config

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "validation/golden/live/transformers.json"
FAST = [a.row for a in ARCHITECTURES if a.is_fast]
SMALL = ["--device", "cpu", "--threads", "1", "--prompts", "16", "--batches", "2"]


@pytest.fixture(autouse=True)
def quiet(request, recwarn):
    """Warnings of torch and of models are theirs."""
    request.node.add_marker(pytest.mark.filterwarnings("ignore"))
    return recwarn


def live(*arguments):
    pytest.importorskip("transformers")
    return main(["live", "transformers", *arguments])


@pytest.mark.slow
@pytest.mark.parametrize("row", FAST)
def test_a_fast_part_of_the_ladder_is_exact(row, capsys):
    """
    Prefill and decode, a growing and a static cache, live bytes, storages and the append.
    """
    code = live("--census", row, *SMALL, "--caches", "dynamic", "static", "--json")

    record = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [rung["status"] for rung in record["rungs"]] == ["exact", "exact"]
    assert record["provenance"]["device"]["kind"] == "cpu"


@pytest.mark.slow
def test_the_allocator_bears_witness(capsys):
    """
    Growth by `mallinfo2` within half a percent, on a cache large enough for it.
    """
    arguments = ("--batches", "160", "--caches", "dynamic", "--json")
    assert live("--census", "llama/mha", *SMALL[:4], "--prompts", "48", *arguments) == 0

    (rung,) = json.loads(capsys.readouterr().out)["rungs"]
    storage = rung["predicted"]["decode_storage_bytes"]
    assert judges(storage, Cpu())
    assert abs(rung["notes"]["decode_growth_bytes"] - storage) <= TOLERANCE * storage


def golden():
    return json.loads(GOLDEN.read_text("utf-8"))


def test_the_recorded_ladder_spans_the_mechanisms():
    """
    Twenty architectures at least, each way to cache among them.
    """
    rungs = golden()["rungs"]
    exact = {rung["subject"] for rung in rungs if rung["status"] == "exact"}
    caches = Counter(rung["case"]["cache"]["cache_implementation"] for rung in rungs)

    assert exact == {a.row for a in ARCHITECTURES}
    assert len(exact) >= 20
    assert set(caches) == {"dynamic", "static", "quantized"}
    assert golden()["out_of_memory"] == golden()["skipped"] == 0
    assert golden()["wrong"] == 0


def test_today_predicts_what_was_recorded():
    """
    The replay of the whole ladder, to the byte, and of the allocator within its bound.
    """
    rows, record = load_rows(), golden()
    models = {name: kvsim.load_model(resized(rows[name]["config"])) for name in rows_of(record)}
    judged = 0
    for rung in record["rungs"]:
        if rung["status"] != "exact":
            continue
        predicted = predict(
            models[rung["subject"]],
            Rung.read(rung["case"]),
            dtype=record["provenance"]["dtype"],
            is_encoder_decoder=bool(rows[rung["subject"]]["config"]["is_encoder_decoder"]),
        )
        assert predicted == rung["measured"], (rung["subject"], rung["rung"])
        assert differing(predicted, rung["measured"] | rung["notes"], Cpu()) == []
        judged += judges(predicted["decode_storage_bytes"], Cpu())

    assert judged >= 20


def rows_of(record):
    return {rung["subject"] for rung in record["rungs"]}


def test_only_quantised_caches_are_refused():
    """
    They take full attention only, and whole groups.
    """
    refused = [rung for rung in golden()["rungs"] if rung["status"] == "refused"]

    assert refused
    assert {r["case"]["cache"]["cache_implementation"] for r in refused} == {"quantized"}


def test_a_record_says_where_it_comes_from():
    """
    A figure without its machine is a rumour.
    """
    facts = golden()["provenance"]

    assert {"command", "date", "device", "seed", "versions", "dtype"} <= set(facts)
    assert facts["device"]["kind"] == "cpu"


def test_a_wrong_prediction_is_named():
    """
    By the figure that differs.
    """
    names = [f"{p}_{w}_bytes" for p in ("prefill", "decode") for w in ("live", "storage")]
    predicted = dict.fromkeys(names, 10)
    measured = predicted | {"decode_live_bytes": 9}
    measured |= {"prefill_growth_bytes": 0, "decode_growth_bytes": 0}

    assert differing(predicted, measured, Cpu()) == ["decode_live_bytes"]


class FullDevice(Cpu):
    """A device on which nothing fits."""

    def available_bytes(self):
        return 10


def subject_of(row):
    pytest.importorskip("transformers")
    found = load_rows()[row]
    return from_config(
        resized(found["config"]),
        name=row,
        dtype="float32",
        device="cpu",
        seed=0,
        cls=found["arch_class"],
    )


def rung(prompt=8):
    return Rung(
        cache=kvsim.Transformers(), num_prompt_tokens=prompt, num_decoded_tokens=2, batch_size=1
    )


def test_a_rung_that_cannot_fit_is_skipped():
    """
    Predicted before it is tried, with both figures.
    """
    (outcome,) = climb(subject_of("llama/base"), [rung()], FullDevice(), seed=0)

    assert outcome.status is Status.SKIPPED
    assert outcome.reason.endswith("bytes, 10 are available")


def test_running_out_of_memory_ends_the_ladder_cleanly(monkeypatch):
    """
    With the last rung that was measured; what would come after it is larger.
    """
    torch = pytest.importorskip("torch")
    subject = subject_of("llama/base")
    forward = subject.model.forward

    def bounded(*args, **kwargs):
        if kwargs["input_ids"].shape[1] > 8:
            message = "CUDA out of memory"
            raise torch.OutOfMemoryError(message)
        return forward(*args, **kwargs)

    monkeypatch.setattr(subject.model, "forward", bounded)
    outcomes = list(climb(subject, [rung(8), rung(16), rung(32)], Cpu(), seed=0))

    assert [o.status for o in outcomes] == [Status.EXACT, Status.OUT_OF_MEMORY]
    assert outcomes[1].reason == ("CUDA out of memory; the last good rung: dynamic P8 D2 x1")


def test_a_model_that_keeps_no_cache_is_bad_input(tmp_path, capsys):
    """
    One line that says so, exit status 2.
    """
    config = load_rows()["openai-gpt/base"]["config"]
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))

    assert live("--config", str(path), *SMALL) == 2
    assert capsys.readouterr().err == "validation: OpenAIGPTLMHeadModel takes no cache\n"


class Before524:
    def forward(self, input_ids, past_key_values=None):
        """As transformers 5.23 has it."""


class Since524:
    def forward(self, input_ids, cache=None):
        """As transformers 5.24 has it."""


class Mamba:
    def forward(self, input_ids, cache_params=None):
        """As its models have it up to 5.23."""


@pytest.mark.parametrize(
    ("model", "word"),
    [(Before524(), "past_key_values"), (Since524(), "cache"), (Mamba(), "cache_params")],
)
def test_a_cache_is_handed_over_under_the_models_own_word(model, word):
    """
    transformers 5.24 renamed the argument; each version's models are measured.
    """
    assert cache_word(model) == word


def test_a_config_of_a_user_runs(tmp_path, capsys):
    """
    `--config FILE` needs no weights and no network.
    """
    path = tmp_path / "config.json"
    path.write_text(json.dumps(load_rows()["qwen3/base"]["config"]))

    assert live("--config", str(path), *SMALL, "--caches", "dynamic") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 of 1 exact"
    assert any("not VRAM" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "config.json: not an object"),
        ("{", "config.json: Expecting property name"),
        ('{"model_type": "unheard_of"}', "does not know model_type=unheard_of"),
        ('{"model_type": "vit"}', "no class of model_type=vit generates text"),
    ],
)
def test_bad_configs_are_one_line(text, message, tmp_path, capsys):
    """
    Field, value and rule.
    """
    path = tmp_path / "config.json"
    path.write_text(text)

    assert live("--config", str(path), *SMALL) == 2
    assert message in capsys.readouterr().err


def test_without_torch_the_extra_is_named(tmp_path):
    """
    Exit status 4, one line.
    """
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(name='torch')\n")
    done = subprocess.run(
        [sys.executable, "-m", "validation", "live", "transformers", "--device", "cpu"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 4
    assert done.stderr == ("validation: torch is not installed: pip install 'kvsim[validation]'\n")


def test_outcomes_are_plain_values():
    """
    JSON holds no enums of ours.
    """
    outcome = Outcome(subject="a", rung="b", case=rung().as_dict(), status=Status.SKIPPED)

    assert json.loads(json.dumps(outcome.as_dict()))["status"] == "skipped"
    assert Rung.read(json.loads(json.dumps(rung().as_dict()))) == rung()
