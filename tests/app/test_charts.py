"""Charts are plain data: what they show is what the library said."""

import pytest

import kvsim
from app import charts
from app.i18n import Text

T = Text("en")


def plan_of(requests, model="llama-3.1-8b", **machine):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
        **machine,
    )
    return kvsim.plan(deployment, concurrent_requests=requests)


def bars(*several):
    """The chart of these bars, with names where they are several."""
    names = [f"GPU {i}" for i in range(len(several))] if len(several) > 1 else [""]
    rows = [charts.Row(name=n, bar=bar) for n, bar in zip(names, several, strict=True)]
    return charts.memory_bars(rows, T)


def growth_of(requests=32, threshold=16 * kvsim.GiB):
    model = kvsim.load_model("llama-3.1-8b")
    lengths = kvsim.context_lengths(131_072)

    def curve(batch_size):
        return kvsim.cache_curve(
            model, lengths=lengths, batch_size=batch_size, threshold_bytes=threshold
        )

    return charts.Growth(
        one=curve(1),
        many=curve(requests),
        requests=requests,
        weights_bytes=threshold,
        available_bytes=55 * kvsim.GiB,
        context=8192,
    )


@pytest.mark.parametrize("requests", [1, 32, 64])
def test_the_bars_are_as_long_as_the_segments(requests):
    """A chart that rounds or drops a segment misleads."""
    bar = plan_of(requests).memory
    drawn = sum(trace["x"][0] for trace in bars(bar)["data"])
    assert drawn == pytest.approx(bar.end_bytes / kvsim.GiB)


def test_only_what_does_not_fit_is_in_the_danger_colour():
    """Vermillion means one thing."""
    fitting = bars(plan_of(32).memory)["data"]
    assert charts.DANGER not in {trace["marker"]["color"] for trace in fitting}
    plan = plan_of(64)
    red = [
        trace for trace in bars(plan.memory)["data"] if trace["marker"]["color"] == charts.DANGER
    ]
    missing = plan.evaluation.fit.missing_bytes / kvsim.GiB
    assert sum(trace["x"][0] for trace in red) == pytest.approx(missing)
    assert all(trace["marker"]["pattern"]["shape"] for trace in red)  # never by colour alone


def test_the_danger_colour_is_in_the_legend_once():
    """Five red stretches are one entry."""
    traces = bars(plan_of(8, model="llama-3.1-70b").memory)["data"]
    shown = [t for t in traces if t["name"] == "does not fit" and t["showlegend"]]
    assert len(shown) == 1


def test_gpus_that_differ_stand_below_each_other():
    """Each with its own stretches; a name is in the legend once."""
    one, other = plan_of(32).memory, plan_of(64).memory
    traces = bars(one, other)["data"]
    for name, bar in (("GPU 0", one), ("GPU 1", other)):
        drawn = sum(trace["x"][0] for trace in traces if trace["y"] == [name])
        assert drawn == pytest.approx(bar.end_bytes / kvsim.GiB)
    shown = [trace["name"] for trace in traces if trace["showlegend"]]
    assert len(shown) == len(set(shown))


def test_the_lines_stand_at_the_budget_and_at_the_total():
    """The line is what the verdict is about."""
    bar = plan_of(32).memory
    places = [shape["x0"] for shape in bars(bar)["layout"]["shapes"]]
    assert places == [bar.total_bytes / kvsim.GiB, bar.budget_bytes / kvsim.GiB]


def test_the_words_hold_every_segment():
    """The text alternative is no summary."""
    bar = plan_of(64, other_processes_bytes=2 * kvsim.GiB).memory
    words = charts.memory_words([charts.Row(name="", bar=bar)], T)
    for segment in bar.segments:
        assert T(f"segment_{segment.name}") in words


def test_crossings_are_marked_where_the_curve_says():
    """16 GiB are 131,072 tokens of one request, 4,096 of each of 32."""
    growth = growth_of()
    marks = [t for t in charts.growth(growth, T)["data"] if t["mode"] == "markers+text"]
    assert [mark["x"] for mark in marks] == [[131_072], [4096]]
    assert "131,072" in charts.crossing_words(growth, T)
    assert "4,096" in charts.growth_words(growth, T)


def test_a_cache_that_never_passes_the_weights_says_so():
    """No mark is an answer too, in words."""
    growth = growth_of(requests=2, threshold=100 * kvsim.GiB)
    assert all(trace["mode"] == "lines" for trace in charts.growth(growth, T)["data"])
    assert "stays below" in charts.crossing_words(growth, T)


def test_one_request_is_one_curve():
    """Two equal lines on top of each other would look like one."""
    names = [trace["name"] for trace in charts.growth(growth_of(requests=1), T)["data"]]
    assert names.count("cache, 1 request") == 1
    assert not any("requests" in name for name in names)


def test_a_label_at_the_left_edge_is_not_cut():
    """A small GPU under a large model: the line stands where no label fits to its left."""
    notes = bars(plan_of(8, model="llama-3.1-405b").memory)["layout"]["annotations"]
    assert {note["xanchor"] for note in notes} == {"left"}
    notes = bars(plan_of(8).memory)["layout"]["annotations"]
    assert {note["xanchor"] for note in notes} == {"right"}
