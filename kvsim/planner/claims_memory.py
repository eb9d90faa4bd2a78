"""Sentences about memory: what a cache takes, what heads, blocks and bits make of it."""

from collections.abc import Iterable

from kvsim.analytic.variants import AttentionVariant, VariantName, attention_heads
from kvsim.dtypes import cache_dtype
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.planner.claims import Claim, ClaimName, ClaimVerdict, unknown
from kvsim.planner.claims_work import ALMOST
from kvsim.planner.machine import Machine, first_where
from kvsim.planner.plan import deployment_dtype
from kvsim.specs.lessons import HeadScores, Lessons

TENS = (20, 100)
"""One of how many parts counts as a few tens of a part."""

ALMOST_FULL = 0.95
"""Share that counts as almost all."""

HARDLY = 0.99
"""Agreement or score, relative to the whole, that counts as hardly hurt."""

SAMPLES = 16
"""Lengths over which the rounding of a block is averaged."""

EIGHT_BITS, FOUR_BITS = "int8_per_token_head", "int4_per_token_head"


def outgrows_weights(machine: Machine) -> Claim:
    """From how many tokens each the asked requests' cache is larger than the weights."""
    e = machine.evaluation
    requests, context = e.fit.requests_per_replica, e.resolved.max_model_len
    weights = machine.weights_bytes

    def share(length: int) -> float:
        return requests * machine.cache_bytes(length) / weights

    figures = {
        "context_tokens": context,
        "requests": requests,
        "cache_of_weights": share(context),
        "weights_bytes": weights,
    }
    longest = max(context, e.deployment.model.max_model_len or 0)
    threshold = first_where(lambda n: share(n) > 1, limit=longest)
    name = ClaimName.OUTGROWS_WEIGHTS
    if threshold is None:
        return Claim(name=name, verdict=ClaimVerdict.FALSE, figures=figures)
    return Claim(
        name=name, verdict=ClaimVerdict.TRUE_FROM, threshold_tokens=threshold, figures=figures
    )


def head_claims(
    machine: Machine, variants: Iterable[AttentionVariant], lessons: Lessons
) -> tuple[Claim, Claim]:
    """What one key-value head, and what some, make of the cache of a head each."""
    heads = attention_heads(machine.evaluation.deployment.model)
    if heads is None:
        reason = "no layer of this model keeps keys and values by heads"
        names = (ClaimName.MQA_SAVES, ClaimName.GQA_KEEPS_QUALITY)
        return unknown(names[0], reason), unknown(names[1], reason)
    held = {variant.name: variant for variant in variants}
    mha, gqa, mqa = (held[name] for name in (VariantName.MHA, VariantName.GQA, VariantName.MQA))
    return _mqa(mha, mqa), _gqa(mha, gqa, lessons.heads)


def _mqa(mha: AttentionVariant, mqa: AttentionVariant) -> Claim:
    parts = mha.total_bytes / mqa.total_bytes
    low, high = TENS
    return Claim(
        name=ClaimName.MQA_SAVES,
        verdict=ClaimVerdict.TRUE if low <= parts < high else ClaimVerdict.FALSE,
        figures={
            "parts": parts,
            "attention_heads": mha.num_kv_heads or 0,
            "mha_bytes": mha.total_bytes,
            "mqa_bytes": mqa.total_bytes,
        },
    )


def _gqa(mha: AttentionVariant, grouped: AttentionVariant, scores: HeadScores) -> Claim:
    parts = mha.total_bytes / grouped.total_bytes
    holds = parts >= ALMOST and scores.gqa / scores.mha >= HARDLY
    return Claim(
        name=ClaimName.GQA_KEEPS_QUALITY,
        verdict=ClaimVerdict.TRUE if holds else ClaimVerdict.FALSE,
        figures={
            "parts": parts,
            "kv_heads": grouped.num_kv_heads or 0,
            "attention_heads": mha.num_kv_heads or 0,
            "mha_score": scores.mha,
            "gqa_score": scores.gqa,
            "mqa_score": scores.mqa,
        },
    )


def paging_fills(machine: Machine, *, num_tokens: int) -> Claim:
    """The share of a request's blocks that attention reads, rounding averaged over a block."""
    e = machine.evaluation
    context, parallel = e.resolved.max_model_len, e.deployment.parallel
    if parallel.pipeline_parallel_size > 1 or parallel.decode_context_parallel_size > 1:
        return unknown(ClaimName.PAGING_FILLS, "a rank holds a part of the layers or tokens")
    ranks = parallel.tensor_parallel_size

    def share(length: int) -> float:
        step = max(1, e.layout.block_size // SAMPLES)
        lengths = [length + i * step for i in range(SAMPLES)]
        read = sum(machine.cache_bytes(n, tensor_parallel_size=ranks) for n in lengths)
        return read / max(1, sum(e.layout.sequence(n).total_bytes for n in lengths))

    figures = {
        "request_tokens": num_tokens,
        "context_tokens": context,
        "block_tokens": e.layout.block_size,
        "paged_share": share(num_tokens),
        "reserved_share": min(1.0, num_tokens / context),
    }
    threshold = first_where(lambda n: share(n) >= ALMOST_FULL, limit=max(context, num_tokens))
    verdict = ClaimVerdict.FALSE if threshold is None else ClaimVerdict.TRUE_FROM
    return Claim(
        name=ClaimName.PAGING_FILLS, verdict=verdict, threshold_tokens=threshold, figures=figures
    )


def paging_speeds(machine: Machine, *, num_tokens: int) -> Claim:
    """Tokens per second of as many requests as fit, reserving the context and paging."""
    e = machine.evaluation
    context, memory = e.resolved.max_model_len, max(0, e.budget.kv_cache_bytes.best)
    name = ClaimName.PAGING_SPEEDS
    most = e.resolved.max_num_seqs
    length = min(num_tokens, context)
    reserved = min(most, memory // max(1, e.layout.sequence(context).total_bytes))
    paged = min(most, memory // max(1, e.layout.sequence(length).total_bytes))
    if not e.deployment.model.weights:
        return unknown(
            name,
            Message(
                "the weights are unknown: {why}", why=e.deployment.model.why_weights_are_unknown
            ),
        )
    if not reserved:
        return unknown(name, "not one request of max_model_len fits")
    try:
        rates = [n / machine.seconds(machine.decode(length, n)) for n in (reserved, paged)]
    except SpecError as error:
        return unknown(name, error.words)
    figures = {
        "request_tokens": length,
        "context_tokens": context,
        "reserved_requests": reserved,
        "paged_requests": paged,
        "limit_requests": most,
        "throughput_ratio": rates[1] / rates[0],
    }
    verdict = ClaimVerdict.TRUE if rates[1] >= ALMOST * rates[0] else ClaimVerdict.FALSE
    return Claim(name=name, verdict=verdict, figures=figures)


def quantising(machine: Machine, lessons: Lessons) -> tuple[Claim, Claim]:
    """What 8 and 4 bits save of this model's 16, scales counted; what formats lost, measured."""
    e = machine.evaluation
    context = e.resolved.max_model_len
    own = deployment_dtype(e.deployment)
    whole = machine.cache_bytes(context, kv_dtype=own)
    saved = {
        bits: 1 - machine.cache_bytes(context, kv_dtype=cache_dtype(name)) / whole
        for bits, name in ((8, EIGHT_BITS), (4, FOUR_BITS))
    }
    verdicts = {(True, True): ClaimVerdict.TRUE, (False, True): ClaimVerdict.PARTLY}
    halves = verdicts.get((saved[8] > 0.5, saved[4] > 0.5), ClaimVerdict.FALSE)
    agreement = {row.name: row.top1_agreement for row in lessons.formats if row.saved}
    hurt = [share < HARDLY for share in agreement.values()]
    harmless = ClaimVerdict.PARTLY if any(hurt) else ClaimVerdict.TRUE
    return (
        Claim(
            name=ClaimName.QUANTISING_HALVES,
            verdict=halves,
            figures={
                "context_tokens": context,
                "saved_at_8_bits": saved[8],
                "saved_at_4_bits": saved[4],
            },
        ),
        Claim(
            name=ClaimName.QUANTISING_HARMLESS,
            verdict=ClaimVerdict.FALSE if all(hurt) else harmless,
            figures={
                f"{name}_agreement": agreement[name]
                for name in ("fp8_e4m3", "int8", "int4", "int2")
            },
        ),
    )


def memory_claims(
    machine: Machine,
    variants: Iterable[AttentionVariant],
    lessons: Lessons,
    *,
    num_tokens: int,
) -> tuple[Claim, ...]:
    """Every sentence about memory, of requests of so many tokens where one needs a length."""
    return (
        outgrows_weights(machine),
        *head_claims(machine, variants, lessons),
        paging_fills(machine, num_tokens=num_tokens),
        paging_speeds(machine, num_tokens=num_tokens),
        *quantising(machine, lessons),
    )
