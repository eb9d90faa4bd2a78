"""Page Search: it asks before it searches, shows what was found and nothing staler."""

import json
from dataclasses import replace

import pytest

import kvsim
from app import search_charts, search_fields
from app.desk import desk
from app.i18n import Text
from app.search_fields import Hunt
from app.search_job import SearchJob, find
from app.views.search import TICKET

SMALL = {
    "search_gpus": "L4,H100-SXM5-80GB",
    "search_degrees": "1",
    "search_weights": "fp8",
    "search_requests": "20",
    "demanded_per_s": "2",
}
RUN_S = 60


@pytest.fixture(scope="module", autouse=True)
def _workers():
    """Workers serve all tests of this file, and end with them."""
    yield
    desk().close()


def job(**changes):
    held = {field.name: field.default for field in search_fields.SEARCH_FIELDS}
    typed = {n: tuple(v) if isinstance(v, list) else v for n, v in held.items()}
    few = {
        "search_gpus": ("L4", "H100-SXM5-80GB"),
        "search_degrees": ("1",),
        "search_weights": ("fp8",),
        "search_requests": 20,
        "demanded_per_s": 2.0,
    }
    return SearchJob(
        model="llama-3.1-8b", config=None, own=None, hunt=Hunt(**typed | few | changes)
    )


def unheard(_settled, _total):
    """Nobody watches."""


def click(app):
    """Press Search and wait for its end, as the page does."""
    app.button(key="search").click().run()
    assert app.session_state[TICKET].wait(RUN_S)
    return app.run()


def test_it_says_what_to_do_first(open_page):
    """A search costs seconds: the visitor starts it."""
    app = open_page("search")
    assert not app.exception
    assert app.info[0].value == "Press the button to search."
    assert app.button(key="search").label == "Search 16 candidates"
    limits = "Limits of this page: 64 candidates, 500 requests"
    assert any(text.value.startswith(limits) for text in app.caption)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_search_shows_the_cheapest_and_the_front(open_page, lang):
    """What the page shows is what the library found."""
    app = click(open_page("search", lang=lang, **SMALL))
    found = find(job(), unheard)
    assert not app.exception
    assert "H100" in app.success[0].value
    values = [metric.value for metric in app.metric]
    assert search_charts.usd(found.result.members[0], found.result) in values
    (chart,) = app.get("plotly_chart")
    assert json.loads(chart.proto.spec)["data"][1]["hovertext"] == [
        search_charts.setup(one) for one in found.result.members
    ]
    label = {"en": "uncalibrated", "zh": "未校准"}[lang]
    assert any(label in heading.value for heading in app.subheader)


def test_an_answer_is_never_shown_for_other_inputs(open_page):
    """A price beside the wrong goal is a wrong price."""
    app = click(open_page("search", **SMALL))
    app.number_input(key="goal_ttft_s").set_value(0.75).run()
    assert "search again" in app.info[0].value
    assert not app.metric


BAD_INPUT = {
    "nothing to choose from": ({"search_gpus": ""}, "candidates=0"),
    "too many": (
        {
            "search_gpus": "L4,L40S,A100-SXM4-80GB,H100-SXM5-80GB,H200-SXM-141GB",
            "search_degrees": "1,2,4,8",
            "search_cache": "auto,fp8",
            "search_weights": "none,fp8",
        },
        "candidates=80",
    ),
    "no goal for waiting": ({"goal_ttft_s": ""}, "keeps a queue from growing"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_explained(open_page, case):
    """The library's reason, or the page's limit."""
    query, reason = BAD_INPUT[case]
    app = click(open_page("search", **SMALL | query))
    assert not app.exception
    assert reason in app.error[0].value.replace("\\", "")


def test_no_candidate_says_what_would_have_to_give(open_page):
    """The nearest one, and by how much."""
    app = click(open_page("search", **SMALL | {"goal_tpot_s": "0.001"}))
    assert not app.exception
    assert app.error[0].value == "No candidate keeps the goal"
    assert any("would have to be" in text.value.replace("\\", "") for text in app.markdown)


def test_a_search_can_be_cancelled(open_page):
    """The worker ends, and the page says so."""
    slow = {"search_requests": "500", "search_degrees": "1,2,4,8", "search_weights": "none,fp8"}
    app = open_page("search", **slow)
    app.button(key="search").click().run()
    app.button(key="cancel").click().run()
    assert app.session_state[TICKET].wait(RUN_S)
    app.run()
    assert not app.exception
    assert app.warning


def test_a_link_with_what_there_is_not_is_said(open_page):
    """A device that the catalogue lacks never becomes another one silently."""
    app = open_page("search", search_gpus="H100-SXM5-80GB,Abacus")
    assert any("Abacus" in text.value for text in app.warning)


def test_the_chart_is_said_in_words():
    """For who cannot see it, in both languages."""
    result = find(job(search_degrees=("1", "2")), unheard).result
    for lang in ("en", "zh"):
        words = search_charts.pareto_words(result, Text(lang))
        assert all(search_charts.setup(one) in words for one in result.members)


def test_the_download_is_the_commands_json():
    """The same object as `kvsim search --json`, provenance apart."""
    found = find(job(), unheard)
    asked = replace(found.result.goal.limits)
    assert found.report["limits"]["slo_ttft_s"] == asked.slo_ttft_s
    assert found.report["front"][0]["command"].startswith("vllm serve")
    assert isinstance(found.result, kvsim.SearchResult)
