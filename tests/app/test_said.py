"""What the library says reaches a Chinese reader in Chinese, whole or quoted as it is."""

import ast
import pickle
import re
from dataclasses import replace
from pathlib import Path
from string import Formatter

import pytest

import kvsim
from app import saved
from app.example_log import EXAMPLE
from app.i18n import Text
from app.said import chinese, said
from app.text import inert
from app.texts.library import CHINESE

LIBRARY = Path(kvsim.__file__).parent
APP = Path(saved.__file__).parent


def literals():
    """Every text of the library's source, and the templates among them."""
    texts, templates = set(), set()
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            match node:
                case ast.Call(func=ast.Name(id="Message" | "cls"), args=[ast.Constant(value=text)]):
                    templates.add(text)
    return texts, templates


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_every_template_has_a_translation():
    """One without would be quoted in English; the pages' own limits are said the same way."""
    _, templates = literals()
    assert templates
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="Message"), args=[ast.Constant(value=text)]):
                    templates.add(text)
    assert not templates - CHINESE.keys()


@pytest.mark.parametrize("english", CHINESE)
def test_a_translation_names_the_same_values(english):
    """A number that is lost in translation is lost to the reader."""
    assert placeholders(english) == placeholders(CHINESE[english])


def test_the_sources_in_the_data_files_have_a_translation():
    """Table, caption and tooltip quote where a figure comes from."""
    written = (LIBRARY / "io/data/overheads.toml").read_text("utf-8")
    lessons = kvsim.lessons()
    models = {lessons.answers_model, lessons.formats_model, lessons.heads.source}
    sources = set(re.findall(r'source = "(.+?)"', written))
    assert sources
    assert not (models | sources) - CHINESE.keys()


def str_of(scenario):
    return f"{scenario.deployment.model.name}-{scenario.engine}"


def scenarios():
    base = saved.scenario_of(saved.NOTHING).scenario()
    models = ("llama-3.1-8b", "llama-3.1-405b", "deepseek-v3", "gpt-oss-20b")
    for model in models:
        for engine in kvsim.EngineName:
            deployment = replace(base.deployment, model=kvsim.load_model(model))
            yield kvsim.Scenario(deployment=deployment, engine=engine)


@pytest.mark.parametrize("scenario", list(scenarios()), ids=str_of)
def test_what_the_pages_quote_has_a_translation(scenario):
    """Refusals and what figures leave out, in every engine."""
    answer = kvsim.answer(scenario)
    words = [*answer.not_modeled, *filter(None, [answer.refusal])]
    assert [text for text in words if chinese(text) is None] == []


def test_a_plan_that_does_not_fit_is_explained():
    """Its reasons, and where its memory's parts come from."""
    base = saved.scenario_of(saved.NOTHING).scenario().deployment
    big = replace(base, model=kvsim.load_model("llama-3.1-405b"))
    plan = kvsim.plan(big).evaluation
    budget = plan.budget
    parts = (budget.weights_bytes, budget.kv_cache_bytes, budget.activation_peak_bytes)
    words = [*plan.fit.reasons, *(part.source for part in parts)]
    assert [text for text in words if chinese(text) is None] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "不是有效的 JSON"),
        ("[]", "应为对象"),
        ('{"model_type": "llama"}', "缺少"),
    ],
)
def test_a_bad_config_is_explained(text, expected):
    """Pasted JSON that is none, no object, or no model."""
    with pytest.raises(kvsim.KvsimError) as caught:
        kvsim.load_model(kvsim.parse_config(text, name="config.json"))
    assert expected in said(caught.value.words, Text("zh"))


def test_what_has_no_translation_is_quoted_whole():
    """Never half a sentence; also where only a part of it has none."""
    whole = kvsim.Message("{value} does not fit: {reason}", value=1, reason=kvsim.Message("odd"))
    assert chinese(whole) is None
    assert said(whole, Text("zh")) == Text("zh")("library_original", words=inert(whole))
    assert said(whole, Text("en")) == "1 does not fit\\: odd"


def test_a_message_survives_the_way_from_a_worker():
    """Jobs run in another process."""
    message = kvsim.Message("{name}={value} must be {{}}", name="a", value="{b}")
    back = pickle.loads(pickle.dumps(message))
    assert (back, back.template, back.values) == (message, message.template, message.values)


def advised():
    """What every rule of advice writes: the words of its fields, and the reasons it hands on."""
    for name in ("log_advice", "vllm_log_advice"):
        for node in ast.walk(ast.parse((LIBRARY / f"planner/{name}.py").read_text("utf-8"))):
            match node:
                case ast.keyword(arg="change" | "why", value=value):
                    yield from (n.value for n in ast.walk(value) if isinstance(n, ast.Constant))
                case ast.Assign(targets=[ast.Name(id="change" | "why")], value=value):
                    yield from (n.value for n in ast.walk(value) if isinstance(n, ast.Constant))
                case ast.Call(func=ast.Name(id="_lower_seqs" | "_lower_utilization")):
                    yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def test_advice_after_a_log_has_a_translation():
    """Sentences, not the values of flags."""
    sentences = {text for text in advised() if isinstance(text, str) and " " in text}
    assert len(sentences) > 20
    assert not sentences - CHINESE.keys()


def test_the_figures_of_a_log_have_chinese_names():
    """Those of the page's own example: checks, their parts and notes."""
    explained = kvsim.explain_log(EXAMPLE)
    words = [each.note for each in explained.checks if each.note]
    for check in explained.checks:
        words += [check.name, check.whole.name, *(part.name for part in check.parts)]
    assert [text for text in words if chinese(text) is None] == []
