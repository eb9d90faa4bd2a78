"""Page Frontier: the map is the library's, both ends of the point are said, questions answered."""

import json

import pytest

import kvsim
from app import frontier_chart
from app.i18n import Text
from app.scenario import TARGETS

LLAMA = kvsim.Deployment(
    model=kvsim.load_model("llama-3.1-8b"),
    accelerator=kvsim.accelerator("H100-SXM5-80GB"),
    engine=kvsim.Vllm(max_model_len=8192),
)


def test_it_opens_with_both_ends_of_the_point(open_page):
    """At this context N users, at this concurrency L tokens."""
    app = open_page("frontier")
    assert not app.exception
    fit = kvsim.plan(LLAMA, concurrent_requests=32).evaluation.fit
    longest = kvsim.solve(LLAMA, "max_model_len", concurrent_requests=32).value
    assert [metric.value for metric in app.metric] == [
        f"{fit.max_requests} requests",
        f"{longest:,} tokens each",
    ]


def test_the_map_is_the_librarys(open_page):
    """A colour beside the wrong cell is a wrong number."""
    (chart,) = (chart.proto for chart in open_page("frontier").get("plotly_chart"))
    edge = kvsim.frontier(LLAMA, concurrent_requests=32)
    cells, _, targets, _ = json.loads(chart.spec)["data"]
    for j, row in enumerate(cells["z"]):
        for i, share in enumerate(row):
            assert share == min(edge.shares[i][j], frontier_chart.SHOWN_SHARE)
    assert len(targets["customdata"]) == len(edge.lengths) * len(edge.requests)
    assert f"{edge.max_requests[0]:,} of 256 tokens" in chart.alt


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_question_is_answered(open_page, target, lang):
    """The value and what binds it, or why there is none."""
    app = open_page("frontier", target=target, lang=lang)
    assert not app.exception
    assert len(app.success) == 1
    assert len(app.code) == 1


def test_what_fits_nowhere_says_so(open_page):
    """A model larger than its GPU has no edge."""
    app = open_page("frontier", model="llama-3.1-70b")
    assert not app.exception
    assert [metric.value for metric in app.metric] == ["0 requests", "nothing fits"]
    assert "no value fits" in app.warning[0].value


def test_bad_input_is_explained(open_page):
    """No map of something that cannot be."""
    app = open_page("frontier", model="gpt2")
    assert "max\\_model\\_len" in app.error[0].value
    assert not app.get("plotly_chart")


def test_own_model_is_asked_for_first(open_page):
    """Choosing `custom` is no error."""
    assert open_page("frontier", model="custom").info[0].value.startswith("Paste or upload")


@pytest.mark.parametrize(
    ("value", "expected"), [(100, 0.0), (256, 0.0), (512, 1.0), (1024, 2.0), (2048, 3.0)]
)
def test_a_value_stands_where_its_logarithm_says(value, expected):
    """On the grid, below it, and past its end."""
    assert frontier_chart.place((256, 512, 1024), value) == pytest.approx(expected)


def test_no_cache_is_drawn_as_full():
    """None is not nothing: it is no room at all."""
    edge = kvsim.Frontier(lengths=(256,), requests=(1,), max_requests=(0,), shares=((None,),))
    figure = frontier_chart.heatmap(edge, context=256, requests=1, t=Text("en"))
    assert figure["data"][0]["z"] == [[frontier_chart.SHOWN_SHARE]]
    assert figure["data"][1]["x"] == []
