"""Page Log: a start-up log's figures, what makes them up, and what to change.

What comes from the log is shown as text, code or cells, never as markup, and is not in the address.
"""

import streamlit as st

import kvsim
from app import forms, scenario
from app.example_log import EXAMPLE
from app.i18n import Text
from app.said import said, words_of
from app.scenario import AUTO, MAX_LOG_BYTES, Scenario
from app.text import between, gib, inert, table

LOG, UPLOAD = "log_text", "log_upload"
STARTED, CUT = "started", "incomplete"
OUTCOMES = (STARTED, "refused", "oom_start", "oom_run", "crash_other", CUT)
PRINTED = "printed"


def show(_asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the answer would be."""
    st.subheader(t("log_title"), anchor=False)
    given = _given(t)
    with st.grid(2, min_column_width=260):
        model, gpu = (str(forms.widget(field, t)) for field in scenario.LOG)
    if not given.strip():
        st.info(t("log_first"), icon=":material/content_paste:")
        st.button(t("log_example"), key="log_example", on_click=_fill, icon=":material/draft:")
        return
    try:
        explained = _explain(given, model, gpu)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    _outcome(explained, t)
    _advice(explained, t)
    _checks(explained, t)
    _not_checked(explained, t)
    _read(explained.log, t)
    _not_understood(explained.log, t)


def _given(t: Text) -> str:
    """The visitor's log, pasted or uploaded; a pasted one comes first."""
    pasted = st.text_area(
        t("label_log"),
        key=LOG,
        height=200,
        placeholder="INFO ... vLLM API server version ...",
        persist_state="session",
    )
    uploaded = st.file_uploader(
        t("label_upload"), type=["txt", "log"], max_upload_size=forms.UPLOAD_MB, key=UPLOAD
    )
    st.caption(t("log_about"))
    if pasted or uploaded is None:
        return pasted or ""
    return uploaded.getvalue().decode("utf-8-sig", "replace")


def _fill() -> None:
    st.session_state[LOG] = EXAMPLE


def _explain(given: str, model: str, gpu: str) -> kvsim.ExplainedLog:
    """The log as bytes, so that no text is ever taken for a file's name."""
    log = given.encode("utf-8", "replace")
    if len(log) > MAX_LOG_BYTES:
        msg = kvsim.Message("log must be <= {most} bytes here", most=f"{MAX_LOG_BYTES:,}")
        raise kvsim.FileError(msg)
    return kvsim.explain_log(
        log,
        model=None if model == AUTO else kvsim.load_model(model),
        accelerator=None if gpu == AUTO else kvsim.accelerator(gpu),
    )


def _outcome(explained: kvsim.ExplainedLog, t: Text) -> None:
    log = explained.log
    unknown = t("log_not_said")
    st.text(
        t(
            "log_read",
            engine=log.engine,
            version=log.version or unknown,
            model=log.model or unknown,
            taken=explained.model or unknown,
            gpu=explained.gpu or log.gpu or unknown,
        )
    )
    words = t(f"outcome_{log.outcome}")
    if log.outcome == STARTED:
        st.success(words, icon=":material/check_circle:")
    elif log.outcome == CUT:
        st.info(words, icon=":material/info:")
    else:
        st.warning(words, icon=":material/warning:")
    for each in explained.asks:
        st.text(t("log_asks", ask=words_of(each, t)))


def _advice(explained: kvsim.ExplainedLog, t: Text) -> None:
    if not explained.advice:
        return
    st.subheader(t("log_advice"), anchor=False)
    lines = [
        t(
            "log_advised",
            knob=inert(words_of(each.knob, t)),
            change=inert(words_of(each.change, t)),
            why=said(each.why, t),
        )
        for each in explained.advice
    ]
    st.markdown("\n".join(lines))


def _checks(explained: kvsim.ExplainedLog, t: Text) -> None:
    if not explained.checks:
        return
    st.subheader(t("log_checks"), anchor=False)
    st.markdown(t("log_checks_about"))
    memory_first = sorted(explained.checks, key=lambda check: check.unit != "bytes")
    for check in memory_first:
        verdict = t("log_explained" if check.is_explained else "log_unexplained")
        st.markdown(t("log_check", name=said(check.name, t), verdict=verdict))
        whole, *parts = (
            (said(part.name, t), *_cells(part.value, check.unit), _source(part.value, t))
            for part in (check.whole, *check.parts)
        )
        rest = (t("log_left_over"), *_cells(check.remainder, check.unit), "")
        header = [t("log_column_part"), t(f"column_in_{check.unit}"), t("column_low_high")]
        st.markdown(table([*header, t("column_source")], [*parts, rest, whole], words=1))
        if check.note:
            st.caption(said(check.note, t))


def _cells(value: kvsim.Interval, unit: str) -> tuple[str, str]:
    """The likely value, and the range that it lies in where there is one."""
    shown = gib if unit == "bytes" else "{:,}".format
    ends = "" if value.low == value.high else between(shown(value.low), shown(value.high))
    return shown(value.best), ends


def _source(value: kvsim.Interval, t: Text) -> str:
    return t("log_printed" if value.source == PRINTED else "log_predicted")


def _not_checked(explained: kvsim.ExplainedLog, t: Text) -> None:
    for each in explained.not_checked:
        st.text(t("log_not_checked", reason=words_of(each, t)))


def _read(log: kvsim.EngineLog, t: Text) -> None:
    """Settings and figures as cells."""
    values = {**log.settings, **log.measured}
    with st.expander(t("log_settings", settings=len(values))):
        st.dataframe(
            {
                t("column_name"): list(values),
                t("column_value"): [str(value) for value in values.values()],
                t("column_line"): [log.lines.get(name) for name in values],
            },
            hide_index=True,
            alt=t("log_settings_alt"),
        )


def _not_understood(log: kvsim.EngineLog, t: Text) -> None:
    if log.not_understood:
        with st.expander(t("log_not_understood", lines=len(log.not_understood))):
            st.code("\n".join(log.not_understood), language=None, wrap_lines=True)
