"""A calibration file: what was measured comes back, and nothing that could not be measured."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.cli import main

FIGURES = (
    *("total_bytes", "weights_bytes", "activation_peak_bytes", "non_torch_bytes"),
    "cuda_graph_bytes",
)
CONTENT = {
    "schema_version": 1,
    "provenance": {"source": "a start-up log", "model": "llama-3.1-8b"},
    "measured": {"non_torch_bytes": 2**27, "activation_peak_bytes": 2**30},
    "tensor_parallel_size": 1,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@st.composite
def calibrations(draw):
    def figure():
        low, best, high = sorted(draw(st.tuples(*[st.integers(0, 2**50)] * 3)))
        return kvsim.Interval(low, best, high, "three runs") if low < high else kvsim.exact(low)

    names = draw(st.lists(st.sampled_from(FIGURES), min_size=1, unique=True))
    return kvsim.Calibration(
        provenance={"source": draw(st.text()), "note": draw(JSON.filter(is_finite))},
        overheads=kvsim.Overheads(**{name: figure() for name in names}),
        tensor_parallel_size=draw(st.none() | st.integers(1, 64)),
    )


def is_finite(value):
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value
    except ValueError:
        return False


@given(calibrations())
def test_what_is_written_is_read_back(tmp_path_factory, calibration):
    """
    The file loses neither a figure nor its spread.
    """
    path = tmp_path_factory.mktemp("calibration") / "c.json"
    kvsim.write_calibration(path, calibration)
    read = kvsim.read_calibration(path)

    assert read.measured == calibration.measured
    for name in read.measured:
        was, now = getattr(calibration.overheads, name), getattr(read.overheads, name)
        assert (was.low, was.best, was.high) == (now.low, now.best, now.high)
    assert read.provenance == calibration.provenance
    assert read.tensor_parallel_size == calibration.tensor_parallel_size


@given(
    JSON
    | st.fixed_dictionaries(
        {"schema_version": st.just(1)},
        optional={
            "provenance": JSON,
            "measured": JSON | st.dictionaries(st.sampled_from(FIGURES), JSON),
            "tensor_parallel_size": JSON,
        },
    )
)
def test_any_other_object_is_refused(content):
    """
    A file of something else never becomes a figure of a plan.
    """
    try:
        read = kvsim.parse_calibration(content)
    except kvsim.KvsimError:
        return
    assert set(read.measured) <= set(FIGURES)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"measured": {"vram": 1}}, "vram"),
        ({"measured": {"weights_bytes": -1}}, "weights_bytes"),
        ({"measured": {"weights_bytes": 1.5}}, "weights_bytes"),
        ({"measured": {"weights_bytes": {"low": 3, "best": 2, "high": 4}}}, "ordered"),
        ({"measured": {"weights_bytes": {"low": 3, "best": 3}}}, "high"),
        ({"measured": {}}, "must hold one of"),
        ({"provenance": {}}, "source"),
        ({"schema_version": 2}, "schema_version=2 must be 1: a newer kvsim wrote it"),
        ({"schema_version": 0}, "schema_version=0 must be 1$"),
        ({"schema_version": "1"}, "schema_version=1 must be 1$"),
        ({"schema_version": True}, "schema_version=True must be 1$"),
        ({"tensor_parallel_size": 0}, "tensor_parallel_size"),
        ({"more": 1}, "more"),
    ],
)
def test_a_refusal_names_the_field(change, names):
    """
    Whoever wrote the file by hand finds what to mend.
    """
    with pytest.raises(kvsim.KvsimError, match=names):
        kvsim.parse_calibration(CONTENT | change)


def plan(tmp_path, capsys, content, *flags):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    code = main(
        ["plan", "llama-3.1-8b", "--gpu", "h100", *flags, "--calibration", str(path), "--json"]
    )
    captured = capsys.readouterr()
    return code, json.loads(captured.out) if captured.out else captured.err


def test_a_plan_uses_what_was_measured(tmp_path, capsys):
    """
    A measured figure replaces the estimate, exactly, and its source is named.
    """
    content = CONTENT | {"measured": CONTENT["measured"] | {"total_bytes": 79 * 2**30}}
    code, result = plan(tmp_path, capsys, content)

    assert code == 0
    assert result["budget"]["activation_peak_bytes"] == {
        "low": 2**30,
        "best": 2**30,
        "high": 2**30,
        "source": "measured: a start-up log",
    }
    assert result["budget"]["total_bytes"]["best"] == 79 * 2**30


def test_a_stated_figure_comes_first(tmp_path, capsys):
    """
    What the user types on the command line wins over the file.
    """
    _, result = plan(tmp_path, capsys, CONTENT, "--activation-peak-bytes", "3GiB")

    assert result["budget"]["activation_peak_bytes"]["best"] == 3 * 2**30
    assert result["budget"]["non_torch_bytes"]["best"] == 2**27


def test_figures_of_another_division_are_refused(tmp_path, capsys):
    """
    Weights of one device of two are not those of one device of four.
    """
    code, error = plan(tmp_path, capsys, CONTENT, "-tp", "2")

    assert code == 2
    assert "tensor_parallel_size=2 must be 1" in error
    device_only = CONTENT | {"measured": {"non_torch_bytes": 2**27}}
    assert plan(tmp_path, capsys, device_only, "-tp", "2")[0] == 0


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    """
    Binary, missing, endless nesting: an error of ours.
    """
    path = tmp_path / "c.json"
    for content in (b"\xff\xfe", b"[" * 100_000, b""):
        path.write_bytes(content)
        with pytest.raises(kvsim.FileError):
            kvsim.read_calibration(path)
    with pytest.raises(kvsim.FileError):
        kvsim.read_calibration(tmp_path / "none.json")
