"""vLLM's figures explained: the memory of a rank, and tokens from blocks."""

from dataclasses import dataclass, replace

from kvsim.analytic.overhead import activation_peak_bytes, cuda_graph_bytes, non_torch_bytes
from kvsim.engines.vllm import VllmCacheLayout, vllm_cache_layout
from kvsim.errors import KvsimError, UnsupportedError
from kvsim.planner.reconciliation import (
    Findings,
    Part,
    fraction,
    numbers,
    printed,
    scaled,
    spread,
    switch,
    text,
    whole_number,
)
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import NEWEST_VLLM, Vllm, parse_version, resolve_vllm
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, OverheadModel, exact
from kvsim.specs.parallel import Parallelism
from kvsim.units import GiB

CONCURRENCY_SINCE = (0, 12)
"""From here on printed tokens are concurrency x longest length; before, blocks per group.

Source: vLLM `_report_kv_cache_config`, v1/core/kv_cache_utils.py, before and after.
"""

WIDER_UTILIZATION = (0, 21)
"""From here on the engine's default is not 0.9 any more; logs without the flag then don't say."""

OLD_UTILIZATION = 0.9
FEW_SEQS, MANY_SEQS = 256, 1024
"""Defaults of max_num_seqs by device: a log without the device's name has one of them."""

FIRST_UNKNOWN_V0 = "0.6.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmFacts:
    """What is known beside the log."""

    model: ModelSpec | None
    accelerator: Accelerator | None
    overheads: OverheadModel


def version_of(log: EngineLog) -> str:
    """The log's version; where it has none, the newest of the generation that prints so."""
    if log.version is not None:
        try:
            parse_version(log.version)
        except KvsimError:
            return NEWEST_VLLM
        return log.version
    return FIRST_UNKNOWN_V0 if "num_cpu_blocks" in log.measured else NEWEST_VLLM


def vllm_settings(log: EngineLog) -> Vllm:
    """The log's settings as kvsim's; a format that the engine resolved comes before `auto`.

    Raises:
        SpecError: for a setting that is impossible.
    """
    kv_dtype = log.measured.get("resolved_kv_cache_dtype")
    drafting = log.settings.get("speculative_config")
    method = drafting.get("method") if isinstance(drafting, dict) else None
    drafted = drafting.get("num_speculative_tokens") if isinstance(drafting, dict) else None
    if drafting is not None and not isinstance(method, str):
        msg = "speculative_config names no method: the draft's share of the cache is not known"
        raise UnsupportedError(msg)
    return Vllm(
        max_model_len=whole_number(log, "max_model_len") or _first(log, "max_model_len"),
        max_num_seqs=whole_number(log, "max_num_seqs"),
        max_num_batched_tokens=whole_number(log, "max_num_batched_tokens"),
        gpu_memory_utilization=fraction(log, "gpu_memory_utilization", OLD_UTILIZATION) or 0.9,
        kv_cache_dtype=_format(str(kv_dtype or text(log, "kv_cache_dtype"))),
        block_size=whole_number(log, "block_size"),
        dtype=_format(str(log.engine_config_differs.get("dtype", text(log, "dtype")))),
        enforce_eager=switch(log, "enforce_eager") or False,
        enable_prefix_caching=switch(log, "enable_prefix_caching"),
        enable_chunked_prefill=switch(log, "enable_chunked_prefill"),
        num_gpu_blocks_override=whole_number(log, "num_gpu_blocks_override"),
        speculative_method=method if isinstance(method, str) else None,
        num_speculative_tokens=drafted if isinstance(drafted, int) else None,
        engine_version=version_of(log),
    )


def vllm_parallel(log: EngineLog) -> Parallelism:
    """The log's degrees of parallelism."""
    return Parallelism(
        tensor_parallel_size=whole_number(log, "tensor_parallel_size", 1) or 1,
        pipeline_parallel_size=whole_number(log, "pipeline_parallel_size", 1) or 1,
        data_parallel_size=whole_number(log, "data_parallel_size", 1) or 1,
        decode_context_parallel_size=whole_number(log, "decode_context_parallel_size", 1) or 1,
        enable_expert_parallel=switch(log, "enable_expert_parallel") or False,
    )


def reconcile_vllm(log: EngineLog, facts: VllmFacts) -> Findings:
    """Every check that the log's figures allow."""
    found = Findings()
    _concurrency(log, found)
    layout = _layout(log, facts, found)
    if layout is not None:
        _tokens(log, layout, found)
        _host_blocks(log, layout, found)
        _refusal(log, layout, found)
    _memory(log, facts, layout, found)
    return found


def _concurrency(log: EngineLog, found: Findings) -> None:
    """Printed tokens against printed concurrency: the same figure, twice."""
    tokens, times = numbers(log, "kv_tokens"), numbers(log, "max_concurrency")
    lengths = numbers(log, "max_model_len")
    if not (tokens and times and len(lengths) == 1 and len(tokens) == len(times)):
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


def _layout(log: EngineLog, facts: VllmFacts, found: Findings) -> VllmCacheLayout | None:
    if facts.model is None:
        found.not_checked.append("tokens: the model is not known")
        return None
    try:
        return vllm_cache_layout(
            replace(facts.model, max_model_len=None),
            vllm_settings(log),
            vllm_parallel(log),
            accelerator=facts.accelerator,
        )
    except KvsimError as error:
        found.not_checked.append(f"tokens: {error}")
        return None


def _first(log: EngineLog, name: str) -> int | None:
    values = numbers(log, name)
    return int(values[0]) if values else None


def _format(name: str) -> str:
    """Torch's and C's names of formats as the flags have them."""
    short = name.removeprefix("torch.")
    known = {"half": "float16", "float": "float32", "float8_e4m3fn": "fp8_e4m3", "fp8": "fp8_e4m3"}
    return known.get(short, short.replace("float8_", "fp8_"))


def _tokens(log: EngineLog, layout: VllmCacheLayout, found: Findings) -> None:
    """Printed tokens or blocks from printed memory, block by block."""
    memory = numbers(log, "kv_cache_gib")
    if not memory:
        return
    least = printed(min(memory), GiB)
    low, best, high = (_pool_tokens(layout, end) for end in (least.low, least.best, least.high))
    predicted = Interval(low, best, high, "predicted from the printed memory")
    note = _token_note(layout, log, is_many=len(memory) > 1)
    if tokens := numbers(log, "kv_tokens"):
        found.predicted["kv_tokens"] = predicted
        if "needed_kv_gib" not in log.measured:
            found.check(
                "tokens from memory",
                "tokens",
                Part(name="printed tokens", value=exact(int(min(tokens)), "printed")),
                [Part(name="blocks of the printed memory, in tokens", value=predicted)],
                note,
            )
    if blocks := numbers(log, "num_gpu_blocks"):
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


def _ordered(low: int, best: int, high: int) -> tuple[int, int, int]:
    return low, best, high


def _pool_tokens(layout: VllmCacheLayout, num_bytes: int) -> int:
    pool = layout.pool(num_bytes)
    if parse_version(layout.engine_version) < CONCURRENCY_SINCE:
        groups = max(1, sum(count for _, count in layout.equal_groups))
        return pool.num_gpu_blocks // groups * pool.block_size
    return pool.kv_cache_tokens


def _token_note(layout: VllmCacheLayout, log: EngineLog, *, is_many: bool) -> str:
    """In words, why the tokens are what they are."""
    groups = sum(count for _, count in layout.equal_groups)
    words = [f"blocks of {layout.block_size} tokens take {layout.block_bytes:,} bytes on a rank"]
    if groups > 1:
        words.append(f"{groups} groups of layers share the blocks")
    padding = layout.sequence(layout.block_size).layers
    if any("padding" in layer.kind for layer in padding):
        words.append("narrower groups are padded to the widest")
    if layout.config.num_null_blocks:
        words.append("one block is the null block, which the printed figure counts")
    copies = {n for n in layout.cache.replicas if n > 1}
    if copies:
        words.append(f"ranks outnumber the KV heads: each head is kept {max(copies)} times")
    if is_many:
        words.append("the rank with the least memory decides for all")
    if "attention_block_size" in log.measured:
        words.append("blocks are as large as a recurrent state's page")
    return "; ".join(words)


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


def _memory(
    log: EngineLog, facts: VllmFacts, layout: VllmCacheLayout | None, found: Findings
) -> None:
    """A rank's share of the device: weights, activation, non-torch, graphs, cache."""
    totals = numbers(log, "total_gpu_gib")
    device = printed(totals[0], GiB) if totals else None
    if device is None and facts.accelerator is not None:
        device = facts.accelerator.total_bytes
    used = fraction(log, "gpu_memory_utilization")
    if used is None and parse_version(version_of(log)) < WIDER_UTILIZATION:
        used = OLD_UTILIZATION
    if device is None or used is None:
        missing = "the device's memory" if device is None else "gpu_memory_utilization"
        found.not_checked.append(f"memory of a rank: {missing} is not known")
        return
    cache = _cache_part(log, layout)
    weights = numbers(log, "weights_gib")
    if cache is None or not weights or "kv_cache_memory_bytes" in log.settings:
        found.not_checked.append("memory of a rank: weights or cache are not printed")
        return
    parts = _taken(log, facts, device, found)
    if parts is None:
        return
    found.check(
        "memory of a rank",
        "bytes",
        Part(name=f"device memory x gpu_memory_utilization={used:g}", value=scaled(device, used)),
        [*parts, cache],
        _memory_note(log),
    )


def _memory_note(log: EngineLog) -> str:
    if "cudagraph_est_gib" in log.measured:
        return "the estimate of the graphs is taken off before the cache; what they took is not"
    if numbers(log, "cudagraph_gib"):
        return "graphs are captured beside this share"
    return ""


def _cache_part(log: EngineLog, layout: VllmCacheLayout | None) -> Part | None:
    if memory := numbers(log, "kv_cache_gib"):
        sizes = [printed(value, GiB) for value in memory]
        return Part(name="cache", value=spread(sizes, "printed"))
    blocks = numbers(log, "num_gpu_blocks")
    if blocks and layout is not None:
        least = int(min(blocks)) * layout.block_bytes
        held = Interval(least, least, least + layout.block_bytes, "printed blocks")
        return Part(name="cache", value=held)
    return None


def _taken(
    log: EngineLog, facts: VllmFacts, device: Interval, found: Findings
) -> list[Part] | None:
    """What the cache's share leaves out, printed where the log has it, else predicted."""
    weights = [printed(value, GiB) for value in numbers(log, "weights_gib")]
    parts = [Part(name="weights", value=spread(weights, "printed"))]
    if consumed := numbers(log, "consumed_gib"):
        value = printed(consumed[0], GiB)
        parts = [Part(name="weights and non-torch", value=value)]
    peaks, outside = numbers(log, "activation_peak_gib"), numbers(log, "non_torch_gib")
    guesses = None
    if not peaks or not (outside or consumed):
        guesses = _guesses(log, facts, device, found)
        if guesses is None:
            return None
    if peaks:
        value = spread([printed(v, GiB) for v in peaks], "printed")
        parts.append(Part(name="activation peak", value=value))
    elif guesses is not None:
        parts.append(Part(name="activation peak", value=guesses["activation_peak_gib"]))
    if outside:
        value = spread([printed(v, GiB) for v in outside], "printed")
        parts.append(Part(name="non-torch", value=value))
    elif not consumed and guesses is not None:
        parts.append(Part(name="non-torch", value=guesses["non_torch_gib"]))
    if not peaks:  # a printed peak contains the estimate
        estimates = numbers(log, "cudagraph_est_gib")
        graphs = printed(estimates[0], GiB) if estimates else (guesses or {}).get("cudagraph_gib")
        if graphs is not None:
            parts.append(Part(name="graphs, estimated", value=graphs))
    return parts


def _guesses(
    log: EngineLog, facts: VllmFacts, device: Interval, found: Findings
) -> dict[str, Interval] | None:
    """Kvsim's intervals for what the log leaves out; recorded as predicted."""
    if facts.model is None:
        found.not_checked.append("memory of a rank: activation peak is not printed")
        return None
    known = facts.accelerator or Accelerator(
        name="as printed",
        vendor="unknown",
        architecture="unknown",
        nominal_bytes=device.best,
        torch_bytes=(device.best,),
    )
    unsure = facts.accelerator is None and whole_number(log, "max_num_seqs") is None
    try:
        engine, parallel = vllm_settings(log), vllm_parallel(log)
        model = replace(facts.model, max_model_len=None)
        options = [FEW_SEQS, MANY_SEQS] if unsure else [engine.max_num_seqs]
        peaks = []
        for seqs in options:
            asked = replace(engine, max_num_seqs=seqs)
            deployment = Deployment(model=model, accelerator=known, engine=asked, parallel=parallel)
            resolved = resolve_vllm(asked, model=model, accelerator=known, parallel=parallel)
            peaks.append(activation_peak_bytes(deployment, resolved, facts.overheads))
    except KvsimError as error:
        found.not_checked.append(f"memory of a rank: {error}")
        return None
    guesses = {
        "activation_peak_gib": spread(peaks, peaks[0].source),
        "non_torch_gib": non_torch_bytes(deployment, facts.overheads),
        "cudagraph_gib": cuda_graph_bytes(deployment, facts.overheads),
    }
    found.predicted |= guesses
    return guesses
