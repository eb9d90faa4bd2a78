"""Published start-up logs against predictions: cache bytes, memory from flags, weights."""

import json
import tomllib
from pathlib import Path

import pytest

from validation.fit_overheads import OVERHEADS, refitted, render
from validation.fit_overheads import main as fit_overheads
from validation.overhead_fit import evidence_of, loaded_of
from validation.recorded.frame import RecordError, Verdict, read_lines
from validation.recorded.measured import read_models, replay, replay_row
from validation.recorded.measured_deployments import Ineligible, deployment_of
from validation.recorded.measured_memory import memory_cases, quantile, scores
from validation.recorded.measured_versions import vllm_version

ROWS = Path(__file__).parents[2] / "validation/golden/measured/measured_open.jsonl"
ANOTHER_RANK = {"vl-i13061-r1distill14b-4090x2", "vl-i21348-qwen3-235b"}
NOT_THE_WEIGHTS_ALONE = {
    "vl-radeon-llama8b",  # ROCm: vLLM prints the drop of free memory, whole segments and all
    "vl-qwen25-05b-eager",  # 7 %, 0.06 GiB: a 2026 build on a device that is not stated
}


@pytest.fixture(scope="module")
def rows():
    return list(read_lines(ROWS))


def test_every_scored_row_is_within_the_rounding_of_its_print():
    """
    71 logs of seven engines; two print the memory of another rank than the one that decides.
    """
    cases = [case for case in replay(ROWS) if case.verdict is not Verdict.SKIPPED]
    verdicts = {case.id: case.verdict for case in cases}

    assert len(cases) == 71
    assert {name for name, v in verdicts.items() if v is Verdict.REFUSED} == ANOTHER_RANK
    assert Verdict.WRONG not in verdicts.values()


def test_rows_that_are_not_scored_are_skipped_with_their_reason(rows):
    """
    The data's README leaves them out: a model inferred from the figure proves nothing.
    """
    case = replay_row(next(r for r in rows if not r["scored"]), read_models(ROWS))

    assert case.verdict is Verdict.SKIPPED
    assert case.reason


def test_a_wrong_figure_is_called_wrong(rows):
    """
    A replay that cannot fail proves nothing.
    """
    row = next(r for r in rows if r["id"] == "trt-h100-qwen3-reranker")
    row = row | {"check": row["check"] | {"measured_bytes": 10**9}}

    assert replay_row(row, read_models(ROWS)).verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "change", [{"arch": "no such model"}, {"engine": "no such engine"}, {"tp": 7}]
)
def test_what_cannot_be_computed_is_refused(rows, change):
    """
    An unknown model or engine, ranks that do not divide the heads: counted apart, not guessed.
    """
    row = next(r for r in rows if r["id"] == "trt-h100-qwen3-reranker")
    engine = {} if "engine" in change else {"engine": "sglang", "kv_tokens": 100}

    assert replay_row(row | engine | change, read_models(ROWS)).verdict is Verdict.REFUSED


@pytest.mark.parametrize("field", ["kv_tokens", "check", "n_ctx", "max_model_len", "arch"])
def test_rows_that_lack_a_figure_are_refused_not_broken(rows, field):
    """
    Other files in the same format may leave out what these rows say.
    """
    models = read_models(ROWS)
    for row in rows:
        bare = row | {field: None}
        if field == "check":
            bare = row | {"check": row["check"] | {"tokens": None}} if row.get("check") else row
        assert replay_row(bare, models).verdict in Verdict


def test_models_must_lie_beside_the_rows(tmp_path):
    """
    Rows name architectures; without them nothing can be predicted.
    """
    (tmp_path / "rows.jsonl").write_text("{}\n")
    with pytest.raises(RecordError, match=r"models\.json"):
        list(replay(tmp_path / "rows.jsonl"))


def test_memory_from_flags_alone_meets_its_aim(rows):
    """
    Text-only, each row predicted without its own evidence: median error below 0.15 GiB, four of
    five within 0.6, nine of ten inside an interval of 1.2 at most in the median.
    """
    text = next(s for s in scores(memory_cases(rows)) if s.group == "text-only")

    assert text.rows >= 14
    assert text.median_gib < 0.15
    assert text.within >= 0.8
    assert text.median_width_gib <= 1.2
    assert text.inside >= 0.9


def test_rows_of_another_file_are_predicted_from_the_shipped_ones(rows):
    """
    One row alone, under another name: the same prediction as the shipped coefficients give.
    """
    row = next(r for r in rows if r["id"] == "vl-unsloth-llama32-3b-a100") | {"id": "new"}
    case = memory_cases([row])[0]

    assert case.best_gib == pytest.approx(case.printed_gib, abs=0.2)


def test_too_few_rows_are_not_fitted(tmp_path):
    """
    Nothing is written from a file that says too little.
    """
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(RecordError, match="fewer than 4"):
        fit_overheads([str(tmp_path / "rows.jsonl"), "--write"])


def test_memory_is_not_predicted_from_what_was_measured(rows):
    """
    A deployment holds flags: what the log printed must not reach it.
    """
    row = next(r for r in rows if r["id"] == "vl-unsloth-llama32-3b-synth-t4")
    measured = ("weights_gib", "activation_peak_gib", "non_torch_gib", "kv_cache_gib")
    bare = {k: v for k, v in row.items() if k not in measured}

    assert deployment_of(row) == deployment_of(bare)


def test_rows_that_do_not_say_enough_are_not_predicted(rows):
    """
    A model inferred from the figure, a device without name or memory, an unknown precision.
    """
    reasons = {
        row["id"]: d.reason for row in rows if isinstance(d := deployment_of(row), Ineligible)
    }

    assert reasons["vl-mellea416-qwen3-06b"] == "the model was inferred"
    assert reasons["vl-kimi-k2-tp8"] == "neither the device nor its memory is stated"
    assert "precision" in reasons["vl-16gb-qwen38-27b"]


def test_weights_follow_from_the_architecture(rows):
    """
    Unquantised text-only checkpoints whose config ships: to half a part in a thousand, or the
    last digit that was printed, but for two logs whose figure is not of torch's tensors alone.
    """
    loaded = [seen for row in rows if (seen := loaded_of(row)) is not None]
    far = {
        y.id
        for y in loaded
        if abs(y.formula_gib - y.weights_gib) > max(0.0005 * y.weights_gib, 0.005)
    }

    assert len(loaded) >= 10
    assert far <= NOT_THE_WEIGHTS_ALONE


def test_the_two_far_logs_count_more_than_torch_allocates(rows):
    """
    One is of ROCm, where the drop of free memory is printed; both are 66 to 68 MiB above.
    """
    loaded = {y.id: y for row in rows if (y := loaded_of(row)) is not None}

    for name in NOT_THE_WEIGHTS_ALONE:
        assert 0.06 < loaded[name].weights_gib - loaded[name].formula_gib < 0.07


def test_the_shipped_overheads_are_what_the_script_writes(rows):
    """
    A coefficient typed in by hand would have no evidence.
    """
    shipped = OVERHEADS.read_text("utf-8")

    assert render(refitted(tomllib.loads(shipped), evidence_of(rows))) == shipped


def test_versions_are_read_from_whatever_a_row_says():
    """
    A release, a range, a generation, or a month.
    """
    said = {
        "v0.11.0": (0, 11),
        "0.9/0.10 v1": (0, 10),
        "v0 engine, worker.py:267": (0, 8),
        "0.9.2rc2.dev1802 (ROCm)": (0, 9),
        "2026-09": (0, 28),
    }

    assert {text: vllm_version({"engine_version": text}) for text in said} == said


def test_quantiles_are_values_that_occur():
    """
    The ninth of ten values has nine at or below it.
    """
    assert quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9) == 9


def test_rows_are_objects(tmp_path):
    """
    A line that is no object is named by its number.
    """
    (tmp_path / "models.json").write_text(json.dumps({}))
    (tmp_path / "rows.jsonl").write_text("[1]\n")
    with pytest.raises(RecordError, match="line 1"):
        list(replay(tmp_path / "rows.jsonl"))
