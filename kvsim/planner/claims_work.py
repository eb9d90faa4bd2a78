"""Sentences about work and speed: what a step computes and reads, and how long that takes."""

import math
from collections.abc import Callable
from functools import cache

from kvsim.analytic.answer_cost import AnswerCost, answer_costs
from kvsim.analytic.compute import position_flops
from kvsim.errors import SpecError
from kvsim.planner.claims import Claim, ClaimName, ClaimVerdict, bounded, unknown
from kvsim.planner.machine import Machine, first_where
from kvsim.specs.lessons import Lessons

ALMOST = 1.1
"""What counts as almost the same: a tenth more."""

QUADRATIC = (1.8, 2.2)
"""Exponents that count as quadratic."""


def constant_work(machine: Machine) -> Claim:
    """A token's operations at the context asked, over those of the first."""
    model = machine.evaluation.deployment.model
    context = machine.evaluation.resolved.max_model_len

    def ratio(length: int) -> float:
        first = position_flops(model, 0, 1).flops
        return position_flops(model, length - 1, length).flops / first

    figures = {"context_tokens": context, "growth_ratio": ratio(context)}
    threshold = first_where(lambda n: ratio(n) >= ALMOST)
    return bounded(ClaimName.CONSTANT_WORK, threshold, figures)


def quadratic_to_linear(
    machine: Machine, lessons: Lessons, answers: tuple[AnswerCost, ...]
) -> Claim:
    """Exponents of an answer's operations over its length, from half of it to the whole."""
    _, half, whole = answers
    kept = math.log2(whole.cached_total_flops / half.cached_total_flops)
    again = math.log2(whole.uncached_total_flops / half.uncached_total_flops)
    figures = {
        "output_tokens": whole.num_output_tokens,
        "cached_exponent": kept,
        "uncached_exponent": again,
        "measured_cached_exponent": lessons.cached_exponent,
        "measured_uncached_exponent": lessons.uncached_exponent,
    }
    name = ClaimName.QUADRATIC_TO_LINEAR
    low, high = QUADRATIC
    if not low <= again <= high:
        return Claim(name=name, verdict=ClaimVerdict.FALSE, figures=figures)
    model = machine.evaluation.deployment.model

    def bends(length: int) -> bool:
        once = position_flops(model, 0, length).flops
        return math.log2(position_flops(model, 0, 2 * length).flops / once) >= ALMOST

    return bounded(name, first_where(bends), figures)


def exponential(answers: tuple[AnswerCost, ...]) -> Claim:
    """Whether each doubling of an answer squares the factor of the last, as powers of e would."""
    quarter, half, whole = answers
    last = whole.uncached_total_flops / half.uncached_total_flops
    before = half.uncached_total_flops / quarter.uncached_total_flops
    verdict = ClaimVerdict.TRUE if last >= before**1.5 else ClaimVerdict.FALSE
    figures = {
        "output_tokens": whole.num_output_tokens,
        "doubling_ratio": last,
        "doubling_before_ratio": before,
        "exponential_ratio": before**2,
    }
    return Claim(name=ClaimName.EXPONENTIAL, verdict=verdict, figures=figures)


def stable_speed(machine: Machine) -> Claim:
    """Tokens per second of the requests asked, at their first token and at the context."""
    context = machine.evaluation.resolved.max_model_len
    requests = machine.evaluation.fit.requests_per_replica

    def seconds(length: int) -> float:
        return machine.seconds(machine.decode(length, requests))

    figures = {
        "context_tokens": context,
        "requests": requests,
        "first_tokens_per_s": 1 / seconds(1),
        "last_tokens_per_s": 1 / seconds(context),
    }
    threshold = first_where(lambda n: seconds(n) >= ALMOST * seconds(1))
    return bounded(ClaimName.STABLE_SPEED, threshold, figures)


def memory_bound(machine: Machine) -> Claim:
    """Operations per byte of a decode step, and from how many prompt tokens arithmetic binds."""
    context = machine.evaluation.resolved.max_model_len
    requests = machine.evaluation.fit.requests_per_replica
    ridge = machine.ridge()
    decode = machine.decode(context, requests).intensity
    figures = {
        "context_tokens": context,
        "requests": requests,
        "decode_flops_per_byte": decode,
        "ridge_flops_per_byte": ridge,
    }
    if decode >= ridge:
        return Claim(name=ClaimName.MEMORY_BOUND, verdict=ClaimVerdict.FALSE, figures=figures)
    threshold = first_where(lambda n: machine.prefill(n).intensity >= ridge)
    return bounded(ClaimName.MEMORY_BOUND, threshold, figures)


def work_claims(
    machine: Machine, lessons: Lessons, *, num_prompt_tokens: int, num_output_tokens: int
) -> tuple[Claim, ...]:
    """Every sentence about work; those of which the config or the device tell nothing say so."""
    model = machine.evaluation.deployment.model
    lengths = [max(1, num_output_tokens // part) for part in (4, 2, 1)]

    @cache
    def doubled() -> tuple[AnswerCost, ...]:
        costs = answer_costs(model, num_prompt_tokens=num_prompt_tokens, lengths=lengths)
        by_length = {cost.num_output_tokens: cost for cost in costs}
        return tuple(by_length[length] for length in lengths)

    rules: tuple[tuple[ClaimName, Callable[[], Claim]], ...] = (
        (ClaimName.CONSTANT_WORK, lambda: constant_work(machine)),
        (ClaimName.QUADRATIC_TO_LINEAR, lambda: quadratic_to_linear(machine, lessons, doubled())),
        (ClaimName.EXPONENTIAL, lambda: exponential(doubled())),
        (ClaimName.STABLE_SPEED, lambda: stable_speed(machine)),
        (ClaimName.MEMORY_BOUND, lambda: memory_bound(machine)),
    )
    return tuple(_answered(name, rule) for name, rule in rules)


def _answered(name: ClaimName, rule: Callable[[], Claim]) -> Claim:
    """The claim; not known where the weights or the device's speeds are not."""
    try:
        return rule()
    except SpecError as error:
        return unknown(name, error.words)
