"""Page Plan: it opens with a result, it reacts, it explains bad input."""

import json

import pytest

import kvsim
from app import scenario
from app.text import gib

H100 = kvsim.accelerator("H100-SXM5-80GB")
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}


def plan_of(model="llama-3.1-8b", *, requests=32, **settings):
    engine = kvsim.Vllm(**{"max_model_len": 8192} | settings)
    deployment = kvsim.Deployment(model=kvsim.load_model(model), accelerator=H100, engine=engine)
    return kvsim.plan(deployment, concurrent_requests=requests)


def verdict(app):
    """The first alert of the page."""
    shown = [*app.success, *app.warning, *app.error]
    assert len(shown) == 1
    return shown[0].value


def metrics(app):
    return {metric.label: metric.value for metric in app.metric}


def test_it_opens_with_a_real_result(open_app):
    """Defaults answer a real question; a blank page answers none."""
    app = open_app()
    plan = plan_of()
    best = plan.evaluation.capacity.best
    assert not app.exception
    assert "Fits" in verdict(app)
    assert gib(plan.evaluation.fit.needed_bytes) in verdict(app)
    assert gib(plan.evaluation.fit.available_bytes) in verdict(app)
    assert metrics(app) == {
        "Cache per token": "128.00\u00a0KiB",
        "Tokens in cache": f"{best.kv_cache_tokens:,}",
        "Blocks": f"{best.num_gpu_blocks:,}",
        "Maximum concurrency": f"{best.max_concurrency:,.2f}x",
    }
    assert any(plan.command == code.value for code in app.code)


def test_it_reacts_to_an_input(open_app):
    """Twice the context halves the concurrency."""
    app = open_app()
    app.number_input(key="max_model_len").set_value(16_384).run()
    best = plan_of(max_model_len=16_384).evaluation.capacity.best
    assert metrics(app)["Maximum concurrency"] == f"{best.max_concurrency:,.2f}x"


def test_a_link_sets_the_inputs(open_app):
    """A colleague sees the same number."""
    app = open_app(max_model_len="32768", kv_cache_dtype="fp8", lang="en")
    best = plan_of(max_model_len=32_768, kv_cache_dtype="fp8").evaluation.capacity.best
    assert metrics(app)["Maximum concurrency"] == f"{best.max_concurrency:,.2f}x"
    assert app.query_params["v"] == scenario.LINK_VERSION


def test_what_does_not_fit_says_what_is_missing(open_app):
    """The verdict carries its numbers and its reason."""
    app = open_app(concurrent_requests="64")
    fit = plan_of(requests=64).evaluation.fit
    assert "Does not fit" in verdict(app)
    assert gib(fit.missing_bytes) in verdict(app)
    assert "64 requests" in verdict(app)


def test_every_fix_is_a_button_that_makes_it_fit(open_app):
    """Advice that has to be typed in again is half advice."""
    fixes = plan_of(requests=64).fixes
    assert fixes
    for fix in fixes:
        app = open_app(concurrent_requests="64")
        app.button(key=f"fix_{fix.setting}").click().run()
        assert "Does not fit" not in verdict(app), fix


@pytest.mark.parametrize("name", scenario.PRESETS)
def test_a_preset_sets_its_inputs(open_app, name):
    """A preset that cannot be computed would be a bad first impression."""
    app = open_app()
    app.button(key=name).click().run()
    assert not app.exception
    assert len(app.metric) == 4
    for field, value in scenario.PRESETS[name].items():
        assert app.session_state[field] == value


def test_reset_brings_back_the_first_view(open_app):
    """After any wandering, one click is home."""
    app = open_app(model="gpt2", max_model_len="512", gpu="T4")
    app.button(key="reset").click().run()
    assert metrics(app) == metrics(open_app())


def test_chinese_has_the_same_numbers(open_app):
    """A language changes words only."""
    english, chinese = open_app(lang="en"), open_app(lang="zh")
    assert [m.value for m in chinese.metric] == [m.value for m in english.metric]
    assert "放得下" in verdict(chinese)


def test_each_chart_says_its_numbers_in_words(open_app):
    """Who cannot see the bar hears it."""
    app = open_app()
    bar, growth = (chart.proto for chart in app.get("plotly_chart"))
    weights_bytes = plan_of().evaluation.budget.weights_bytes.best
    assert gib(weights_bytes) in bar.alt
    curve = kvsim.cache_curve(
        kvsim.load_model("llama-3.1-8b"),
        lengths=[131_072],
        engine=kvsim.Vllm(max_model_len=131_072),
        threshold_bytes=weights_bytes,
    )
    assert f"{curve.crossing_tokens:,}" in growth.alt
    traces = json.loads(bar.spec)["data"]
    assert [trace["name"] for trace in traces][:2] == ["weights", "activation peak"]


BAD_LINKS = {
    "unknown dtype": ({"kv_cache_dtype": "fp9"}, "kv\\_cache\\_dtype=fp9"),
    "unknown model": ({"model": "lama"}, "model=lama"),
    "no tokens": ({"max_model_len": "0"}, "max\\_model\\_len=0"),
    "no number": ({"concurrent_requests": "many"}, "concurrent\\_requests=many"),
    "huge number": ({"max_model_len": "1e400"}, "max\\_model\\_len=1e400"),
    "long number": ({"max_model_len": "1e300"}, "max\\_model\\_len=1e300"),
    "no size": ({"weights_gib": "-inf"}, "weights\\_gib=\\-inf"),
    "share above one": ({"gpu_memory_utilization": "1.5"}, "gpu\\_memory\\_utilization=1\\.5"),
    "unknown name": ({"tokens": "8192"}, "tokens=8192"),
    "later version": ({"v": "9"}, "v=9"),
}


@pytest.mark.parametrize("case", BAD_LINKS)
def test_a_link_that_cannot_be_honoured_says_so(open_app, case):
    """A link that silently shows another number is worse than one that fails."""
    query, shown = BAD_LINKS[case]
    app = open_app(**query)
    assert not app.exception
    assert [warning.value for warning in app.warning] == [
        f"Link values ignored: {shown}. Defaults are used in their place."
    ]
    assert len(app.metric) == 4


@pytest.mark.parametrize("text", ["4096", "4096.0", "4.096e3"])
def test_a_number_may_be_written_as_people_write_it(open_app, text):
    """Streamlit takes these, so no warning is due."""
    app = open_app(max_model_len=text)
    assert not app.warning
    assert app.number_input(key="max_model_len").value == 4096


def test_the_warning_goes_when_an_input_changes(open_app):
    """Then the numbers are the visitor's own."""
    app = open_app(model="lama")
    app.number_input(key="max_model_len").set_value(4096).run()
    assert not app.warning


BAD_INPUT = {
    "context beyond the model": ({"model": "gpt2"}, "max_model_len=8192 must be"),
    "heads that do not divide": ({"tensor_parallel_size": "3"}, "tensor_parallel_size=3"),
    "version": ({"engine_version": "newest"}, "engine_version=newest must look like"),
    "said twice": (
        {"free_memory_gib": "40", "other_processes_gib": "2"},
        "say the same thing",
    ),
    "more free than there is": ({"free_memory_gib": "400"}, "free_memory="),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_explained_where_the_verdict_would_be(open_app, case):
    """The field, the value and the rule; and no number that belongs to something else."""
    query, shown = BAD_INPUT[case]
    app = open_app(**query)
    assert not app.exception
    assert "Cannot compute" in verdict(app)
    assert shown in verdict(app).replace("\\", "")
    assert not app.metric
    assert not app.get("plotly_chart")


def with_config(app, text):
    app.selectbox(key="model").set_value(scenario.CUSTOM).run()
    app.text_area(key="config").set_value(text).run()
    return app


def test_own_model_is_asked_for_first(open_app):
    """Choosing `custom` is no error."""
    app = open_app(model=scenario.CUSTOM)
    assert app.info[0].value.startswith("Paste or upload")
    assert not app.metric


def test_a_pasted_config_is_planned(open_app):
    """The same values give the same cache as the catalogue's entry."""
    app = with_config(open_app(), json.dumps(CONFIG))
    assert not app.exception
    assert metrics(app)["Cache per token"] == "128.00\u00a0KiB"


BAD_CONFIGS = {
    "broken": ('{"model_type": ', "no valid JSON"),
    "a list": ("[]", "a config is an object"),
    "a field missing": (
        json.dumps({k: v for k, v in CONFIG.items() if k != "hidden_size"}),
        "hidden_size",
    ),
    "unknown dtype": (json.dumps(CONFIG | {"torch_dtype": "float9"}), "float9"),
    "heads that do not divide": (json.dumps(CONFIG | {"num_key_value_heads": 7}), "7"),
    "no layers": (json.dumps(CONFIG | {"num_hidden_layers": 0}), "num_hidden_layers=0"),
    "too long": (json.dumps(CONFIG | {"note": "x" * 1_000_000}), "1,000,000 bytes"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_config_is_explained(open_app, case):
    """What a visitor pastes is the least reliable input of all."""
    text, shown = BAD_CONFIGS[case]
    app = with_config(open_app(), text)
    assert not app.exception
    assert shown in verdict(app).replace("\\", "")
    assert not app.metric


def test_text_of_a_config_is_never_markup(open_app):
    """A config from a stranger must not fetch a picture or draw a link."""
    name = "![x](http://example.com/x.png) <b>bold</b> $x$ :red[x]"
    shown = verdict(with_config(open_app(), json.dumps(CONFIG | {"_name_or_path": name})))
    assert "\\!\\[x\\]\\(http\\:" in shown
    assert "\\<b\\>" in shown
    assert "\\:red\\[x\\]" in shown
