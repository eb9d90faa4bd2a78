"""With the cache against without it, and what fewer bits cost: short runs, and as recorded."""

import json
from pathlib import Path

import pytest

import kvsim
from validation.__main__ import main
from validation.live.quantisation import FORMATS, Format, round_trip
from validation.live.with_and_without import CONFIG, PROMPT, exponent

LIVE = Path(__file__).parents[2] / "validation/golden/live"
SMALL = ["--device", "cpu", "--threads", "1", "--json"]
pytestmark = pytest.mark.filterwarnings("ignore")  # torch's and transformers' own


def run(capsys, *arguments):
    pytest.importorskip("transformers")
    assert main(["live", *arguments, *SMALL]) == 0
    return json.loads(capsys.readouterr().out)


def recorded(name):
    return json.loads((LIVE / f"{name}.json").read_text("utf-8"))


@pytest.mark.slow
def test_a_cache_changes_no_token(capsys):
    """
    It saves work, it does not change the answer.
    """
    record = run(capsys, "with-and-without", "--lengths", "8", "24")

    assert record["identical_tokens"]
    assert [row["uses_cache"] for row in record["answers"]] == [True, False, True, False]
    for row in record["answers"]:
        assert row["counted_flops"] == pytest.approx(row["predicted_flops"], rel=0.03)


def test_recorded_powers_are_what_the_tutorial_says():
    """
    Matrices linear with a cache and quadratic without; seconds grow slower than without.
    """
    record = recorded("with_and_without")
    cached, uncached = record["exponents"]["cached"], record["exponents"]["uncached"]

    assert record["identical_tokens"]
    assert cached["counted_flops"] < 1.3
    assert uncached["counted_flops"] > 1.9
    assert cached["total_s"] < uncached["total_s"]
    assert cached["s_per_token"] < uncached["s_per_token"]


def test_recorded_operations_are_predicted():
    """
    Replayed: today's count of every answer, and torch's own within a few percent.
    """
    spec = kvsim.load_model(CONFIG)
    for row in recorded("with_and_without")["answers"]:
        if not row["uses_cache"]:
            flops = kvsim.uncached_total_flops(
                spec, num_prompt_tokens=PROMPT - 1, num_output_tokens=row["num_output_tokens"]
            )
            assert flops == row["predicted_flops"]
        assert row["counted_flops"] == pytest.approx(row["predicted_flops"], rel=0.2)


def test_one_length_fits_no_power():
    """
    A slope needs two points.
    """
    with pytest.raises(kvsim.SpecError, match="must differ"):
        exponent([4, 4], [1, 2])


@pytest.mark.slow
def test_fewer_bits_save_more_and_cost_more(capsys):
    """
    On a model trained for a moment; the reference diverges from itself by nothing.
    """
    arguments = ("--train-steps", "5", "--train-seconds", "20")
    rows = run(capsys, "quantisation", *arguments)["formats"]
    by_name = {row["format"]: row for row in rows}

    assert by_name["bfloat16"]["kl_divergence_nats"] == 0
    assert by_name["bfloat16"]["top1_agreement"] == 1
    costs = [by_name[name]["kl_divergence_nats"] for name in ("int8", "int4", "int2")]
    assert costs == sorted(costs)
    assert by_name["int2"]["cache_bytes"] < by_name["int8"]["cache_bytes"]


def test_recorded_costs_fall_with_bits():
    """
    The trained model had learnt to repeat, so its cache matters; two bits lose much of it.
    """
    record = recorded("quantisation")
    rows = {row["format"]: row for row in record["formats"]}

    assert set(rows) == {stored.name for stored in FORMATS}
    assert rows["bfloat16"]["repeated_token_accuracy"] > 0.95
    costs = [rows[name]["kl_divergence_nats"] for name in ("int8", "int4", "int2")]
    assert costs == sorted(costs)
    assert rows["fp8_e4m3"]["kl_divergence_nats"] < rows["fp8_e5m2"]["kl_divergence_nats"]
    assert rows["fp8_e4m3"]["saved"] == 0.5


def test_a_round_trip_keeps_the_ends_of_a_group():
    """
    Lowest and highest of a group are levels of their own.
    """
    torch = pytest.importorskip("torch")
    values = torch.linspace(-3, 5, 32).reshape(1, 1, 1, 32)
    back = round_trip(values, Format(name="int2", bits=2))

    assert (float(back.min()), float(back.max())) == (-3, 5)
    assert len(back.unique()) == 4
