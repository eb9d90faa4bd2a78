"""Page Learn: a path of pictures with the chosen model's numbers, each ending in a sentence."""

from dataclasses import dataclass
from functools import lru_cache

import streamlit as st

import kvsim
from app.i18n import Text
from app.said import said
from app.scenario import STEP, Scenario
from app.text import inert
from app.views import learn_idle, learn_memory, learn_work, tutorial

PROMPT = 16
LENGTHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""The answer that was measured, from its first token on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """All that the page shows of one scenario."""

    plan: kvsim.Plan
    notes: kvsim.TokenNotes
    walk: tuple[kvsim.NoteStep, ...]
    costs: tuple[kvsim.AnswerCost, ...]  # empty where the weights are unknown
    variants: tuple[kvsim.AttentionVariant, ...]
    claims: tuple[kvsim.Claim, ...]
    measured: kvsim.Lessons


def show(asked: Scenario, t: Text) -> None:
    """The page; bad input is explained where the pictures would be."""
    st.subheader(t("learn_title"), anchor=False)
    if asked.is_empty:
        st.info(t("paste_first"), icon=":material/upload_file:")
        return
    try:
        lesson = _lesson(asked)
    except kvsim.KvsimError as error:
        st.error(t("cannot_compute", reason=said(error.words, t)), icon=":material/error:")
        return
    st.markdown(t("learn_about", model=inert(lesson.plan.evaluation.deployment.model.name)))
    learn_work.steps(lesson.notes, lesson.walk, t)
    learn_work.tokens(lesson.notes, t)
    learn_work.phases(lesson.plan, t)
    learn_work.answer(lesson.costs, lesson.measured, t)
    learn_memory.costs(lesson.plan, t)
    learn_memory.heads(lesson.variants, t)
    learn_memory.paging(_claim(lesson, kvsim.ClaimName.PAGING_FILLS), t)
    learn_memory.bits(lesson.plan, lesson.measured, t)
    learn_idle.show(asked, t)
    tutorial.show(lesson.claims, lesson.measured, t)
    st.caption(t("link_hint"))


@lru_cache(maxsize=16)
def _lesson(asked: Scenario) -> Lesson:
    deployment = asked.deployment()
    requests = asked.concurrent_requests
    plan = kvsim.plan(deployment, concurrent_requests=requests)
    model, length = deployment.model, plan.evaluation.resolved.max_model_len
    dtype = asked.kv_cache_dtype
    return Lesson(
        plan=plan,
        notes=kvsim.token_notes(model, kv_cache_dtype=dtype),
        walk=kvsim.note_steps(model, num_steps=STEP.most, kv_cache_dtype=dtype),
        costs=kvsim.answer_costs(model, num_prompt_tokens=PROMPT, lengths=LENGTHS)
        if model.weights
        else (),
        variants=kvsim.attention_variants(model, num_tokens=length, kv_cache_dtype=dtype),
        claims=kvsim.check_claims(deployment, concurrent_requests=requests),
        measured=kvsim.lessons(),
    )


def _claim(lesson: Lesson, name: kvsim.ClaimName) -> kvsim.Claim:
    return next(claim for claim in lesson.claims if claim.name is name)
