"""What to change: buttons that apply a change, what it brings and what it costs."""

from collections.abc import Iterable, Mapping

import streamlit as st

import kvsim
from app import forms
from app.engine_fields import FIX_INPUTS
from app.i18n import Text


def show(plan: kvsim.Plan, t: Text) -> None:
    """Of a plan under vLLM: single changes or two that make it fit, else those that hold more."""
    if plan.fits:
        more_users(plan.more_users, t)
    elif plan.pair is not None:
        _pair(plan.pair, t)
    else:
        fixes(plan.fixes, kvsim.EngineName.VLLM, t)


def fixes(found: Iterable[kvsim.Fix], engine: kvsim.EngineName, t: Text) -> None:
    """Single changes that make it fit, one below the other; or that there is none."""
    found = tuple(found)
    if not found:
        st.info(t("no_fix"), icon=":material/lightbulb:")
        return
    st.subheader(t("fixes"), anchor=False)
    for fix in found:
        _button(fix, dict.fromkeys(_inputs(engine, fix.setting), fix.value), t)


def more_users(found: Iterable[kvsim.Fix], t: Text) -> None:
    """Single changes after which more requests fit; folded away, as nothing lacks."""
    if found := tuple(found):
        with st.expander(t("more_users")):
            for fix in found:
                _button(fix, {fix.setting: fix.value}, t)


def _pair(pair: kvsim.FixPair, t: Text) -> None:
    """Two changes that make it fit where no single one does, as one button."""
    st.subheader(t("fix_pair"), anchor=False)
    first, then = pair.first_setting, pair.then.setting
    changes = {first: pair.first_value, then: pair.then.value}
    costs = t("between_costs").join(dict.fromkeys(t(f"cost_{name}") for name in changes))
    _row(pair.then, changes, " + ".join(f"{n}={v}" for n, v in changes.items()), costs, t)


def _button(fix: kvsim.Fix, changes: Mapping[str, str], t: Text) -> None:
    cost = t(f"cost_{next(iter(changes))}")
    _row(fix, changes, f"{fix.setting}={fix.value}", cost, t)


def _row(fix: kvsim.Fix, changes: Mapping[str, str], label: str, cost: str, t: Text) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            label,
            key=f"fix_{'_'.join(changes)}",
            on_click=forms.apply,
            args=(changes,),
            icon=":material/build:",
        )
        gives = t("fix_gives", requests=f"{fix.max_requests:,}", tokens=f"{fix.kv_cache_tokens:,}")
        gpus = t("fix_gpus", num_gpus=fix.num_gpus) if fix.num_gpus > 1 else ""
        st.markdown(" · ".join(filter(None, (gives, gpus, cost))))


def _inputs(engine: kvsim.EngineName, setting: str) -> tuple[str, ...]:
    return FIX_INPUTS.get((engine, setting), (setting,))
