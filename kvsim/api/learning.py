"""What those who learn ask: other attention, and whether the tutorial is right."""

from kvsim.analytic import variants
from kvsim.analytic.variants import AttentionVariant
from kvsim.dtypes import cache_dtype
from kvsim.io.lessons import lessons
from kvsim.io.overheads import overhead_model
from kvsim.planner import check_claims as claims
from kvsim.planner.claims import Claim
from kvsim.planner.plan import evaluate
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.model import ModelSpec


def check_claims(
    deployment: Deployment,
    *,
    concurrent_requests: int = 1,
    num_prompt_tokens: int = 16,
    num_output_tokens: int = 512,
) -> tuple[Claim, ...]:
    """What tutorials say of caches, each with this deployment's figures and a verdict.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        concurrent_requests: requests of `max_model_len` tokens, where a sentence is about many.
        num_prompt_tokens: of the answer whose cost is followed, and of a usual request.
        num_output_tokens: of the same; the defaults are those of the measured answers.

    Raises:
        SpecError: for settings that no real system can have.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> claims = check_claims(Deployment(model=load_model("llama-3.1-8b"), accelerator=h100))
        >>> [str(claim.verdict) for claim in claims if claim.name.startswith("without a cache")]
        ['false']
    """
    coefficients = overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    evaluation = evaluate(deployment, coefficients, concurrent_requests=concurrent_requests)
    return claims.check_claims(
        evaluation,
        lessons(),
        num_prompt_tokens=num_prompt_tokens,
        num_output_tokens=num_output_tokens,
    )


def attention_variants(
    model: ModelSpec, *, num_tokens: int, kv_cache_dtype: str = "auto"
) -> tuple[AttentionVariant, ...]:
    """One sequence's cache, were every attention layer MHA, GQA, MQA, MLA, a window or a state.

    The model's own comes last, and alone where it has no heads that could be changed.

    Raises:
        SpecError: for an unknown format.

    Example:
        >>> from kvsim import load_model
        >>> first, *_ = attention_variants(load_model("llama-3.1-8b"), num_tokens=8192)
        >>> str(first.name), first.total_bytes
        ('mha', 4294967296)
    """
    kv_dtype = model.dtype if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype)
    return variants.attention_variants(model, kv_dtype=kv_dtype, num_tokens=num_tokens)
