"""Page Paging: a pool of blocks over time, beside the same requests in reserved memory."""

import base64
import json
import zlib
from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

import kvsim
from app import forms, paging_charts
from app.i18n import Text
from app.paging_fields import PAGING, SEEN_AT_ONCE, Talk
from app.report import headed
from app.said import said
from app.scenario import AUTO, Scenario
from app.text import inert, size, table
from app.views.component import source
from app.views.plan import CHART

BEST = zlib.Z_BEST_COMPRESSION
BLOCK_SIZE = 16
"""Tokens per block where the engine decides."""

PLAYER = (
    *("label", "play", "pause", "first", "back", "on", "speed", "scrub", "clock", "sentence"),
    *("quiet", "allocated", "hit", "evicted", "admitted", "preempted", "finished"),
    *("paged", "reserved", "requests", "request", "chosen", "stay", "nothing", "table"),
    *(f"key_{name}" for name in ("held", "shared", "cached", "free", "lost")),
    *(f"key_{name}" for name in ("used", "later", "never", "rounding")),
    *(f"state_{name}" for name in ("running", "waiting", "preempted", "done", "later")),
    *(f"column_{name}" for name in ("request", "state", "tokens", "blocks", "slots")),
)
"""Texts that the browser fills and shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Both pools over time, and the same as a visitor gets it: packed, or as a file."""

    model: str
    paging: kvsim.Paging
    report: str
    packed: str


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the pools would be."""
    st.subheader(t("paging_page_title"), anchor=False)
    st.markdown(t("paging_about"))
    talk = _talk(t)
    if asked.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    try:
        drawn = _drawn(asked, talk)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    _outcome(drawn.paging, t)
    _player(drawn, t)
    _figures(drawn.paging, t)
    _methods(drawn.paging, t)
    _sizes(drawn, t)
    st.download_button(
        t("download_frames"),
        drawn.report,
        file_name="kvsim-paging.json",
        mime="application/json",
        icon=":material/download:",
        on_click="ignore",
    )
    st.caption(t("link_hint"))


def _talk(t: Text) -> Talk:
    """The inputs of this page."""
    with st.grid(4, min_column_width=190):
        values = {field.name: forms.widget(field, t) for field in PAGING[:SEEN_AT_ONCE]}
    with st.expander(t("paging_more"), key="expander_paging_more"):  # noqa: SIM117
        with st.grid(4, min_column_width=190):
            values |= {field.name: forms.widget(field, t) for field in PAGING[SEEN_AT_ONCE:]}
    return Talk(**values)  # type: ignore[arg-type]


@lru_cache(maxsize=8)
def _drawn(asked: Scenario, talk: Talk) -> Drawn:
    model = asked.deployment().model
    notes = kvsim.token_notes(model, kv_cache_dtype=asked.kv_cache_dtype)
    chat = kvsim.SmallChat(
        system_tokens=talk.system_tokens,
        question_tokens=talk.question_tokens,
        reply_tokens=talk.reply_tokens,
        rate_per_s=talk.rate_per_step,
        max_tokens=talk.longest_tokens,
    )
    drawn = kvsim.paging(
        kvsim.generate_workload(
            chat.traffic(), num_requests=talk.paging_requests, seed=talk.paging_seed
        ),
        reservation=talk.reservation,
        num_sequences=talk.pool_sequences,
        max_model_len=talk.longest_tokens,
        block_size=BLOCK_SIZE if asked.block_size == AUTO else int(asked.block_size),
        token_bytes=notes.kept_bytes or None,  # None: states alone, which no token adds to
    )
    report = headed(drawn.as_dict(), asked=(asked, talk), seed=talk.paging_seed)
    text = json.dumps(report, allow_nan=False, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode(), BEST)).decode("ascii")
    return Drawn(model=model.name, paging=drawn, report=text, packed=packed)


def _outcome(drawn: kvsim.Paging, t: Text) -> None:
    figures = {
        "requests": f"{len(drawn.requests):,}",
        "steps": f"{drawn.paged.num_steps:,}",
        "reservation": str(drawn.reservation),
    }
    if drawn.num_left:
        done = f"{drawn.contiguous.frames[-1].num_finished:,}"
        words = t("paging_ahead", done=done, left=f"{drawn.num_left:,}", **figures)
    else:
        words = t("paging_even", **figures)
    st.success(words, icon=":material/grid_view:")


def _figures(drawn: kvsim.Paging, t: Text) -> None:
    metrics = {
        "saved": (drawn.most_saved_blocks, t("of_blocks", blocks=f"{drawn.paged.num_blocks:,}")),
        "hits": (drawn.num_hit_tokens, t("of_tokens", tokens=f"{drawn.num_prompt_tokens:,}")),
        "evictions": (drawn.num_evicted, t("of_taken", taken=f"{drawn.num_allocated:,}")),
        "paging_preemptions": (
            drawn.num_preemptions,
            t("of_requests", requests=f"{len(drawn.requests):,}"),
        ),
    }
    with st.grid(4, min_column_width=190):
        for name, (value, below) in metrics.items():
            st.metric(
                t(f"metric_{name}"),
                f"{value:,}",
                below,
                help=t(f"metric_{name}_help"),
                delta_color="off",
                delta_arrow="off",
                border=True,
            )


def _player(drawn: Drawn, t: Text) -> None:
    """The component: its code is the same in every run, its data are the frames."""
    player = st.components.v2.component(
        "kvsim_paging_player",
        html=source("player.html"),
        css=source("controls.css") + source("player.css"),
        js=source("player.js"),
    )
    player(
        key="paging_player",
        data={
            "frames": drawn.packed,
            "start": drawn.paging.busiest_frame,
            "texts": {name: t.template(f"player_{name}") for name in PLAYER},
        },
    )
    st.caption(t("frames_about", stride=f"{drawn.paging.paged.steps_per_frame:,}"))


def _methods(drawn: kvsim.Paging, t: Text) -> None:
    """Six ways to use the same memory."""
    st.subheader(t("methods_title"), anchor=False)
    st.markdown(t("methods_about"))
    methods = drawn.report.methods
    st.plotly_chart(
        paging_charts.methods(methods, t),
        key="paging_methods",
        config=CHART,
        alt=paging_charts.methods_words(methods, t),
    )
    found = {method.method: method for method in methods}
    paged, cached = found["paged"], found["paged-cache"]
    reserved = found[drawn.reservation]
    st.markdown(
        t(
            "methods_said",
            paged=f"{paged.used:.1%}",
            reserved=f"{reserved.used:.1%}",
            reservation=str(drawn.reservation),
            paged_running=f"{paged.batch:.1f}",
            cached_running=f"{cached.batch:.1f}",
            reserved_running=f"{reserved.batch:.1f}",
        )
    )
    header = [t("column_method"), *(t(f"part_{name}") for name in paging_charts.PARTS)]
    rows = [
        (
            t(f"method_{method.method}"),
            *(f"{getattr(method, name):.1%}" for name in paging_charts.PARTS),
            f"{method.batch:.1f}",
        )
        for method in methods
    ]
    with st.expander(t("methods_table")):
        st.markdown(table([*header, t("column_running")], rows))


def _sizes(drawn: Drawn, t: Text) -> None:
    """What the pool weighs with the visitor's model."""
    paging = drawn.paging
    if paging.block_bytes is None or paging.pool_bytes is None:
        return
    st.markdown(
        t(
            "paging_sizes",
            model=inert(drawn.model),
            block=f"{paging.setting.block_size:,}",
            block_size=size(paging.block_bytes),
            blocks=f"{paging.paged.num_blocks:,}",
            pool=size(paging.pool_bytes),
        )
    )
