"""Page Plan: whether it fits, where the memory goes, what to change."""

from dataclasses import dataclass, replace

import streamlit as st

import kvsim
from app import charts, forms
from app.i18n import Text
from app.scenario import Scenario
from app.text import gib, inert, size, table
from app.views import exports, reasons

SCHEMA_VERSION = 1
"""Version of the JSON object, the same as the command line's."""

Json = dict[str, object]

CHART = {"displaylogo": False, "modeBarButtons": [["toImage"]]}
VERDICTS = {
    kvsim.Verdict.FITS: ("verdict_fits", ":material/check_circle:", st.success),
    kvsim.Verdict.TIGHT: ("verdict_tight", ":material/warning:", st.warning),
    kvsim.Verdict.DOES_NOT_FIT: ("verdict_does_not_fit", ":material/cancel:", st.error),
}
CAUSES = {
    kvsim.Cause.NOT_FREE: "cause_not_free",
    kvsim.Cause.NO_CACHE: "cause_no_cache",
    kvsim.Cause.TOO_MANY_REQUESTS: "cause_too_many_requests",
    kvsim.Cause.ONLY_LIKELY: "cause_only_likely",
    kvsim.Cause.NEARLY_FULL: "cause_nearly_full",
    kvsim.Cause.HOST_MEMORY: "cause_host_memory",
}
BUDGET_ROWS = (
    "total_bytes",
    "free_bytes",
    "usable_bytes",
    "weights_bytes",
    "activation_peak_bytes",
    "non_torch_bytes",
    "cuda_graph_bytes",
    "kv_cache_bytes",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that the page shows of one scenario, so that no part is staler than another."""

    plan: kvsim.Plan
    growth: charts.Growth | None  # None where a GPU holds a part of the layers or tokens
    formula: tuple[kvsim.ExplainedGroup, ...]


def show(scenario: Scenario, t: Text) -> None:
    """The page; bad input is explained where the verdict would be."""
    if scenario.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    try:
        answer = _answer(scenario)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=inert(str(error))), icon=":material/error:")
        return
    _verdict(answer.plan, t)
    _fixes(answer.plan, t)
    _memory(answer.plan, t)
    _capacity(answer.plan, t)
    reasons.causes(answer.plan, t)
    _growth(answer.growth, t)
    reasons.formula(answer.plan, answer.formula, t)
    reasons.settings(answer.plan, t)
    _launch(answer.plan, t)
    _not_modeled(answer.plan, t)


def _answer(scenario: Scenario) -> Answer:
    deployment = scenario.deployment()
    plan = kvsim.plan(deployment, concurrent_requests=scenario.concurrent_requests)
    e = plan.evaluation
    return Answer(
        plan=plan,
        growth=_curves(plan, scenario),
        formula=kvsim.explain_cache(
            e.deployment.model,
            num_tokens=e.resolved.max_model_len,
            kv_cache_dtype=scenario.kv_cache_dtype,
            tensor_parallel_size=scenario.tensor_parallel_size,
        ),
    )


def _curves(plan: kvsim.Plan, scenario: Scenario) -> charts.Growth | None:
    e = plan.evaluation
    parallel, model = e.deployment.parallel, e.deployment.model
    if parallel.pipeline_parallel_size > 1 or parallel.decode_context_parallel_size > 1:
        return None
    longest = model.max_model_len or e.resolved.max_model_len
    weights_bytes = e.budget.weights_bytes.best

    def curve(batch_size: int) -> kvsim.CacheCurve:
        return kvsim.cache_curve(
            model,
            lengths=kvsim.context_lengths(longest),
            batch_size=batch_size,
            engine=replace(e.deployment.engine, max_model_len=longest),
            kv_cache_dtype=scenario.kv_cache_dtype,
            tensor_parallel_size=scenario.tensor_parallel_size,
            threshold_bytes=weights_bytes,
        )

    return charts.Growth(
        one=curve(1),
        many=curve(e.concurrent_requests),
        requests=e.concurrent_requests,
        weights_bytes=weights_bytes,
        available_bytes=e.budget.kv_cache_bytes.best,
        context=e.resolved.max_model_len,
    )


def _verdict(plan: kvsim.Plan, t: Text) -> None:
    e, fit = plan.evaluation, plan.evaluation.fit
    key, icon, alert = VERDICTS[fit.verdict]
    asked = t(
        "asked",
        requests=f"{e.concurrent_requests:,}",
        length=f"{e.resolved.max_model_len:,}",
        model=inert(e.deployment.model.name),
        num_gpus=e.deployment.parallel.num_ranks,
        gpu=inert(e.deployment.accelerator.name),
    )
    has = "needs_has" if fit.available_bytes > 0 else "needs_none"
    sentences = [t(has, needed=gib(fit.needed_bytes), available=gib(fit.available_bytes))]
    if fit.missing_bytes:
        sentences.append(t("missing", missing=gib(fit.missing_bytes)))
    figures = {
        "usable": gib(e.budget.usable_bytes.best),
        "free": gib(e.budget.free_bytes.best),
        "requests": f"{e.concurrent_requests:,}",
        "max_requests": f"{fit.max_requests:,}",
    }
    sentences += [t(CAUSES[cause], **figures) for cause in fit.causes]
    alert(f"## {icon} {t(key)}\n\n{t('between_sentences').join(sentences)}\n\n{asked}")
    refusal = e.capacity.best.refusal
    if refusal is not None:
        st.caption(t("engine_says", words=inert(refusal)))


def _fixes(plan: kvsim.Plan, t: Text) -> None:
    if plan.fits:
        return
    if not plan.fixes:
        st.info(t("no_fix"), icon=":material/lightbulb:")
        return
    st.subheader(t("fixes"), anchor=False)
    for fix in plan.fixes:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                f"{fix.setting}={fix.value}",
                key=f"fix_{fix.setting}",
                on_click=forms.apply,
                args=(fix.setting, fix.value),
                icon=":material/build:",
            )
            gives = t(
                "fix_gives",
                requests=f"{fix.max_concurrency:,.2f}",
                tokens=f"{fix.kv_cache_tokens:,}",
            )
            st.markdown(f"{gives} · {t(f'cost_{fix.setting}')}")


def _memory(plan: kvsim.Plan, t: Text) -> None:
    st.subheader(t("memory_title"), anchor=False)
    bar = plan.memory
    st.plotly_chart(
        charts.memory_bar(bar, t), key="memory", config=CHART, alt=charts.memory_words(bar, t)
    )
    columns = ("part", "low", "likely", "high", "source")
    rows = []
    for name in BUDGET_ROWS:
        part: kvsim.Interval = getattr(plan.evaluation.budget, name)
        sizes = (gib(part.low), gib(part.best), gib(part.high))
        rows.append((t(f"row_{name}"), *sizes, inert(part.source)))
    with st.expander(t("bar_table")):
        st.markdown(table([t(f"column_{name}") for name in columns], rows, words=1))


def _capacity(plan: kvsim.Plan, t: Text) -> None:
    st.subheader(t("capacity_title"), anchor=False)
    e, held = plan.evaluation, plan.evaluation.capacity
    best, low, high = held.best, held.low, held.high
    with st.grid(4, min_column_width=190):
        st.metric(
            t("metric_bytes_per_token"),
            size(held.cost.bytes_per_token),
            t("on_each_gpu"),
            help=t("metric_bytes_per_token_help"),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        st.metric(
            t("metric_tokens"),
            f"{best.kv_cache_tokens:,}",
            _range(f"{low.kv_cache_tokens:,}", f"{high.kv_cache_tokens:,}", t),
            help=t("metric_tokens_help"),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        st.metric(
            t("metric_blocks"),
            f"{best.num_gpu_blocks:,}",
            _range(f"{low.num_gpu_blocks:,}", f"{high.num_gpu_blocks:,}", t),
            help=t("metric_blocks_help", block_size=best.block_size),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
        st.metric(
            t("metric_concurrency"),
            f"{best.max_concurrency:,.2f}x",
            _range(f"{low.max_concurrency:,.2f}x", f"{high.max_concurrency:,.2f}x", t),
            help=t("metric_concurrency_help"),
            delta_color="off",
            delta_arrow="off",
            border=True,
        )
    st.caption(t("log_lines"))
    length = f"{e.resolved.max_model_len:,}"
    st.code(
        f"GPU KV cache size: {best.kv_cache_tokens:,} tokens\n"
        f"Maximum concurrency for {length} tokens per request: {best.max_concurrency:,.2f}x",
        language=None,
        wrap_lines=True,
    )
    work = plan.compute
    if best.max_requests and work and work.prefill and work.decode:
        bounds = {"prefill": work.prefill.bound, "decode": work.decode.bound}
        st.markdown(t("bound", **{phase: t(f"bound_{bound}") for phase, bound in bounds.items()}))


def _range(low: str, high: str, t: Text) -> str:
    return t("certain") if low == high else t("range", low=low, high=high)


def _growth(growth: charts.Growth | None, t: Text) -> None:
    st.subheader(t("curve_title"), anchor=False)
    if growth is None:
        st.caption(t("curve_not_drawn"))
        return
    st.markdown(charts.crossing_words(growth, t))
    st.plotly_chart(
        charts.growth(growth, t),
        key="growth",
        config=CHART,
        alt=charts.growth_words(growth, t),
    )
    header = [t("column_context"), t("curve_one")]
    header.append(t("curve_many", requests=f"{growth.requests:,}"))
    rows = [
        (f"{length:,}", size(one), size(many))
        for length, one, many in zip(
            growth.one.lengths, growth.one.total_bytes, growth.many.total_bytes, strict=True
        )
    ]
    with st.expander(t("curve_table")):
        st.markdown(table(header, rows))


def _launch(plan: kvsim.Plan, t: Text) -> None:
    st.subheader(t("launch_title"), anchor=False)
    st.code(plan.command, language="bash", wrap_lines=True)
    exports.downloads("plan", {"schema_version": SCHEMA_VERSION, **plan.as_dict()}, t)
    st.caption(t("link_hint"))


def _not_modeled(plan: kvsim.Plan, t: Text) -> None:
    st.subheader(t("not_modeled_title"), anchor=False)
    left_out = plan.evaluation.not_modeled
    lines = [f"- {inert(text)}" for text in left_out] or [t("not_modeled_none")]
    st.markdown("\n".join(lines))
