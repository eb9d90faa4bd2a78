"""Page Engines: it opens with every engine, it reacts, it explains bad input."""

import json

import pytest

import kvsim
from app import engine_charts
from app.i18n import Text
from app.text import inert

T = Text("en")


def answers(model="llama-3.1-8b", *, tensor_parallel_size=1):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
        parallel=kvsim.Parallelism(tensor_parallel_size=tensor_parallel_size),
    )
    return [
        kvsim.answer(kvsim.Scenario(deployment=deployment, engine=engine))
        for engine in kvsim.EngineName
    ]


def shown(app):
    return "\n".join(text.value for text in app.markdown)


def test_it_opens_with_every_engine(open_page):
    """A row each in both tables, those that refuse included."""
    app = open_page("engines")
    assert not app.exception
    for engine in kvsim.EngineName:
        assert shown(app).count(f"| **{engine}**") == 2


def test_it_says_who_holds_most(open_page):
    """The sentence is about engines: the ideal layout is none."""
    held = {
        answer.scenario.engine: answer.holding.best.requests
        for answer in answers()
        if answer.holding and answer.scenario.engine is not kvsim.EngineName.IDEAL
    }
    most = max(held, key=held.get)
    assert f"**{inert(most)}** holds the most such requests at once, {held[most]}" in shown(
        open_page("engines")
    )


def test_a_refusal_is_shown_with_its_reason(open_page):
    """An empty cell without a reason reads like a bug."""
    app = open_page("engines", tensor_parallel_size="2")
    refusals = [a.refusal for a in answers(tensor_parallel_size=2) if a.refusal]
    assert refusals
    for refusal in refusals:
        assert inert(refusal.partition(": ")[2]) in shown(app)


@pytest.mark.parametrize("figure", engine_charts.FIGURES)
def test_the_chart_shows_the_chosen_figure(open_page, figure):
    """The bars are the library's numbers, in the order of the table from the top."""
    app = open_page("engines", figure=figure)
    (chart,) = (chart.proto for chart in app.get("plotly_chart"))
    trace = json.loads(chart.spec)["data"][0]
    bars = [engine_charts.bar(answer, figure, T) for answer in answers()]
    assert trace["y"][::-1] == list(kvsim.EngineName)
    assert trace["text"][::-1] == [bar.text if bar else T("engine_unknown") for bar in bars]
    for bar in filter(None, bars):
        assert bar.text in chart.alt


def test_it_reacts_to_the_choice(open_page):
    """Another figure, another chart."""
    app = open_page("engines")
    app.selectbox(key="figure").set_value("bytes_per_token").run()
    assert T("figure_bytes_per_token") in shown(app)


def test_bars_span_low_to_high():
    """The whiskers end where the estimates do; an exact figure has none."""
    sides = answers()
    (trace,) = engine_charts.side_by_side(sides, "max_requests", T)["data"]
    error = trace["error_x"]
    for i, answer in enumerate(reversed(sides)):
        if answer.holding is None:
            assert error["array"][i] is None
        else:
            low, high = answer.holding.low.requests, answer.holding.high.requests
            assert trace["x"][i] + (error["array"][i] or 0) == high
            assert trace["x"][i] - (error["arrayminus"][i] or 0) == low
    (exact,) = engine_charts.side_by_side(sides, "bytes_per_token", T)["data"]
    assert not any(exact["error_x"]["array"])


def test_bad_input_is_explained(open_page):
    """No chart of something that cannot be."""
    app = open_page("engines", model="gpt2", decode_context_parallel_size="2")
    assert "decode\\_context\\_parallel\\_size=2" in app.error[0].value
    assert not app.get("plotly_chart")


def test_own_model_is_asked_for_first(open_page):
    """Choosing `custom` is no error."""
    app = open_page("engines", model="custom")
    assert app.info[0].value.startswith("Paste or upload")
    assert not app.error


def test_chinese_has_the_same_tables(open_page):
    """A language changes words only."""
    numbers = [
        [
            line.split("|")[2:4]
            for line in shown(open_page("engines", lang=lang)).splitlines()
            if line.startswith("| **")
        ]
        for lang in ("en", "zh")
    ]
    assert numbers[0] == numbers[1]
