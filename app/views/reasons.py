"""Sections of page Plan that say why: where the cache goes, the formula, the settings."""

from dataclasses import replace

import streamlit as st

import kvsim
from app.i18n import Text
from app.text import inert, size, table

STAGE_FIGURES = ("num_layers", "block_bytes", "num_gpu_blocks")
PARTS = {
    "pool": (
        *("usable_bytes", "null_block_bytes", "remainder_bytes", "other_ranks_bytes"),
        *("override_bytes", "total_bytes"),
    ),
    "request": (
        *("live_bytes", "in_flight_bytes", "state_copies_bytes", "block_rounding_bytes"),
        *("page_padding_bytes", "group_padding_bytes", "total_bytes", "replicated_bytes"),
    ),
}
"""Parts in the order in which they add up; one that is zero everywhere is left out."""

LOST = ("null_block_bytes", "remainder_bytes", "other_ranks_bytes", "override_bytes")
EXTRA = (
    *("in_flight_bytes", "state_copies_bytes", "block_rounding_bytes"),
    *("page_padding_bytes", "group_padding_bytes"),
)
"""Parts of a pool that no request can take, and of a request that no attention reads."""

SETTINGS = (
    *("max_model_len", "max_num_seqs", "max_num_batched_tokens", "max_in_flight_tokens"),
    *("block_size", "dtype", "kv_cache_dtype", "async_scheduling"),
    *("enable_chunked_prefill", "enable_prefix_caching", "mamba_cache_mode"),
)


def causes(plan: kvsim.Plan, t: Text) -> None:
    """What rounding, padding, the null block, copies and steps under way each cost."""
    st.subheader(t("why_title"), anchor=False)
    st.markdown(_summary(plan, t))
    firsts = _stages(plan)
    names = [t("why_column_stages", stages=stages) for stages in firsts.values()]
    columns = names if len(names) > 1 else [t("why_column")]
    stages = [plan.why[first] for first in firsts]
    figures = [
        (
            t(f"why_{name}"),
            *(_figure(name, getattr(stage, name)) for stage in stages),
        )
        for name in STAGE_FIGURES
    ]
    places = st.columns(2) if len(stages) == 1 else (st.container(), st.container())
    for place, (part, members) in zip(places, PARTS.items(), strict=True):
        rows = figures if part == "pool" else []
        for name in members:
            values = [getattr(getattr(stage, part), name) for stage in stages]
            if any(values):
                row = (t(f"why_{part}_{name}"), *(size(value) for value in values))
                rows.append(_bold(row) if name == "total_bytes" else row)
        place.markdown(table([t(f"why_table_{part}"), *columns], rows))


def formula(plan: kvsim.Plan, groups: tuple[kvsim.ExplainedGroup, ...], t: Text) -> None:
    """Per kind of layer the mechanism, what decided it, the bytes; then what the engine makes."""
    e, held = plan.evaluation, plan.evaluation.capacity
    length = f"{e.resolved.max_model_len:,}"
    st.subheader(t("formula_title"), anchor=False)
    st.markdown(t("formula_ideal", length=length))
    parallel = e.deployment.parallel
    if parallel.pipeline_parallel_size > 1 or parallel.decode_context_parallel_size > 1:
        st.caption(t("formula_whole"))
    for group in groups:
        names = {"count": group.count, "mechanism": inert(group.mechanism)}
        st.markdown(t("formula_group", layers=inert(group.layers), **names))
        st.caption(" · ".join(f"{inert(name)} = {inert(v)}" for name, v in group.decided_by))
        total = {"num_bytes": f"{group.total_bytes:,}", "size": size(group.total_bytes)}
        st.code(t("formula_bytes", formula=group.formula, **total), language=None, wrap_lines=True)
    st.markdown(
        t(
            "formula_engine",
            block_size=held.best.block_size,
            fixed=f"{held.cost.fixed_bytes:,}",
            per_token=f"{held.cost.bytes_per_token:,}",
            start=f"{held.cost.from_tokens:,}",
            length=length,
            size=size(held.request.total_bytes),
        )
    )
    st.markdown(t("formula_admission", size=size(held.best.bytes_for(1))))


def settings(plan: kvsim.Plan, t: Text) -> None:
    """Every setting that decides memory, who decided it, and what it means."""
    e = plan.evaluation
    st.subheader(t("settings_title"), anchor=False)
    version = e.resolved.engine_version
    st.markdown(t("settings_about", engine=inert(e.engine), version=inert(version)))
    rows = []
    for name in SETTINGS:
        asked = getattr(e.deployment.engine, name, None)
        decided = t("decided_engine") if asked in (None, "auto") else t("decided_you")
        value = _value(getattr(e.resolved, name), t)
        rows.append((f"`{name}` {t(f'setting_{name}')}", value, decided))
    header = [t(f"column_{name}") for name in ("setting", "value", "decided")]
    st.markdown(table(header, rows, words=1))


def _summary(plan: kvsim.Plan, t: Text) -> str:
    """The stage that decides, what requests can take, and what a request's largest extra is."""
    stage = min(plan.why, key=lambda stage: stage.num_gpu_blocks)
    pool, request = stage.pool, stage.request
    lost = max(LOST, key=lambda name: getattr(pool, name))
    figures = {"total": size(pool.total_bytes), "usable": size(pool.usable_bytes)}
    part = t(f"why_pool_{lost}")
    words = [t("why_pool", **figures, size=size(getattr(pool, lost)), part=part)]
    largest = max(EXTRA, key=lambda name: getattr(request, name))
    total, extra = size(request.total_bytes), getattr(request, largest)
    if extra:
        part, live = t(f"why_request_{largest}"), size(request.live_bytes)
        words.append(t("why_request", total=total, live=live, size=size(extra), part=part))
    else:
        words.append(t("why_request_all_live", total=total))
    if any(other.num_gpu_blocks != stage.num_gpu_blocks for other in plan.why):
        words.insert(0, t("why_stage", stage=stage.stage))
    return t("between_sentences").join(words)


def _stages(plan: kvsim.Plan) -> dict[int, str]:
    """The first of each kind of stage, and all of that kind as text."""
    kinds: dict[object, list[int]] = {}
    for stage in plan.why:
        kinds.setdefault(replace(stage, stage=0), []).append(stage.stage)
    return {same[0]: ", ".join(map(str, same)) for same in kinds.values()}


def _figure(name: str, value: int) -> str:
    return size(value) if name.endswith("_bytes") else f"{value:,}"


def _bold(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"**{cell}**" for cell in row)


def _value(value: object, t: Text) -> str:
    if isinstance(value, bool):
        return t("setting_on") if value else t("setting_off")
    return f"{value:,}" if isinstance(value, int) else inert(str(value))
