"""Replays vLLM's recorded schedules: layers, settings and requests in, every step out.

A folder or a file of schedules is replayed with the series beside it. A file of engine starts
(`engine.jsonl`) has runs of the real engine in it: those are replayed where it is named itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import RecordError, files_of, read_lines
from validation.recorded.vllm_static import expand

COLUMNS = ("step", "running", "waiting", "used", "tokens", "preempted", "hit", "resume_hit")
ENGINE_COLUMNS = ("running", "waiting", "free", "tokens", "preempted")
RENAMED = {"dcp": "decode_context_parallel_size", "tp": "tensor_parallel_size"}
UNSCORED = ("groups", "hash_block_size")
"""Outputs that the replays of the layout score."""

REFERENCE, COMPILED = "reference", "compiled"
"""What replays a schedule."""

PROMPT_SEGMENT = 10**8
"""First segment of prompts of which a record gives the length alone: no two share a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recorded schedule against its replay."""

    id: str
    verdict: str  # exact, wrong, refused
    predicted: Mapping[str, Any]
    recorded: Mapping[str, Any]
    reason: str = ""


def replay(path: Path, *, scheduler: str = REFERENCE) -> Iterator[Case]:
    """Every case of a file or folder, in its order.

    Args:
        path: schedules, with their series beside them, or starts of the engine.
        scheduler: "reference", or "compiled" for the cases that the compiled twin covers.

    Raises:
        RecordError: if no schedules are there, or no series beside them.
    """
    if path.is_file() and path.name.startswith("engine."):
        yield from replay_engine(path, scheduler)
        return
    for file in files_of(path, ("sched.jsonl", "sched.jsonl.gz")):
        series = {row["id"]: row for row in read_lines(series_of(file))}
        for case in read_lines(file):
            if case["id"] not in series:
                msg = f"{file.name}: the case {case['id']} has no series"
                raise RecordError(msg)
            yield replay_case(case, read_rows(series[case["id"]]), scheduler)


def replay_kernel(path: Path) -> Iterator[Case]:
    """Every case by the compiled twin; those that it does not cover are refused."""
    return replay(path, scheduler=COMPILED)


def kernel_summary(cases: Sequence[Case]) -> dict[str, list[dict[str, str]]]:
    """Which cases the compiled twin covers, and whether it equals the record."""
    covered = [{"case": case.id, "verdict": case.verdict} for case in cases if case.predicted]
    return {"covered by the compiled twin": covered}


def series_of(file: Path) -> Path:
    """The file of series beside a file of schedules."""
    stem = file.name.split(".")[0]
    for suffix in (".jsonl.gz", ".jsonl"):
        if (found := file.with_name(f"{stem}_series{suffix}")).is_file():
            return found
    msg = f"{file.name} needs {stem}_series.jsonl beside it"
    raise RecordError(msg)


def read_rows(series: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The rows of a recorded series; some columns are kept as differences."""
    columns = {name: list(accumulate(values)) for name, values in series["delta"].items()}
    columns |= {name: series[name] for name in COLUMNS if name not in columns}
    return list(zip(*(columns[name] for name in COLUMNS), strict=True))


def replay_case(
    case: Mapping[str, Any], recorded: Sequence[tuple[int, ...]], scheduler: str = REFERENCE
) -> Case:
    """The verdict on one schedule: every row and every request must be as recorded."""
    outputs = {key: value for key, value in case["outputs"].items() if key not in UNSCORED}
    try:
        layers, cache_config, config = read_settings(case)
        done = kvsim.simulate_schedule(
            layers,
            cache_config,
            config,
            read_workload(case["requests"]),
            num_gpu_blocks=case["config"]["num_gpu_blocks_override"],
            scheduler=scheduler,
        )
    except kvsim.KvsimError as error:
        return Case(
            id=case["id"], verdict="refused", predicted={}, recorded=outputs, reason=str(error)
        )
    rows = [read_step(step) for step in done.steps]
    predicted = summarize(done, rows)
    wrong = [key for key, value in outputs.items() if predicted.get(key) != value]
    reason = f"differs in {', '.join(wrong)}" if wrong else ""
    if rows != recorded:
        at = next((i for i, (a, b) in enumerate(zip(rows, recorded, strict=False)) if a != b), None)
        at = min(len(rows), len(recorded)) if at is None else at
        predicted["first_wrong_row"], outputs["first_wrong_row"] = rows[at : at + 1], None
        outputs["first_wrong_row"] = recorded[at : at + 1]
        reason = f"row {at} of {len(recorded)} differs; {reason}"
    return Case(
        id=case["id"],
        verdict="wrong" if reason else "exact",
        predicted=predicted,
        recorded=outputs,
        reason=reason,
    )


def read_settings(case: Mapping[str, Any]) -> tuple[list[Any], Any, Any]:
    """Layers, the settings of the cache and those of the scheduler."""
    settings = {RENAMED.get(key, key): value for key, value in case["config"].items()}
    settings.setdefault("enable_prefix_caching", False)
    kinds = (kvsim.VllmCacheConfig, kvsim.SchedulerConfig)
    known = [{field.name for field in fields(kind)} for kind in kinds]
    if unknown := settings.keys() - known[0] - known[1]:
        msg = f"{case['id']}: the settings {', '.join(sorted(unknown))} are not known"
        raise RecordError(msg)
    cache_config, config = (
        kind(**{key: value for key, value in settings.items() if key in names})
        for kind, names in zip(kinds, known, strict=True)
    )
    return expand(case["layers"], cache_config.block_size), cache_config, config


def read_workload(rows: Sequence[Sequence[Any]]) -> kvsim.Workload:
    """Requests whose arrival at step t is one at second t: a step takes a second."""
    return kvsim.Workload(
        requests=tuple(
            kvsim.Request(
                arrival_s=float(row[0]),
                prompt=tuple(kvsim.PromptSegment(*segment) for segment in row[1]),
                num_prompt_tokens=sum(length for _, length in row[1]),
                num_output_tokens=row[2],
                priority=row[3],
                output_segment=row[4] if len(row) > 4 else None,
            )
            for row in rows
        )
    )


def read_step(step: Any) -> tuple[int, ...]:  # noqa: ANN401
    """A step under the record's columns."""
    return (
        int(step.start_s),
        step.num_running,
        step.num_waiting,
        step.num_used_blocks,
        step.num_tokens,
        step.num_preempted,
        step.num_hit_tokens,
        step.num_resume_hit_tokens,
    )


def summarize(done: kvsim.Simulation, rows: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    """A run's outputs under the record's names."""
    lines = "".join(",".join(map(str, row)) + "\n" for row in rows)
    at = [row[0] for row in rows]  # the record numbers steps by their second
    return {
        "steps": len(rows),
        "last_step": at[-1],
        "peak_blocks": done.peak_blocks,
        "sum_blocks_over_steps": sum(step.num_used_blocks for step in done.steps),
        "preemptions": done.num_preemptions,
        "scheduled_tokens": sum(step.num_tokens for step in done.steps),
        "prefix_hit_tokens": done.prefix_cache.hit_tokens,
        "prefix_query_tokens": done.prefix_cache.query_tokens,
        "resume_hit_tokens": done.prefix_cache.resume_hit_tokens,
        "resume_query_tokens": done.prefix_cache.resume_query_tokens,
        "finished": len(done.requests),
        "free_at_end": done.num_free_blocks,
        "pool_usable_blocks": done.num_gpu_blocks - 1,
        "scheduler_block_size": done.block_size,
        "done_step": [at[request.last_step] for request in done.requests],
        "first_token_step": [at[request.first_token_step] for request in done.requests],
        "req_preemptions": [request.num_preemptions for request in done.requests],
        "series_sha256": sha256(lines.encode()).hexdigest(),
    }


def replay_engine(path: Path, scheduler: str) -> Iterator[Case]:
    """The per-step runs of the real engine: equal prompts, all there at the start."""
    for number, start in enumerate(read_lines(path), start=1):
        if "drive" in start:
            yield replay_start(f"{start['model']} (line {number})", start, scheduler)


def replay_start(name: str, start: Mapping[str, Any], scheduler: str) -> Case:
    """The verdict on one run of the engine."""
    drive = start["drive"]
    recorded = {key: drive[key] for key in ("steps", "preemptions", "finished") if key in drive}
    recorded["rows"] = drive[f"series[{','.join(ENGINE_COLUMNS)}]"]
    try:
        done = serve_start(start, scheduler)
    except kvsim.KvsimError as error:
        return Case(id=name, verdict="refused", predicted={}, recorded=recorded, reason=str(error))
    usable = done.num_gpu_blocks - 1
    predicted = {
        "steps": len(done.steps),
        "preemptions": done.num_preemptions,
        "finished": len(done.requests),
        "rows": [
            [
                step.num_running,
                step.num_waiting,
                usable - step.num_used_blocks,
                step.num_tokens,
                step.num_preempted,
            ]
            for step in done.steps
        ],
    }
    wrong = [key for key, value in recorded.items() if predicted[key] != value]
    return Case(
        id=name,
        verdict="wrong" if wrong else "exact",
        predicted=predicted,
        recorded=recorded,
        reason=f"differs in {', '.join(wrong)}" if wrong else "",
    )


def serve_start(start: Mapping[str, Any], scheduler: str = REFERENCE) -> kvsim.Simulation:
    """The run of a recorded start: prompts of one length that share nothing."""
    both = {
        "max_model_len": start["max_model_len"],
        "max_num_batched_tokens": start["max_num_batched_tokens"],
        "enable_prefix_caching": start["prefix"],
    }
    drive = start["drive"]
    layers = [
        kvsim.vllm_layer_spec(spec["type"], **known_fields(spec))
        for count, spec in start["layer_specs_run_length"]
        for _ in range(count)
    ]
    requests = [
        [0, [[PROMPT_SEGMENT + i, drive["prompt"]]], drive["out"], 0] for i in range(drive["n"])
    ]
    return kvsim.simulate_schedule(
        layers,
        kvsim.VllmCacheConfig(**both, block_size=start["block_size"]),
        kvsim.SchedulerConfig(
            **both,
            max_num_seqs=start["args"]["max_num_seqs"],
            watermark=start["watermark"],
            enable_chunked_prefill=start["chunked"],
        ),
        read_workload(requests),
        num_gpu_blocks=start["num_blocks"],
        scheduler=scheduler,
    )


def known_fields(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded layer spec's fields, without what follows from them."""
    return {key: value for key, value in spec.items() if key not in ("type", "page_size_bytes")}
