"""A tutorial's sentences put to one deployment, in order."""

from kvsim.analytic.variants import attention_variants
from kvsim.planner.claims import Claim, ClaimName, ClaimVerdict
from kvsim.planner.claims_memory import memory_claims
from kvsim.planner.claims_work import work_claims
from kvsim.planner.machine import Machine
from kvsim.planner.plan import Evaluation, deployment_dtype
from kvsim.specs.attention import check_positive
from kvsim.specs.lessons import Lessons


def check_claims(
    evaluation: Evaluation, lessons: Lessons, *, num_prompt_tokens: int, num_output_tokens: int
) -> tuple[Claim, ...]:
    """Every sentence of `ClaimName`, with this deployment's figures and a verdict.

    Raises:
        SpecError: for less than one token.
    """
    check_positive(num_prompt_tokens=num_prompt_tokens, num_output_tokens=num_output_tokens)
    machine = Machine(evaluation=evaluation)
    variants = attention_variants(
        evaluation.deployment.model,
        kv_dtype=deployment_dtype(evaluation.deployment),
        num_tokens=evaluation.resolved.max_model_len,
    )
    claims = (
        same_answer(lessons),
        *work_claims(
            machine,
            lessons,
            num_prompt_tokens=num_prompt_tokens,
            num_output_tokens=num_output_tokens,
        ),
        *memory_claims(
            machine, variants, lessons, num_tokens=num_prompt_tokens + num_output_tokens
        ),
    )
    order = list(ClaimName)
    return tuple(sorted(claims, key=lambda claim: order.index(claim.name)))


def same_answer(lessons: Lessons) -> Claim:
    """Whether measured answers had the same tokens, and how much longer the longest took."""
    longest = max(row.num_output_tokens for row in lessons.answers)
    seconds = {
        row.uses_cache: row.total_s for row in lessons.answers if row.num_output_tokens == longest
    }
    return Claim(
        name=ClaimName.SAME_ANSWER,
        verdict=ClaimVerdict.TRUE if lessons.identical_tokens else ClaimVerdict.FALSE,
        figures={
            "output_tokens": longest,
            "cached_s": seconds[True],
            "uncached_s": seconds[False],
            "slower_ratio": seconds[False] / seconds[True],
        },
    )
