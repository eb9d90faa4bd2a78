"""The verdict: whether it fits, what it needs and has, and why not."""

from collections.abc import Iterable

import streamlit as st

import kvsim
from app.i18n import Text
from app.text import gib, inert

VERDICTS = {
    kvsim.Verdict.FITS: ("verdict_fits", ":material/check_circle:", st.success),
    kvsim.Verdict.TIGHT: ("verdict_tight", ":material/warning:", st.warning),
    kvsim.Verdict.DOES_NOT_FIT: ("verdict_does_not_fit", ":material/cancel:", st.error),
}


def show(
    verdict: kvsim.Verdict,
    deployment: kvsim.Deployment,
    *,
    requests: int,
    length: int,
    sentences: Iterable[str],
    t: Text,
) -> None:
    """A word and an icon, the sentences, and what was asked."""
    key, icon, alert = VERDICTS[verdict]
    asked = t(
        "asked",
        requests=f"{requests:,}",
        length=f"{length:,}",
        model=inert(deployment.model.name),
        num_gpus=deployment.parallel.num_ranks,
        gpu=inert(deployment.accelerator.name),
    )
    alert(f"## {icon} {t(key)}\n\n{t('between_sentences').join(sentences)}\n\n{asked}")


def needs(needed_bytes: int, available_bytes: int, t: Text) -> list[str]:
    """What the cache needs and has on the GPU that has least to spare, and what lacks."""
    key = "needs_has" if available_bytes > 0 else "needs_none"
    sentences = [t(key, needed=gib(needed_bytes), available=gib(available_bytes))]
    if needed_bytes > available_bytes:
        sentences.append(t("missing", missing=gib(needed_bytes - available_bytes)))
    return sentences
