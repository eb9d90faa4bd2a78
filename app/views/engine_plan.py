"""Page Plan under an engine that is not vLLM: verdict, changes, every GPU, what it holds."""

import streamlit as st

import kvsim
from app.i18n import Text
from app.said import said
from app.text import gib, size
from app.views import advice, memory, verdict


def plan_of(asked: kvsim.Scenario) -> kvsim.EnginePlan | None:
    """The plan; None where the engine is vLLM.

    Raises:
        KvsimError: for settings that the engine cannot have.
    """
    if asked.settings is None:
        return None
    return kvsim.plan_engine(
        asked.deployment, asked.settings, concurrent_requests=asked.concurrent_requests
    )


def show(plan: kvsim.EnginePlan, t: Text) -> None:
    """Everything but the launch line."""
    judged = plan.judged
    tightest = judged.tightest
    verdict.show(
        judged.verdict,
        judged.deployment,
        requests=judged.concurrent_requests,
        length=judged.num_tokens,
        sentences=verdict.needs(tightest.needed_bytes, tightest.cache_bytes.best, t),
        t=t,
    )
    for reason in judged.reasons:
        st.caption(t("library_says", words=said(reason, t)))
    if not plan.fits:
        advice.fixes(plan.fixes, judged.engine, t)
    memory.bars(memory.device_rows(plan, t), t)
    with st.expander(t("bar_table")):
        _parts(tightest, t)
    _holds(plan, t)
    _host(judged, t)


def _parts(device: kvsim.DeviceShare, t: Text) -> None:
    rows = [(t("row_free_bytes"), device.free_bytes)]
    rows += [(f"\u2212 {said(part.name, t)}", part.num_bytes) for part in device.parts]
    rows.append((t("row_kv_cache_bytes"), device.cache_bytes))
    memory.intervals(rows, t)


def _holds(plan: kvsim.EnginePlan, t: Text) -> None:
    judged = plan.judged
    where = t("on_each_gpu") if judged.is_per_rank else t("over_all_gpus")
    low, best, high = judged.low, judged.best, judged.high
    metrics = (
        ("metric_bytes_per_token", size(judged.bytes_per_token), where),
        ("metric_tokens", f"{best.tokens:,}", _range(f"{low.tokens:,}", f"{high.tokens:,}", t)),
        (
            "metric_requests",
            f"{best.requests:,}",
            _range(f"{low.requests:,}", f"{high.requests:,}", t),
        ),
        ("metric_longest", f"{plan.longest_model_len:,}", t("metric_longest_of")),
    )
    st.subheader(t("capacity_title"), anchor=False)
    with st.grid(4, min_column_width=190):
        for key, value, below in metrics:
            st.metric(
                t(key),
                value,
                below,
                help=t(f"{key}_help_engine"),
                delta_color="off",
                delta_arrow="off",
                border=True,
            )


def _range(low: str, high: str, t: Text) -> str:
    return t("certain") if low == high else t("range", low=low, high=high)


def _host(judged: kvsim.Judged, t: Text) -> None:
    """What the engine keeps in host memory, where it keeps anything."""
    if not judged.host_bytes:
        return
    parts = "; ".join(
        f"{said(part.name, t)} {gib(part.num_bytes.best)}" for part in judged.host_bytes
    )
    st.markdown(t("host_parts", parts=parts))
