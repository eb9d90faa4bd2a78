"""What kvsim says of a vLLM's start and of a load that it serves."""

from dataclasses import dataclass, fields, replace

import kvsim
from validation.live.served import Figures
from validation.live.settings import Settings
from validation.live.vllm_load import Load
from validation.live.vllm_readings import Start

GIB_DIGITS = 0.005
"""Half a unit of the last digit with which the engine prints its memory, in GiB."""

CPU = kvsim.Accelerator(name="CPU", vendor="any", architecture="CPU", nominal_bytes=kvsim.GiB)
"""A CPU's size decides nothing where the cache's memory is given or reported."""

SAMPLED = ("peak_blocks", "peak_running")
"""Gauges are read now and then, so their highest values may be missed, but not exceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model under the engine's settings, on a device."""

    model: kvsim.ModelSpec
    engine: kvsim.Vllm
    accelerator: kvsim.Accelerator = CPU

    @property
    def cache(self) -> kvsim.VllmCache:
        """Its cache before memory is handed out."""
        return kvsim.vllm_cache(self.model, self.engine, accelerator=self.accelerator)

    def with_blocks(self, num_blocks: int) -> "Subject":
        """The same, with as many blocks as the engine reports."""
        engine = replace(self.engine, num_gpu_blocks_override=num_blocks)
        return replace(self, engine=engine)


def read_settings(settings: Settings) -> kvsim.Vllm:
    """Settings under the engine's own names.

    Raises:
        SpecError: for a name that kvsim does not know, or an impossible value.
    """
    known = {field.name for field in fields(kvsim.Vllm)}
    if unknown := sorted(settings.keys() - known):
        msg = f"settings: {unknown[0]} must be one of {', '.join(sorted(known))}"
        raise kvsim.SpecError(msg)
    return kvsim.Vllm(**settings)


def predict_start(subject: Subject, available_bytes: int) -> Figures:
    """Figures under the names of `Start`, from the cache's memory.

    Raises:
        KvsimError: where kvsim refuses.
    """
    cache = subject.cache
    layout = cache.start(available_bytes)
    return {
        "num_blocks": layout.num_blocks,
        "block_size": cache.settings.block_size,
        "tokens": layout.tokens,
        "max_concurrency": f"{layout.max_concurrency:.2f}",
        "max_model_len": layout.max_model_len,
        "enable_prefix_caching": cache.settings.enable_prefix_caching,
        "max_num_batched_tokens": cache.settings.max_num_batched_tokens,
    }


def predict_reported(subject: Subject, start: Start) -> Figures:
    """The same where the engine measured its memory: blocks from the memory that it reports.

    It prints the memory with two digits, so a range of blocks is right; what follows from the
    blocks is exact.
    """
    if start.available_gib is None:
        return predict_start(subject.with_blocks(start.num_blocks), 0)
    block = subject.with_blocks(start.num_blocks).cache.start(0).bytes_per_block
    low, high = (
        int((start.available_gib + sign * GIB_DIGITS) * kvsim.GiB) // block for sign in (-1, 1)
    )
    blocks = min(max(start.num_blocks, low), high)
    return predict_start(subject.with_blocks(blocks), 0)


def predict_load(subject: Subject, load: Load, num_blocks: int) -> Figures:
    """Counters and peaks when a load is served whose requests are all there at the start.

    Raises:
        KvsimError: where kvsim refuses.
    """
    cache = subject.with_blocks(num_blocks).cache
    settings, layout = cache.settings, cache.start(0)
    workload = load.workload()
    done = kvsim.simulate_schedule(
        cache.specs,
        layout.config,
        kvsim.SchedulerConfig(
            max_model_len=layout.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            enable_chunked_prefill=settings.enable_chunked_prefill,
            async_scheduling=settings.async_scheduling,
            enable_prefix_caching=settings.enable_prefix_caching,
        ),
        workload,
        num_gpu_blocks=num_blocks,
    )
    return {
        "prompt_tokens": sum(request.num_prompt_tokens for request in workload),
        "generation_tokens": sum(request.num_output_tokens for request in workload),
        "preemptions": done.num_preemptions,
        "prefix_query_tokens": done.prefix_cache.query_tokens,
        "prefix_hit_tokens": done.prefix_cache.hit_tokens,
        "peak_blocks": done.peak_blocks,
        "peak_running": max(step.num_running for step in done.steps),
    }


def differing(predicted: Figures, measured: Figures) -> list[str]:
    """Names of the figures that are not as predicted; a peak may be missed, not exceeded."""
    return [
        name
        for name, value in measured.items()
        if value != predicted[name] and not (name in SAMPLED and value < predicted[name])
    ]
