"""Page Plan: whether it fits, where the memory goes, what to change."""

from dataclasses import dataclass, replace

import streamlit as st

import kvsim
from app import charts
from app.i18n import Text
from app.report import headed
from app.said import said
from app.scenario import HUB, Scenario
from app.text import gib, inert, size, table
from app.views import advice, engine_plan, exports, memory, reasons, side_by_side, verdict

Json = dict[str, object]
CHART = memory.CHART

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
        key = "ask_hub_first" if scenario.model == HUB else "paste_first"
        st.info(t(key), icon=":material/upload_file:")
        return
    try:
        asked = scenario.scenario()
        planned = engine_plan.plan_of(asked)
        answer = _answer(scenario) if planned is None else None
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    if planned is not None:
        engine_plan.show(planned, t)
        side_by_side.show(asked, t)
        left_out = planned.judged.not_modeled
        report = headed(planned.as_dict(), asked=scenario)
        _close(str(asked.engine), planned.command, report, left_out, t)
    elif answer is not None:
        _show_vllm(answer, t)
        side_by_side.show(asked, t)
        plan = answer.plan
        report = headed(plan.as_dict(), asked=scenario)
        _close(str(asked.engine), plan.command, report, plan.evaluation.not_modeled, t)


def _show_vllm(answer: Answer, t: Text) -> None:
    """Everything of a plan under vLLM but the launch line."""
    plan = answer.plan
    _verdict(plan, t)
    advice.show(plan, t)
    _memory(plan, t)
    _capacity(plan, t)
    reasons.causes(plan, t)
    _growth(answer.growth, t)
    reasons.formula(plan, answer.formula, t)
    reasons.settings(plan, t)


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
    figures = {
        "usable": gib(e.budget.usable_bytes.best),
        "free": gib(e.budget.free_bytes.best),
        "requests": f"{e.concurrent_requests:,}",
        "max_requests": f"{fit.max_requests:,}",
    }
    sentences = verdict.needs(fit.needed_bytes, fit.available_bytes, t)
    verdict.show(
        fit.verdict,
        e.deployment,
        requests=e.concurrent_requests,
        length=e.resolved.max_model_len,
        sentences=[*sentences, *(t(CAUSES[cause], **figures) for cause in fit.causes)],
        t=t,
    )
    refusal = e.capacity.best.refusal
    if refusal is not None:
        st.caption(t("engine_says", words=said(refusal, t)))


def _memory(plan: kvsim.Plan, t: Text) -> None:
    rows = memory.stage_rows(plan, t)
    memory.bars(rows, t)
    if len(rows) > 1:
        memory.stage_table(plan, t)
    budget = plan.evaluation.budget
    with st.expander(t("bar_table")):
        memory.intervals([(t(f"row_{name}"), getattr(budget, name)) for name in BUDGET_ROWS], t)


# long: four figures with their ranges, an argument a line
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


def _close(engine: str, command: str, report: Json, left_out: tuple[str, ...], t: Text) -> None:
    """The launch line, the downloads, and what the figures leave out."""
    st.subheader(t("launch_title"), anchor=False)
    if command:
        st.code(command, language="bash", wrap_lines=True)
    else:
        st.caption(t("launch_none", engine=inert(engine)))
    exports.downloads("plan", report, t)
    st.caption(t("link_hint"))
    st.subheader(t("not_modeled_title"), anchor=False)
    lines = [f"- {said(text, t)}" for text in left_out] or [t("not_modeled_none")]
    st.markdown("\n".join(lines))
