"""A vLLM rank's share of the device explained: weights, activation, non-torch, graphs, cache."""

from dataclasses import replace

from kvsim.analytic.overhead import activation_peak_bytes, cuda_graph_bytes, non_torch_bytes
from kvsim.engines.vllm import VllmCacheLayout
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
    spread,
    whole_number,
)
from kvsim.planner.vllm_log import (
    OLD_UTILIZATION,
    VllmFacts,
    of_any_length,
    version_of,
    vllm_parallel,
    vllm_settings,
)
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import parse_version, resolve_vllm
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.hardware import Accelerator
from kvsim.specs.overheads import Interval
from kvsim.units import GiB

WIDER_UTILIZATION = (0, 21)
"""From here on the engine's default is not 0.9 any more; logs without the flag then don't say."""

FEW_SEQS, MANY_SEQS = 256, 1024
"""Defaults of max_num_seqs by device: a log without the device's name has one of them."""


def reconcile_memory(
    log: EngineLog, facts: VllmFacts, layout: VllmCacheLayout | None, found: Findings
) -> None:
    """A rank's share of the device: weights, activation, non-torch, graphs, cache."""
    device = _device(log, facts)
    whole = _share(log, device)
    if device is None or whole is None:
        missing = "the device's memory" if device is None else "gpu_memory_utilization"
        found.not_checked.append(
            Message("memory of a rank: {missing} is not known", missing=missing)
        )
        return
    cache = _cache_part(log, layout)
    weights = numbers(log, "weights_gib")
    if cache is None or not weights or "kv_cache_memory_bytes" in log.settings:
        found.not_checked.append("memory of a rank: weights or cache are not printed")
        return
    parts = _taken(log, facts, device, found)
    if parts is None:
        return
    found.check("memory of a rank", "bytes", whole, [*parts, cache], _memory_note(log))
    estimates = numbers(log, "cudagraph_est_gib")
    if estimates and not found.checks[-1].is_explained:  # a peak that is printed without it
        graphs = Part(name="graphs, estimated", value=printed(estimates[0], GiB))
        found.checks.pop()
        found.check("memory of a rank", "bytes", whole, [*parts, graphs, cache], _memory_note(log))


def _device(log: EngineLog, facts: VllmFacts) -> Interval | None:
    """The device's memory, as printed, else as known."""
    if totals := numbers(log, "total_gpu_gib"):
        return printed(totals[0], GiB)
    return None if facts.accelerator is None else facts.accelerator.total_bytes


def _share(log: EngineLog, device: Interval | None) -> Part | None:
    """What the engine may use: printed as such, else the device's memory by the fraction."""
    if usable := numbers(log, "usable_gib"):
        return Part(name="what the engine may use", value=printed(usable[0], GiB))
    used = fraction(log, "gpu_memory_utilization")
    if used is None and parse_version(version_of(log)) < WIDER_UTILIZATION:
        used = OLD_UTILIZATION
    if device is None or used is None:
        return None
    name = Message("device memory x gpu_memory_utilization={share}", share=f"{used:g}")
    return Part(name=name, value=scaled(device, used))


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
    peaks = peaks or numbers(log, "activation_and_graphs_gib")
    guesses = None
    if not peaks or not (outside or consumed):
        guesses = _guesses(log, facts, device, found)
        if guesses is None:
            return None
    if peaks:
        value = spread([printed(v, GiB) for v in peaks], "printed")
        shared = "activation_peak_gib" not in log.measured
        name = "activation peak and graphs" if shared else "activation peak"
        parts.append(Part(name=name, value=value))
    elif guesses is not None:
        parts.append(Part(name="activation peak", value=guesses["activation_peak_gib"]))
    if outside:
        value = spread([printed(v, GiB) for v in outside], "printed")
        parts.append(Part(name="non-torch", value=value))
    elif not consumed and guesses is not None:
        parts.append(Part(name="non-torch", value=guesses["non_torch_gib"]))
    if not peaks:  # most versions' printed peak contains the estimate
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
        model = of_any_length(facts.model)
        options = [FEW_SEQS, MANY_SEQS] if unsure else [engine.max_num_seqs]
        peaks = []
        for seqs in options:
            asked = replace(engine, max_num_seqs=seqs)
            deployment = Deployment(model=model, accelerator=known, engine=asked, parallel=parallel)
            resolved = resolve_vllm(asked, model=model, accelerator=known, parallel=parallel)
            peaks.append(activation_peak_bytes(deployment, resolved, facts.overheads))
    except KvsimError as error:
        found.not_checked.append(left_out("memory of a rank", error))
        return None
    guesses = {
        "activation_peak_gib": spread(peaks, peaks[0].source),
        "non_torch_gib": non_torch_bytes(deployment, facts.overheads),
        "cudagraph_gib": cuda_graph_bytes(deployment, facts.overheads),
    }
    found.predicted |= guesses
    return guesses
