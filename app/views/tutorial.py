"""The close of page Learn: sentences of the usual tutorial, each with a number and a verdict."""

from collections.abc import Sequence

import streamlit as st

import kvsim
from app.i18n import Text
from app.said import said
from app.text import seconds, size

ICONS = {
    kvsim.ClaimVerdict.TRUE: ("green", ":material/check_circle:"),
    kvsim.ClaimVerdict.TRUE_BELOW: ("blue", ":material/vertical_align_bottom:"),
    kvsim.ClaimVerdict.TRUE_FROM: ("blue", ":material/vertical_align_top:"),
    kvsim.ClaimVerdict.PARTLY: ("orange", ":material/contrast:"),
    kvsim.ClaimVerdict.FALSE: ("red", ":material/cancel:"),
    kvsim.ClaimVerdict.UNKNOWN: ("gray", ":material/help:"),
}


def show(claims: Sequence[kvsim.Claim], measured: kvsim.Lessons, t: Text) -> None:
    """A card per sentence: what is said, the verdict, this model's number."""
    st.subheader(t("tutorial_title"), anchor=False)
    st.markdown(t("tutorial_about"))
    for claim in claims:
        key = claim.name.name.lower()
        with st.container(border=True, gap="xsmall"):
            st.markdown(f"**{t(f'claim_{key}')}** {badge(claim, t)}")
            st.markdown(claim_words(claim, t))
    st.caption(t("tutorial_scores", source=said(measured.heads.source, t)))


def badge(claim: kvsim.Claim, t: Text) -> str:
    """The verdict: a word and a sign, never a colour alone."""
    color, icon = ICONS[claim.verdict]
    tokens = "" if claim.threshold_tokens is None else f"{claim.threshold_tokens:,}"
    word = t(f"claimed_{claim.verdict.name.lower()}", tokens=tokens)
    return f":{color}-badge[{icon} {word}]"


def claim_words(claim: kvsim.Claim, t: Text) -> str:
    """The figures in a sentence, or why there are none."""
    if claim.verdict is kvsim.ClaimVerdict.UNKNOWN:
        return said(claim.reason or "", t)
    figures = {name: figure(name, value) for name, value in claim.figures.items()}
    return t(f"said_{claim.name.name.lower()}", **figures)


def figure(name: str, value: float) -> str:
    """A figure as its name's unit asks."""
    if name.endswith("_bytes"):
        return size(int(value))
    if name.endswith(("_share", "_agreement", "_of_weights")) or name.startswith("saved_"):
        return f"{value:.1%}"
    if name.endswith("_per_s"):
        return f"{value:,.0f}"
    if name.endswith(("_exponent", "_ratio")):
        return f"{value:.2f}"
    if name.endswith("_s"):
        return seconds(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}".removesuffix(".0")
