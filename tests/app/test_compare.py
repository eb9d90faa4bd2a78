"""Page Compare: scenarios are saved, kept in the link, and set against a baseline."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from app import saved, scenario
from app.fields import Kind

FP8 = "kv_cache_dtype=fp8"
H200 = "gpu=H200-SXM-141GB"
TWO = {"s1": saved.NOTHING, "s2": f"{H200};{FP8}"}


def library(*texts):
    return kvsim.compare([saved.scenario_of(text).scenario() for text in texts])


def shown(app):
    return "\n".join(text.value for text in app.markdown)


def buttons(app):
    return {button.key: button for button in app.button}


def places(app):
    return [app.session_state[name] for name in saved.PLACES if app.session_state[name]]


def test_it_opens_with_what_it_is_for(open_page):
    """Nothing is saved yet: an invitation, not a blank page."""
    app = open_page("compare")
    assert not app.exception
    assert app.info[0].value.startswith("Save the sidebar's scenario")
    assert not app.get("plotly_chart")


def test_a_saved_scenario_waits_for_another(open_page):
    """One has nothing to stand beside; the button knows that it is saved."""
    app = open_page("compare")
    buttons(app)["save"].click().run()
    assert places(app) == [saved.NOTHING]
    assert app.info[0].value.startswith("One more")
    assert buttons(app)["save"].disabled
    app.selectbox(key="kv_cache_dtype").set_value("fp8").run()
    buttons(app)["save_here"].click().run()
    assert places(app) == [saved.NOTHING, FP8]
    assert not app.info


def test_every_figure_is_the_librarys(open_page):
    """The page computes nothing: both tables, the difference and its parts."""
    app = open_page("compare", **TWO)
    told = library(*TWO.values())
    text = shown(app)
    for answer in told.answers:
        assert f"{answer.holding.best.tokens:,}" in text
        assert kvsim.format_gib(answer.holding.cache_bytes.best).replace(" ", "\u00a0") in text
    tokens = next(f for f in told.differences[0].figures if f.figure == "capacity_tokens")
    gpu, dtype = (f"+{part.amount:,}" for part in tokens.parts)
    causes = f"`gpu` {gpu}; `kv_cache_dtype` {dtype}; together +{tokens.interaction:,}"
    assert f"| +{tokens.amount:,} | {causes} |" in text


@pytest.mark.parametrize("figure", scenario.COMPARED_FIGURES)
def test_the_bars_show_the_chosen_figure(open_page, figure):
    """In the order of the list, the first at the top, every number in the alternative text."""
    app = open_page("compare", compared=figure, **TWO)
    (chart,) = (chart.proto for chart in app.get("plotly_chart"))
    trace = json.loads(chart.spec)["data"][0]
    values = [answer.figures[figure] for answer in library(*TWO.values()).answers]
    assert trace["y"][::-1] == ["1", "2"]
    assert trace["x"][::-1] == [float(value) for value in values]
    for text in trace["text"]:
        assert text in chart.alt


def test_another_can_be_the_baseline_and_any_can_go(open_page):
    """The order is the visitor's: the first is what the others are set against."""
    app = open_page("compare", s1=saved.NOTHING, s2=FP8, s3=H200)
    buttons(app)["make_baseline_2"].click().run()
    assert places(app) == [H200, saved.NOTHING, FP8]
    buttons(app)["remove_scenario_1"].click().run()
    assert places(app) == [H200, FP8]
    buttons(app)["clear"].click().run()
    assert places(app) == []


def test_a_saved_scenario_can_be_opened_again(open_page):
    """It fills the sidebar, all of it: what was changed since is not kept."""
    app = open_page("compare", max_model_len="1024", s1=saved.NOTHING, s2=f"{H200};{FP8}")
    buttons(app)["ask_scenario_1"].click().run()
    assert app.session_state["gpu"] == "H200-SXM-141GB"
    assert app.session_state["max_model_len"] == scenario.FIELDS["max_model_len"].default


def test_an_example_is_one_click(open_page):
    """Four scenarios: two devices, two formats."""
    app = open_page("compare")
    buttons(app)["example"].click().run()
    assert not app.exception
    assert len(places(app)) == 4
    assert "together" in shown(app)


@pytest.mark.parametrize(
    "bad", ["gpu=H1000", "kv_cache_dtype=fp8;zork=1", "max_model_len", "model=custom", "a" * 700]
)
def test_a_scenario_that_cannot_be_honoured_is_named_and_left_out(open_page, bad):
    """Half a scenario would be another's numbers."""
    app = open_page("compare", s1=saved.NOTHING, s2=bad, s3=FP8)
    assert places(app) == [saved.NOTHING, FP8]
    assert app.warning[0].value.startswith("Link values ignored: s2")


def test_equal_scenarios_of_a_link_are_explained(open_page):
    """A hand-made link says nothing twice; the buttons to mend it are there."""
    app = open_page("compare", s1=FP8, s2=FP8)
    assert "are the same" in app.error[0].value
    assert "remove_scenario_1" in buttons(app)


def test_a_scenario_that_cannot_be_is_explained(open_page):
    """The others' buttons stay."""
    app = open_page("compare", s1=saved.NOTHING, s2="decode_context_parallel_size=2")
    assert "decode\\_context\\_parallel\\_size=2" in app.error[0].value
    assert "remove_scenario_1" in buttons(app)


def test_what_does_not_fit_says_why(open_page):
    """A verdict without a reason helps nobody."""
    app = open_page("compare", s1=saved.NOTHING, s2="model=llama-3.1-70b")
    assert "does not fit" in shown(app)
    assert "What does not fit, and why" in shown(app)


def test_an_own_config_is_not_saved(open_page):
    """It is not part of the link, so a link could not bring it back."""
    app = open_page("compare", model="custom")
    assert buttons(app)["save"].disabled


def test_six_are_the_most(open_page):
    """The seventh waits until one goes."""
    lengths = {f"s{i}": f"max_model_len={1024 * i}" for i in range(1, 7)}
    app = open_page("compare", **lengths)
    assert not app.exception
    assert buttons(app)["save"].disabled


def test_chinese_has_the_same_numbers(open_page):
    """A language changes words only."""
    numbers = [
        [
            re.findall(r"\d[\d,.]*", line)
            for line in shown(open_page("compare", lang=lang, **TWO)).splitlines()
            if line.startswith("| ")
        ]
        for lang in ("en", "zh")
    ]
    assert numbers[0] == numbers[1]


NEVER_SAVED = (scenario.CUSTOM, scenario.HUB)  # what they stand for is in no link


@st.composite
def inputs(draw):
    """Values that the sidebar can hold."""
    values = {}
    for name, field in scenario.FIELDS.items():
        match field.kind:
            case Kind.CHOICE:
                options = [value for value in field.options() if value not in NEVER_SAVED]
                values[name] = draw(st.sampled_from(options))
            case Kind.COUNT:
                values[name] = draw(st.integers(1, 2**31))
            case Kind.SWITCH:
                values[name] = draw(st.booleans())
            case Kind.WORD:
                values[name] = draw(st.text(max_size=20))
            case _:
                values[name] = draw(st.floats(0.01, 1.0))
    return values


@settings(deadline=None, max_examples=50)
@given(inputs())
def test_a_saved_scenario_comes_back_as_it_was(values):
    """Whatever was entered, separators and signs among it."""
    text = saved.write(values)
    assert saved.read(text) == values
    assert len(text) > saved.MAX_LETTERS or saved.is_saved(text)
