"""Why a cache holds what it holds, on page Plan: parts, formula, settings."""

import re

import kvsim
from app.i18n import Text
from app.text import inert, size

T = Text("en")


def plan_of(model, **degrees):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
        parallel=kvsim.Parallelism(**degrees),
    )
    return kvsim.plan(deployment, concurrent_requests=32)


def shown(app):
    return "\n".join(text.value for text in app.markdown)


def cells(app, label):
    """The cells of the row with that label."""
    (row,) = re.findall(rf"^\| \**{re.escape(label)}\** \| (.*) \|$", shown(app), re.MULTILINE)
    return [cell.strip("* ") for cell in row.split("|")]


def test_each_part_of_a_request_is_a_row(open_app):
    """Parts that are zero everywhere are left out, the others are the library's."""
    app = open_app(model="gemma-2-9b")
    request = plan_of("gemma-2-9b").why[0].request
    for name in ("live_bytes", "in_flight_bytes"):
        assert cells(app, T(f"why_request_{name}")) == [size(getattr(request, name))]
    assert T("why_request_state_copies_bytes") not in shown(app)


def test_stages_that_differ_have_a_column_each(open_app):
    """Uneven stages hide in a sum."""
    app = open_app(model="gemma-3-27b", pipeline_parallel_size="4")
    why = plan_of("gemma-3-27b", pipeline_parallel_size=4).why
    assert cells(app, T("why_num_layers")) == [str(stage.num_layers) for stage in why]
    live = [size(stage.request.live_bytes) for stage in why]
    assert cells(app, T("why_request_live_bytes")) == live


def test_equal_stages_share_a_column(open_app):
    """Eight equal columns would say one thing eight times."""
    app = open_app(pipeline_parallel_size="8")
    assert len(cells(app, T("why_num_layers"))) == 1


def test_the_sentence_names_the_largest_extra(open_app):
    """A window's request keeps the steps under way: most people forget that."""
    request = plan_of("gemma-2-9b").why[0].request
    sentence = f"the largest of the rest is {size(request.in_flight_bytes)}: tokens kept"
    assert sentence in shown(open_app(model="gemma-2-9b"))


def test_the_curve_is_left_out_where_it_would_mislead(open_app):
    """One GPU's weights against all stages' cache compares nothing."""
    app = open_app(pipeline_parallel_size="2")
    assert len(app.get("plotly_chart")) == 1
    assert T("curve_not_drawn") in [caption.value for caption in app.caption]


def test_the_formula_names_the_deciding_fields(open_app):
    """Whoever reads a config wants to know which lines of it matter."""
    app = open_app(model="gemma-2-9b")
    groups = kvsim.explain_cache(kvsim.load_model("gemma-2-9b"), num_tokens=8192)
    assert len(groups) == 2
    captions = [caption.value for caption in app.caption]
    for group in groups:
        assert f"**{group.count} × {inert(group.mechanism)}**" in shown(app)  # noqa: RUF001
        fields = " · ".join(f"{inert(name)} = {inert(v)}" for name, v in group.decided_by)
        assert fields in captions
        assert any(code.value.startswith(group.formula) for code in app.code)


def test_resolved_settings_say_who_decided(open_app):
    """The engine's default depends on the use; a stated value does not."""
    server, library = open_app(), open_app(usage_context="LLM_CLASS", max_num_seqs="64")
    label = f"`max_num_batched_tokens` {T('setting_max_num_batched_tokens')}"
    assert cells(server, label) == ["8,192", "the engine"]
    assert cells(library, label) == ["16,384", "the engine"]
    assert cells(library, f"`max_num_seqs` {T('setting_max_num_seqs')}") == ["64", "you"]
