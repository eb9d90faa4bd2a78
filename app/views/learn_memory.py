"""Sections of page Learn on memory: what a cache costs, heads, paging, bits."""

from collections.abc import Sequence

import streamlit as st

import kvsim
from app import bars
from app.i18n import Text
from app.said import said
from app.text import gib, inert, size, table
from app.views.bar_view import draw

FORMATS = {
    "fp8": "fp8_e4m3",
    "int8_per_token_head": "int8",
    "int4_per_token_head": "int4",
}
"""Cache formats that engines have, and the measured format of as many bits."""


def costs(plan: kvsim.Plan, t: Text) -> None:
    """A token, a request, all users, beside the weights and the room there is."""
    st.subheader(t("costs_title"), anchor=False)
    e = plan.evaluation
    requests, length = f"{e.concurrent_requests:,}", f"{e.resolved.max_model_len:,}"
    shown = {
        "token": (e.capacity.cost.bytes_per_token, bars.BLUE),
        "request": (e.capacity.request.total_bytes, bars.BLUE),
        "users": (e.fit.needed_bytes, bars.BLUE),
        "weights": (e.budget.weights_bytes.best, bars.GREY),
        "room": (max(0, e.budget.kv_cache_bytes.best), bars.GREEN),
    }
    rows = [
        bars.Bar(
            name=t(f"costs_{name}", requests=requests, length=length),
            value=max(1, num_bytes),
            label=size(num_bytes),
            color=color,
        )
        for name, (num_bytes, color) in shown.items()
    ]
    draw("costs", rows, t, log=True)
    st.markdown(
        t(
            "costs_said",
            length=length,
            request=size(e.capacity.request.total_bytes),
            idle=f"{e.capacity.best.max_requests:,}",
            room=gib(max(0, e.budget.kv_cache_bytes.best)),
        )
    )


def heads(variants: Sequence[kvsim.AttentionVariant], t: Text) -> None:
    """The same model, were its attention of another kind."""
    st.subheader(t("heads_title"), anchor=False)
    rows = [
        bars.Bar(
            name=t(f"variant_{row.name.name.lower()}", heads=row.num_kv_heads or ""),
            value=row.total_bytes,
            label=size(row.total_bytes),
            color=bars.ORANGE if row.name is kvsim.VariantName.OWN else bars.BLUE,
        )
        for row in variants
    ]
    draw("heads", rows, t)
    own = variants[-1]
    if len(variants) == 1:
        st.markdown(t("heads_alone", own=size(own.total_bytes)))
        return
    held = {row.name: size(row.total_bytes) for row in variants}
    st.markdown(
        t(
            "heads_said",
            own=size(own.total_bytes),
            mha=held[kvsim.VariantName.MHA],
            mqa=held[kvsim.VariantName.MQA],
        )
    )
    header = [t("column_kind"), t("column_bytes_per_token"), t("column_request")]
    lines = [
        (bar.name, size(row.bytes_per_token), size(row.total_bytes))
        for bar, row in zip(rows, variants, strict=True)
    ]
    with st.expander(t("heads_table")):
        st.markdown(table(header, lines))


def paging(claim: kvsim.Claim, t: Text) -> None:
    """How much of what a short request holds attention reads, reserved and paged."""
    st.subheader(t("paging_title"), anchor=False)
    figures = claim.figures
    if not figures:
        st.caption(said(claim.reason or "", t))
        return
    rows = [
        bars.Bar(
            name=t(f"paging_{name}"),
            value=figures[f"{name}_share"],
            label=f"{figures[f'{name}_share']:.1%}",
            color=color,
        )
        for name, color in (("reserved", bars.ORANGE), ("paged", bars.GREEN))
    ]
    draw("paging", rows, t)
    st.markdown(
        t(
            "paging_said",
            request=f"{figures['request_tokens']:,}",
            context=f"{figures['context_tokens']:,}",
            block=f"{figures['block_tokens']:,}",
            reserved=rows[0].label,
            paged=rows[1].label,
        )
    )


def bits(plan: kvsim.Plan, measured: kvsim.Lessons, t: Text) -> None:
    """One request in fewer bits, and what as many bits lost where it was measured."""
    st.subheader(t("bits_title"), anchor=False)
    e = plan.evaluation
    model, length = e.deployment.model, e.resolved.max_model_len
    own = kvsim.cache_bytes(model, num_tokens=length)
    held = {own.kv_cache_dtype: own.total_bytes} | {
        name: kvsim.cache_bytes(model, num_tokens=length, kv_cache_dtype=name).total_bytes
        for name in FORMATS
    }
    rows = [
        bars.Bar(
            name=name,
            value=num_bytes,
            label=size(num_bytes),
            color=bars.GREEN if name in FORMATS else bars.GREY,
        )
        for name, num_bytes in held.items()
    ]
    draw("bits", rows, t)
    agreement = {row.name: f"{row.top1_agreement:.2%}" for row in measured.formats}
    lines = [
        (name, agreement[row.name], f"{row.kl_divergence_nats:.2g}", f"{row.saved:.1%}")
        for row in measured.formats
        for name in [inert(row.name)]
    ]
    header = [t("column_format"), t("column_agreement"), t("column_divergence"), t("column_saved")]
    st.markdown(table(header, lines))
    st.markdown(
        t("bits_said", int8=agreement["int8"], int4=agreement["int4"], int2=agreement["int2"])
    )
    st.caption(
        t("measured_source", model=said(measured.formats_model, t), source=measured.formats_source)
    )
