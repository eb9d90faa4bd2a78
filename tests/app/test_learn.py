"""Page Learn: real numbers in every picture, a verdict for every sentence, in both languages."""

import json
from pathlib import Path

import pytest

import kvsim
from app.i18n import Text
from app.text import flops, gib, size
from app.views import learn, tutorial

GOLDEN = Path(__file__).parents[2] / "validation/golden/live/with_and_without.json"
HYBRID = {"model": "qwen3-next-80b-a3b", "tensor_parallel_size": "4"}


def claims(model="llama-3.1-8b", *, concurrent_requests=32):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
    )
    return kvsim.check_claims(deployment, concurrent_requests=concurrent_requests)


def shown(app):
    return "\n".join(text.value for text in app.markdown)


def test_it_opens_with_the_models_numbers(open_page):
    """What the page says is what the library computes."""
    app = open_page("learn")
    assert not app.exception
    model = kvsim.load_model("llama-3.1-8b")
    notes = kvsim.token_notes(model)
    (cost,) = kvsim.answer_costs(model, num_prompt_tokens=16, lengths=[512])
    for text in (
        f"{notes.kept_per_text:,.0f} times",
        size(notes.query_bytes),
        flops(cost.cached_total_flops),
        flops(cost.uncached_total_flops),
    ):
        assert text in shown(app)


def test_every_sentence_has_its_verdict(open_page):
    """At least twelve, each with a badge and a number."""
    app, t = open_page("learn"), Text("en")
    judged = claims()
    assert len(judged) >= 12
    for claim in judged:
        assert tutorial.badge(claim, t) in shown(app)
        assert tutorial.claim_words(claim, t) in shown(app)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "deepseek-v2-lite", "falcon-mamba-7b"])
def test_every_sentence_is_sayable_of_every_kind_of_model(model, language):
    """A figure that a text names and a claim lacks would break the page."""
    t = Text(language)
    for claim in claims(model, concurrent_requests=1):
        assert tutorial.claim_words(claim, t).strip()
        assert tutorial.badge(claim, t).startswith(":")


def test_every_verdict_has_a_sign():
    """A new one in the library must not break the page."""
    assert set(tutorial.ICONS) == set(kvsim.ClaimVerdict)


def walked(app):
    (player,) = app.get("bidi_component")
    return json.loads(player.proto.json)


def test_a_step_says_what_is_computed_again(open_page):
    """The walk starts where the link says, with the library's figures for every step."""
    app = open_page("learn", step="3")
    data = walked(app)
    expected = kvsim.note_steps(kvsim.load_model("llama-3.1-8b"), num_steps=8)
    assert data["step"] == 3
    assert len(data["words"]) == len(data["steps"]) == 8
    third = data["steps"][2]
    assert (third["total_cached"], third["total_uncached"]) == (3, 6)
    assert [step["kept"] for step in data["steps"]] == [size(e.kept_bytes) for e in expected]


def test_the_walk_is_in_both_languages(open_page):
    """As many words, and every text."""
    english, chinese = (walked(open_page("learn", lang=lang)) for lang in ("en", "zh"))
    assert len(english["words"]) == len(chinese["words"])
    assert english["texts"].keys() == chinese["texts"].keys()
    assert set(english["texts"].values()).isdisjoint(chinese["texts"].values())


def test_each_chart_says_its_numbers_in_words(open_page):
    """Eight pictures, none mute."""
    charts = [chart.proto for chart in open_page("learn").get("plotly_chart")]
    assert len(charts) >= 8
    assert all(len(chart.alt) > 20 for chart in charts)
    drawn = [json.loads(chart.spec)["data"] for chart in charts]
    labels = [text for data in drawn for text in data[0].get("text", [])]
    assert size(kvsim.token_notes(kvsim.load_model("llama-3.1-8b")).kept_bytes) in labels


def test_measured_seconds_are_the_recorded_ones(open_page):
    """The chart shows what the validation measured, not what anyone predicts."""
    recorded = json.loads(GOLDEN.read_text("utf-8"))["answers"]
    charts = [json.loads(c.proto.spec)["data"] for c in open_page("learn").get("plotly_chart")]
    (seconds,) = [data for data in charts if data[0].get("mode") == "lines+markers"]
    for trace, uses_cache in zip(seconds, (True, False), strict=True):
        expected = [row["total_s"] for row in recorded if row["uses_cache"] is uses_cache]
        assert trace["y"] == expected


@pytest.mark.parametrize("query", [{}, HYBRID, {"model": "deepseek-v2-lite"}, {"model": "gpt2"}])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_shows_every_kind_of_model_or_says_why_not(open_page, query, lang):
    """Heads, latents, states; a context that is too long is explained."""
    app = open_page("learn", lang=lang, **query)
    assert not app.exception
    assert bool(app.error) == (query.get("model") == "gpt2")


def test_own_model_is_asked_for_first(open_page):
    """Choosing `custom` is no error."""
    app = open_page("learn", model="custom")
    assert app.info[0].value.startswith("Paste or upload")


def test_the_measured_answers_are_the_predicted_ones():
    """Both charts follow the same answer."""
    recorded = json.loads(GOLDEN.read_text("utf-8"))["answers"]
    assert {row["num_prompt_tokens"] for row in recorded} == {learn.PROMPT}
    assert max(row["num_output_tokens"] for row in recorded) == learn.LENGTHS[-1]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_idle_conversations_are_worked_out_when_asked(open_page, lang):
    """The link holds the question; the figures are the library's."""
    app = open_page("learn", lang=lang, idle="true", idle_window_s="60", idle_rate_per_s="2")
    assert not app.exception
    deployment = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-8b"),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
    )
    chat = kvsim.generate_workload("chat", num_requests=200, arrivals={"rate_per_s": 2.0})
    (minute,) = kvsim.retention(deployment, chat, window_s=60).windows
    assert gib(minute.steady_bytes) in shown(app)
    assert app.query_params["idle_window_s"] == "60"


def test_no_conversation_is_served_unasked(open_page):
    """Serving them would slow every visit of the page."""
    app = open_page("learn")
    assert app.toggle(key="idle").value is False
    assert "idle_window_s" not in [number.key for number in app.number_input]
