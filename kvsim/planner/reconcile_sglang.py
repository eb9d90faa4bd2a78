"""SGLang's figures explained: what is free at each stage, and the size of each pool."""

from dataclasses import replace

from kvsim.engines.sglang import SglangLayout, sglang_layout
from kvsim.engines.sglang_pools import REQUEST_ENTRY_BYTES, REQUEST_ROW_EXTRA_TOKENS
from kvsim.errors import KvsimError
from kvsim.message import Message
from kvsim.planner.reconciliation import (
    Findings,
    Part,
    fraction,
    left_out,
    numbers,
    printed,
    scaled,
    switch,
    text,
    whole_number,
)
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, exact
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import NEWEST_SGLANG, Sglang
from kvsim.units import GiB, MiB

SLACK_BYTES = (-256 * MiB, 64 * MiB, 1024 * MiB)
"""Free lists and the allocator's rounding of every layer's buffers; what loading gave back.

Source: torch's rule of 2 MiB per buffer above 10 MiB, two buffers a layer, up to 160 layers; seven
logs show 0.00 to 0.12 GiB.
"""

BASELINE_BYTES = GiB // 2
"""Most that is set up between the engine's reading of what is free and the load's."""

KNOWN_FP8 = {"fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2", "fp8": "fp8_e4m3"}


def reconcile_sglang(log: EngineLog, model: ModelSpec | None) -> Findings:
    """Every check that the log's figures allow."""
    found = Findings()
    _loading(log, found)
    layout = _layout(log, model, found)
    if layout is not None:
        _pools(log, layout, found)
        _budget(log, layout, found)
    _after_pools(log, found)
    return found


def _loading(log: EngineLog, found: Findings) -> None:
    """Free before and after each model's weights."""
    before, after = numbers(log, "avail_before_gib"), numbers(log, "avail_after_weights_gib")
    weights = numbers(log, "weights_gib")
    if not weights or not len(before) == len(after) == len(weights):
        return
    for i, size in enumerate(weights):
        found.check(
            "loading" if i == 0 else "loading the draft",
            "bytes",
            Part(name="free before", value=printed(before[i], GiB)),
            [
                Part(name="weights", value=printed(size, GiB)),
                Part(name="free after", value=printed(after[i], GiB)),
            ],
        )


def _layout(log: EngineLog, model: ModelSpec | None, found: Findings) -> SglangLayout | None:
    if model is None:
        found.not_checked.append("pools: the model is not known")
        return None
    if (whole_number(log, "pp_size", 1) or 1) > 1:
        found.not_checked.append("pools: which stage's they are is not printed")
        return None
    try:
        return sglang_layout(
            replace(model, max_model_len=None),
            sglang_settings(log),
            Parallelism(tensor_parallel_size=whole_number(log, "tp_size", 1) or 1),
        )
    except KvsimError as error:
        found.not_checked.append(left_out("pools", error))
        return None


def sglang_settings(log: EngineLog) -> Sglang:
    """The log's settings as kvsim's.

    Raises:
        SpecError: for a setting that is impossible.
    """
    resolved = log.measured.get("resolved_kv_cache_dtype")
    named = text(log, "kv_cache_dtype")
    if named == "auto" and isinstance(resolved, str) and "float8" in resolved:
        named = resolved.removeprefix("torch.").removesuffix("fn").replace("float8", "fp8")
    share = fraction(log, "mem_fraction_static")
    ratio = fraction(log, "swa_full_tokens_ratio", 0.8)
    return Sglang(
        mem_fraction_static=share,
        page_size=whole_number(log, "page_size"),
        kv_cache_dtype=KNOWN_FP8.get(named, named),
        dtype=text(log, "dtype"),
        attention_backend=text(log, "attention_backend", "") or None,
        swa_full_tokens_ratio=ratio or 0.8,
        dp_size=whole_number(log, "dp_size", 1) or 1,
        enable_dp_attention=switch(log, "enable_dp_attention") or False,
        disable_radix_cache=switch(log, "disable_radix_cache") or False,
        engine_version=log.version or NEWEST_SGLANG,
    )


def _pools(log: EngineLog, layout: SglangLayout, found: Findings) -> None:
    """Printed pools from printed tokens: one page more than announced."""
    tokens = numbers(log, "kv_tokens") or numbers(log, "max_total_num_tokens")
    if not tokens:
        return
    windowed = bool(layout.window_cells)
    if windowed and len(tokens) < 2:
        return
    full = tokens[1] if windowed else tokens[0]
    held = layout.buffers(tokens=int(full), window_tokens=int(tokens[0]) if windowed else 0)
    names = ("k_size_gib", "v_size_gib", "kv_size_gib")
    keys, values, both = (numbers(log, name) for name in names)
    if both:
        latent = held.key_bytes + held.value_bytes + held.index_bytes
        _pool(found, "cache pool", both[0], latent)
        return
    if not windowed and keys and values:
        _pool(found, "pool of keys", keys[0], held.key_bytes)
        _pool(found, "pool of values", values[0], held.value_bytes)
    elif windowed and keys:
        _pool(found, "window pool of keys", keys[0], held.window_key_bytes)
        _pool(found, "full pool of keys", keys[1 % len(keys)], held.key_bytes)


def _pool(found: Findings, name: str, size: float, predicted: int) -> None:
    value = exact(predicted, "tokens and one page, at the layers' width")
    found.predicted[name.replace(" ", "_")] = value
    found.check(
        name,
        "bytes",
        Part(name="printed size", value=printed(size, GiB)),
        [Part(name="tokens x layers x width", value=value)],
    )


def _budget(log: EngineLog, layout: SglangLayout, found: Findings) -> None:
    """Tokens from what is free: after the weights, less the share that stays free."""
    before, after = numbers(log, "avail_before_gib"), numbers(log, "avail_after_weights_gib")
    share = fraction(log, "mem_fraction_static")
    tokens = numbers(log, "max_total_num_tokens") or numbers(log, "kv_tokens")
    is_plain = not layout.window_cells and not layout.slot.count
    if not (before and after and share and tokens and is_plain):
        found.not_checked.append("tokens: the budget's figures or its rule are not known")
        return
    if "speculative_algorithm" in log.settings or layout.is_multimodal:
        found.not_checked.append("tokens: what a draft or images reserve is not printed")
        return
    is_split = text(log, "disaggregation_mode", "null") != "null"
    if is_split or "max_total_tokens" in log.settings or text(log, "attention_backend") == "aiter":
        found.not_checked.append("tokens: they are limited, or the fraction is not the printed one")
        return
    start = printed(min([*before, *numbers(log, "ranks_avail_before_gib")]), GiB)
    start = start + Interval(0, 0, BASELINE_BYTES, "set up before the load")
    least = printed(min([*after, *numbers(log, "ranks_avail_after_weights_gib")]), GiB)
    budget = least - scaled(start, 1 - share)
    width, page = layout.full_token_bytes, layout.page_size
    low, best, high = (max(0, end) // width // page * page for end in _ends(budget))
    held = Interval(low, best, high, "predicted from what is free")
    found.predicted["max_total_num_tokens"] = held
    found.check(
        "tokens from memory",
        "tokens",
        Part(name="printed tokens", value=exact(int(tokens[0]), "printed")),
        [
            Part(
                name=Message("free - {share} of free at start, in tokens", share=f"{1 - share:g}"),
                value=held,
            )
        ],
        "the rank with the least memory decides for all",
    )


def _ends(value: Interval) -> tuple[int, int, int]:
    return value.low, value.best, value.high


def _after_pools(log: EngineLog, found: Findings) -> None:
    """What the first model's pools left."""
    after, left = numbers(log, "avail_after_weights_gib"), numbers(log, "avail_after_pool_gib")
    is_plain = not {"speculative_algorithm", "enable_lora"} & set(log.settings)
    if not is_plain or not after or not left:
        return
    pools = _pool_parts(log)
    rows, length = numbers(log, "max_running_requests"), numbers(log, "context_len")
    if not pools or not rows or not length:
        found.not_checked.append("memory after the pools: the table of requests is not known")
        return
    table = int(rows[0]) * (int(length[0]) + REQUEST_ROW_EXTRA_TOKENS) * REQUEST_ENTRY_BYTES
    row = (int(length[0]) + REQUEST_ROW_EXTRA_TOKENS) * REQUEST_ENTRY_BYTES
    found.check(
        "memory after the pools",
        "bytes",
        Part(name="free after the weights", value=printed(after[0], GiB)),
        [
            *pools,
            Part(
                name="table of requests",
                value=Interval(table, table + row, table + row, "requests x context length"),
            ),
            Part(name="buffers' rounding", value=Interval(*SLACK_BYTES, "allocator's rule")),
            Part(name="free after the pools", value=printed(left[0], GiB)),
        ],
    )


def _pool_parts(log: EngineLog) -> list[Part]:
    names = {
        "keys": "k_size_gib",
        "values": "v_size_gib",
        "latents": "kv_size_gib",
        "convolution states": "mamba_conv_gib",
        "recurrent states": "mamba_ssm_gib",
    }
    if window := numbers(log, "swa_pool_gib"):
        names = {k: v for k, v in names.items() if v.startswith("mamba")}
        parts = [Part(name="both token pools", value=printed(window[0], GiB))]
    else:
        parts = []
    for name, figure in names.items():
        parts += [Part(name=name, value=printed(v, GiB)) for v in numbers(log, figure)]
    return parts
