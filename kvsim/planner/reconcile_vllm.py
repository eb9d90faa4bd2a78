"""vLLM's figures explained: tokens and blocks from memory."""

from dataclasses import replace

from kvsim.engines.vllm import VllmCacheLayout, vllm_cache_layout
from kvsim.errors import KvsimError, UnsupportedError
from kvsim.message import Message
from kvsim.planner.reconcile_vllm_memory import reconcile_memory
from kvsim.planner.reconciliation import (
    Findings,
    Part,
    left_out,
    numbers,
    printed,
    scaled,
    whole_number,
)
from kvsim.planner.vllm_log import (
    VllmFacts,
    of_any_length,
    version_of,
    vllm_parallel,
    vllm_settings,
)
from kvsim.specs.engine import DEFAULT_BLOCK_SIZE, Vllm, parse_version
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, exact
from kvsim.units import GiB

CONCURRENCY_SINCE = (0, 12)
"""From here on printed tokens are concurrency x longest length; before, blocks per group.

Source: vLLM `_report_kv_cache_config`, v1/core/kv_cache_utils.py, before and after.
"""

KNOWN_DRAFTS = (None, "mtp", "ngram", "ngram_gpu")
"""Drafts whose cache the model's own description decides, or that have none."""

FIRST_LATENT = (0, 7)
"""The first version that caches latents as such."""


def reconcile_vllm(log: EngineLog, facts: VllmFacts) -> Findings:
    """Every check that the log's figures allow."""
    found = Findings()
    layout = _layout(log, facts, found)
    _concurrency(log, layout, found)
    if layout is not None:
        _tokens(log, _stored(log, facts, layout), found)
        _host_blocks(log, layout, found)
        _refusal(log, layout, found)
    reconcile_memory(log, facts, layout, found)
    return found


def _concurrency(log: EngineLog, layout: VllmCacheLayout | None, found: Findings) -> None:
    """Printed tokens against printed concurrency: the same figure, twice.

    Versions that print blocks per group say the same only of one group.
    """
    is_old = parse_version(version_of(log)) < CONCURRENCY_SINCE
    if is_old and (layout is None or _num_groups(layout) > 1):
        return
    tokens, times = numbers(log, "kv_tokens"), numbers(log, "max_concurrency")
    lengths = numbers(log, "max_model_len")
    if not (tokens and times and len(lengths) == 1 and len(tokens) == len(times)):
        return
    if is_old and lengths[0] % DEFAULT_BLOCK_SIZE:
        return
    found.check(
        "tokens and concurrency",
        "tokens",
        Part(name="printed tokens", value=exact(int(min(tokens)), "printed")),
        [
            Part(
                name="concurrency x longest length",
                value=_rounded_down(scaled(printed(min(times), 10**6), lengths[0] / 10**6)),
            )
        ],
    )


def _rounded_down(value: Interval) -> Interval:
    return Interval(value.low - 1, value.best, value.high, value.source)


def _layout(
    log: EngineLog, facts: VllmFacts, found: Findings, *, kv_cache_dtype: str | None = None
) -> VllmCacheLayout | None:
    if facts.model is None:
        found.not_checked.append("tokens: the model is not known")
        return None
    try:
        settings = vllm_settings(log)
        if kv_cache_dtype is not None:
            settings = replace(settings, kv_cache_dtype=kv_cache_dtype)
        _check_rules(settings, facts.model)
        return vllm_cache_layout(
            of_any_length(facts.model),
            settings,
            vllm_parallel(log),
            accelerator=facts.accelerator,
        )
    except KvsimError as error:
        found.not_checked.append(left_out("tokens", error))
        return None


def _check_rules(settings: Vllm, model: ModelSpec) -> None:
    """UnsupportedError where nobody knows what this version, or this draft, stores."""
    if settings.speculative_method not in KNOWN_DRAFTS:
        msg = Message(
            "speculative_config: the layers of a {method} draft are unknown",
            method=settings.speculative_method,
        )
        raise UnsupportedError(msg)
    is_latent = any(isinstance(b, LatentAttention) for g in model.layer_groups for b in g.layer)
    if is_latent and parse_version(settings.engine_version) < FIRST_LATENT:
        msg = Message(
            "vllm {version} expands latents, which is not modeled", version=settings.engine_version
        )
        raise UnsupportedError(msg)


def _num_groups(layout: VllmCacheLayout) -> int:
    return max(1, sum(count for _, count in layout.equal_groups))


def _tokens(log: EngineLog, layout: VllmCacheLayout, found: Findings) -> None:
    """Printed tokens or blocks from printed memory, block by block."""
    memory = numbers(log, "kv_cache_gib")
    if not memory:
        return
    least = _deciding(log, memory)
    note = _token_note(layout, log, is_many=len(memory) > 1)
    if tokens := numbers(log, "kv_tokens"):
        predicted = _token_interval(layout, least, int(min(tokens)))
        found.predicted["kv_tokens"] = predicted
        if "needed_kv_gib" not in log.measured:
            found.check(
                "tokens from memory",
                "tokens",
                Part(name="printed tokens", value=exact(int(min(tokens)), "printed")),
                [Part(name="blocks of the printed memory, in tokens", value=predicted)],
                note,
            )
    if blocks := numbers(log, "num_gpu_blocks") or numbers(log, "initialized_gpu_blocks"):
        ends = (layout.pool(end).num_gpu_blocks for end in (least.low, least.best, least.high))
        held = Interval(*_ordered(*ends), "predicted from the printed memory")
        found.predicted["num_gpu_blocks"] = held
        found.check(
            "blocks from memory",
            "blocks",
            Part(name="printed blocks", value=exact(int(min(blocks)), "printed")),
            [Part(name="whole blocks of the printed memory", value=held)],
            note,
        )


def _deciding(log: EngineLog, memory: list[float]) -> Interval:
    """The memory of the rank that has fewest blocks; stages differ in what a block takes."""
    stages = whole_number(log, "pipeline_parallel_size", 1) or 1
    least = printed(min(memory), GiB)
    if stages == 1:
        return least
    return Interval(least.low, least.best, printed(max(memory), GiB).high, least.source)


def _token_interval(layout: VllmCacheLayout, memory: Interval, shown: int) -> Interval:
    """Tokens of a memory: by the version's rule, or by the other where that is what was shown."""
    is_old = parse_version(layout.engine_version) < CONCURRENCY_SINCE
    rules = (_group_tokens, _request_tokens) if is_old else (_request_tokens, _group_tokens)
    spreads = []
    for rule in rules:
        low, best, high = (rule(layout, end) for end in (memory.low, memory.best, memory.high))
        spreads.append(Interval(low, best, high, "predicted from the printed memory"))
    fitting = [held for held in spreads if held.low <= shown <= held.high]
    return (fitting or spreads)[0]


def _ordered(low: int, best: int, high: int) -> tuple[int, int, int]:
    return low, best, high


def _request_tokens(layout: VllmCacheLayout, num_bytes: int) -> int:
    return layout.pool(num_bytes).kv_cache_tokens


def _group_tokens(layout: VllmCacheLayout, num_bytes: int) -> int:
    pool = layout.pool(num_bytes)
    return pool.num_gpu_blocks // _num_groups(layout) * pool.block_size


def _token_note(layout: VllmCacheLayout, log: EngineLog, *, is_many: bool) -> str:
    """In words, why the tokens are what they are."""
    groups = _num_groups(layout)
    words: list[str] = [
        Message(
            "blocks of {tokens} tokens take {size} bytes on a rank",
            tokens=layout.block_size,
            size=f"{layout.block_bytes:,}",
        )
    ]
    if groups > 1:
        words.append(Message("{groups} groups of layers share the blocks", groups=groups))
    padding = layout.sequence(layout.block_size).layers
    if any("padding" in layer.kind for layer in padding):
        words.append("narrower groups are padded to the widest")
    if layout.config.num_null_blocks:
        words.append("one block is the null block, which the printed figure counts")
    copies = {n for n in layout.cache.replicas if n > 1}
    if copies:
        words.append(
            Message(
                "ranks outnumber the KV heads: each head is kept {copies} times", copies=max(copies)
            )
        )
    if is_many:
        words.append("the rank with the least memory decides for all")
    if "attention_block_size" in log.measured:
        words.append("blocks are as large as a recurrent state's page")
    return Message.of_all(words)


def _stored(log: EngineLog, facts: VllmFacts, layout: VllmCacheLayout) -> VllmCacheLayout:
    """The layout in fp8 where a quantised checkpoint says so: `auto` is its choice, unprinted."""
    tokens, memory = numbers(log, "kv_tokens"), numbers(log, "kv_cache_gib")
    is_open = layout.settings.kv_cache_dtype == "auto" and "quantization" in log.settings
    if not is_open or not tokens or not memory:
        return layout
    shown, least = int(min(tokens)), _deciding(log, memory)
    held = _token_interval(layout, least, shown)
    other = _layout(log, facts, Findings(), kv_cache_dtype="fp8_e4m3")
    if held.low <= shown <= held.high or other is None:
        return layout
    smaller = _token_interval(other, least, shown)
    return other if smaller.low <= shown <= smaller.high else layout


def _host_blocks(log: EngineLog, layout: VllmCacheLayout, found: Findings) -> None:
    """CPU blocks are the swap space in whole blocks: a second, independent reading."""
    blocks, space = numbers(log, "num_cpu_blocks"), log.settings.get("swap_space")
    if not blocks or not isinstance(space, int | float) or not layout.block_bytes:
        return
    held = int(space * GiB) // layout.block_bytes
    found.predicted["num_cpu_blocks"] = exact(held, "swap_space in whole blocks")
    found.check(
        "CPU blocks from swap space",
        "blocks",
        Part(name="printed blocks", value=exact(int(min(blocks)), "printed")),
        [Part(name="whole blocks of swap_space", value=exact(held, "predicted"))],
    )


def _refusal(log: EngineLog, layout: VllmCacheLayout, found: Findings) -> None:
    """What one request of the longest length needs, as the refusal prints it."""
    needed = numbers(log, "needed_kv_gib")
    if not needed:
        return
    pool = layout.pool(printed(min(numbers(log, "kv_cache_gib")), GiB).best)
    bytes_needed = exact(pool.request_blocks * pool.block_bytes, "predicted")
    found.predicted["needed_kv_gib"] = bytes_needed
    found.check(
        "need of one request",
        "bytes",
        Part(name="printed need", value=printed(needed[0], GiB)),
        [Part(name="blocks of the longest request", value=bytes_needed)],
    )
