"""What those who learn ask: other attention, and whether the tutorial is right."""

from kvsim.analytic import token_notes as tokens
from kvsim.analytic import variants
from kvsim.analytic.token_notes import NoteStep, TokenNotes
from kvsim.analytic.variants import AttentionVariant
from kvsim.dtypes import DType, cache_dtype
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
    return variants.attention_variants(
        model, kv_dtype=_cache_dtype(model, kv_cache_dtype), num_tokens=num_tokens
    )


def token_notes(model: ModelSpec, *, kv_cache_dtype: str = "auto") -> TokenNotes:
    """One token as text, as a number, and as what the model keeps of it over all layers.

    Raises:
        SpecError: for an unknown format.

    Example:
        Four characters of English leave 128 KiB of keys and values.

        >>> from kvsim import load_model
        >>> notes = token_notes(load_model("llama-3.1-8b"))
        >>> notes.text_bytes, notes.id_bits, notes.kept_bytes, notes.query_bytes
        (4, 17, 131072, 262144)
    """
    return tokens.token_notes(
        model,
        kv_dtype=_cache_dtype(model, kv_cache_dtype),
        characters_per_token=lessons().characters_per_token,
    )


def note_steps(
    model: ModelSpec, *, num_steps: int, kv_cache_dtype: str = "auto"
) -> tuple[NoteStep, ...]:
    """A sentence token by token: what each step computes and looks up, and the notes after it.

    Args:
        model: what `load_model` returned.
        num_steps: tokens of the sentence.
        kv_cache_dtype: the cache's format.

    Raises:
        SpecError: for an unknown format, or less than one step.

    Example:
        >>> from kvsim import load_model
        >>> last = note_steps(load_model("llama-3.1-8b"), num_steps=8)[-1]
        >>> last.num_looked_up, last.total_cached, last.total_uncached, last.kept_bytes
        (7, 8, 36, 1048576)
    """
    return tokens.note_steps(
        model, kv_dtype=_cache_dtype(model, kv_cache_dtype), num_steps=num_steps
    )


def _cache_dtype(model: ModelSpec, name: str) -> DType:
    return model.dtype if name == "auto" else cache_dtype(name)
