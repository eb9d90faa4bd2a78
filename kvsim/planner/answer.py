"""Plan: one deployment's answer, whole, and as the JSON object that the command line prints."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from kvsim.analytic.compute import Compute, Work
from kvsim.analytic.memory_bar import MemoryBar, memory_bar
from kvsim.engines.layout import Pool
from kvsim.engines.vllm_offload import OffloadCapacity
from kvsim.engines.vllm_why import StageWhy
from kvsim.planner.advise import Fix, FixPair
from kvsim.planner.plan import ComputeAnswer, Evaluation, work
from kvsim.planner.stage_memory import StageMemory, stage_memories
from kvsim.specs.overheads import Interval

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a deployment holds, whether that is enough, and what to change.

    `fixes` are single changes after which it fits, empty where it does; `pair` two that do
    together where no single one does. `more_users` are changes after which more requests fit,
    where those that are asked for do.
    """

    evaluation: Evaluation
    fixes: tuple[Fix, ...]
    pair: FixPair | None
    more_users: tuple[Fix, ...]
    command: str
    commands: Mapping[str, str] = field(default_factory=dict)  # the same plan, engine by engine

    @property
    def fits(self) -> bool:
        """Whether what is asked fits at the likely estimates."""
        return self.evaluation.fit.verdict.fits

    @property
    def memory(self) -> MemoryBar:
        """One device's memory as a bar, the asked requests' share of the cache in it."""
        return memory_bar(self.evaluation.budget, needed_bytes=self.evaluation.fit.needed_bytes)

    @property
    def stages(self) -> tuple[StageMemory, ...]:
        """The memory of the GPUs of every kind of pipeline stage."""
        return stage_memories(self.evaluation, self.why)

    @property
    def why(self) -> tuple[StageWhy, ...]:
        """Where the cache memory goes, and a request's share of it, on each pipeline stage."""
        return self.evaluation.why

    @property
    def compute(self) -> ComputeAnswer | None:
        """Work per phase and what binds it; None where the weights are unknown."""
        return work(self.evaluation)

    def as_dict(self) -> Json:
        """The plan as plain values; intervals as objects with low, best, high and source."""
        e = self.evaluation
        fit, model = e.fit, e.deployment.model
        return {
            "engine": str(e.engine),
            "engine_version": e.resolved.engine_version,
            "model": model.name,
            "gpu": e.deployment.accelerator.name,
            "num_gpus": e.deployment.parallel.num_ranks,
            "fits": self.fits,
            "verdict": str(fit.verdict),
            "concurrent_requests": e.concurrent_requests,
            "needed_bytes": fit.needed_bytes,
            "available_bytes": fit.available_bytes,
            "missing_bytes": fit.missing_bytes,
            "reasons": list(fit.reasons),
            "settings": plain(e.resolved),
            "parallel": plain(e.deployment.parallel),
            "budget": plain(e.budget),
            "weights": [{"name": part.name, "num_bytes": part.num_bytes} for part in e.weights],
            "stages": [stage.as_dict() for stage in self.stages],
            "capacity": self._capacity(),
            "offload": offload(e.offload, e.resolved.max_model_len),
            "why": [_stage(stage) for stage in self.why],
            "compute": _compute(self.compute),
            "command": self.command,
            "commands": {str(name): line for name, line in self.commands.items()},
            "fixes": [plain(fix) for fix in self.fixes],
            "pair": None if self.pair is None else _pair(self.pair),
            "more_users": [plain(fix) for fix in self.more_users],
            "not_modeled": list(e.not_modeled),
        }

    def _capacity(self) -> Json:
        held = self.evaluation.capacity
        return {
            **_pool(held.best),
            "request_bytes": held.request.total_bytes,
            "fixed_bytes_per_request": held.cost.fixed_bytes,
            "bytes_per_token": held.cost.bytes_per_token,
            "linear_from_tokens": held.cost.from_tokens,
            "low": _pool(held.low),
            "high": _pool(held.high),
        }


def plain(value: object) -> Json:
    """A dataclass of plain values as a dict; intervals become objects."""
    return {
        f.name: plain(item) if isinstance(item := getattr(value, f.name), Interval) else item
        for f in fields(value)  # type: ignore[arg-type]
    }


def offload(held: OffloadCapacity | None, max_model_len: int) -> Json | None:
    """A host tier's chunks, and what prompts of the longest length make of them."""
    if held is None:
        return None
    return {
        "size_bytes": held.size_bytes,
        "num_chunks": held.num_chunks,
        "chunk_bytes": held.chunk_bytes,
        "block_bytes": held.block_bytes,
        "copies": held.copies,
        "num_groups": len(held.groups),
        "chunks_per_prompt": held.chunks(max_model_len),
        "prompts": held.num_prompts(max_model_len),
        "tokens": held.tokens(max_model_len),
    }


def _pair(pair: FixPair) -> Json:
    return {
        "first": {
            "setting": pair.first_setting,
            "value": pair.first_value,
            "cost": pair.first_cost,
        },
        "then": plain(pair.then),
    }


def _stage(stage: StageWhy) -> Json:
    """One stage's blocks, its pool in parts, and a request in parts; totals beside the parts."""
    return {
        "stage": stage.stage,
        "num_layers": stage.num_layers,
        "block_bytes": stage.block_bytes,
        "num_gpu_blocks": stage.num_gpu_blocks,
        "pool": {**plain(stage.pool), "total_bytes": stage.pool.total_bytes},
        "request": {**plain(stage.request), "total_bytes": stage.request.total_bytes},
    }


def _pool(pool: Pool) -> Json:
    return {
        "num_gpu_blocks": pool.num_gpu_blocks,
        "block_size": pool.block_size,
        "kv_cache_tokens": pool.kv_cache_tokens,
        "max_concurrency": pool.max_concurrency,
        "max_requests": pool.max_requests,
        "longest_model_len": pool.longest_model_len,
        "block_bytes": pool.block_bytes,
        "request_blocks": pool.request_blocks,
        "reserved_blocks": pool.reserved_blocks,
        "refusal": pool.refusal,
    }


def _compute(answer: ComputeAnswer | None) -> Json | None:
    if answer is None:
        return None
    return {
        "ridge_point_flops_per_byte": answer.ridge_point,
        "prefill_bound": answer.prefill and str(answer.prefill.bound),
        "decode_bound": answer.decode and str(answer.decode.bound),
        "decode_intensity_at_capacity": answer.decode and answer.decode.intensity,
        "crossover_tokens": answer.compute.crossover_tokens,
        **_works(answer.compute),
    }


def _works(compute: Compute) -> Json:
    phases = ("prefill", "decode_step", "uncached_decode_step")
    return {name: _work(getattr(compute, name)) for name in phases}


def _work(work: Work) -> Json:
    return {**plain(work), "flops": work.flops, "intensity": work.intensity}
