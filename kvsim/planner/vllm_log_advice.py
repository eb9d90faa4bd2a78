"""Which of vLLM's knobs to turn after a start that failed or ran out of memory."""

from math import ceil, floor

from kvsim.message import Message
from kvsim.planner.log_change import Advice, at_least, at_most
from kvsim.planner.reconciliation import fraction, numbers, text, whole_number
from kvsim.specs.engine_log import EngineLog, Outcome
from kvsim.units import GiB

ROUNDING_GIB = 0.005
MOST_UTILIZATION = 0.98
"""Above this nothing is left for what the engine does not count."""


def advise_vllm(log: EngineLog) -> list[Advice]:
    """What to change after a start of vLLM; nothing where it went well."""
    match log.outcome:
        case Outcome.REFUSED:
            return _vllm_refused(log)
        case Outcome.OOM_START:
            return [
                _lower_seqs(log, "the first large batch is profiled and captured with that many"),
                _lower_utilization(log, "the cache took what the graphs and the sampler need"),
                Advice(
                    knob="--enforce-eager",
                    change="set it",
                    why="no graphs are captured; decoding is slower",
                ),
            ]
        case Outcome.OOM_RUN:
            return _vllm_at_run(log)
    return _vllm_started(log)


def _vllm_refused(log: EngineLog) -> list[Advice]:
    found: list[Advice] = []
    needed, held = numbers(log, "needed_kv_gib"), numbers(log, "kv_cache_gib")
    free, total = numbers(log, "free_at_start_gib"), numbers(log, "total_gpu_gib")
    used = fraction(log, "gpu_memory_utilization")
    if free and total and not held:
        return _too_little_free(free[0], total[0])
    longest = numbers(log, "estimated_max_len") or numbers(log, "kv_tokens")
    if longest and longest[0] > 0:
        found.append(
            Advice(
                knob="--max-model-len",
                change=at_most(int(longest[0])),
                why="so long a request fits what is left for the cache",
            )
        )
    if needed and numbers(log, "reserved_kv_gib"):
        found.append(
            Advice(
                knob="--kv-cache-memory-bytes",
                change=at_least(ceil((needed[0] + ROUNDING_GIB) * GiB)),
                why="it was given, so gpu_memory_utilization decides nothing",
            )
        )
    elif needed and held:
        lacking = needed[0] - min(held)
        found += _raise_utilization(used, total, lacking)
    else:
        found += _raise_utilization(used, total, 0.0)
    return found + _smaller_cache(log)


def _too_little_free(free_gib: float, total_gib: float) -> list[Advice]:
    """What helps where others hold memory before the engine starts."""
    share = floor(free_gib / total_gib * 100) / 100
    return [
        Advice(
            knob="--gpu-memory-utilization",
            change=at_most(f"{share:.2f}"),
            why=Message(
                "{free} of {total} GiB are free before the engine starts",
                free=f"{free_gib:g}",
                total=f"{total_gib:g}",
            ),
        ),
        Advice(
            knob="other processes",
            change="stop what holds memory on the device",
            why=Message("they hold {held} GiB of it", held=f"{total_gib - free_gib:.2f}"),
        ),
    ]


def _raise_utilization(used: float | None, total: list[float], lacking: float) -> list[Advice]:
    why = "the weights and overheads stay; the cache gets the difference"
    if used is None or not total or not lacking:
        until = Message("raise it until {lacking} GiB more are left", lacking=f"{lacking:.2f}")
        change = until if lacking > 0 else "raise it"
    else:
        share = ceil((used + lacking / total[0]) * 1000) / 1000
        if share > MOST_UTILIZATION:
            return []
        change = at_least(f"{share:.3f}")
    return [Advice(knob="--gpu-memory-utilization", change=change, why=why)]


def _smaller_cache(log: EngineLog) -> list[Advice]:
    found = []
    if "fp8" not in text(log, "kv_cache_dtype"):
        found.append(
            Advice(knob="--kv-cache-dtype", change="fp8", why="half the bytes of a 16-bit cache")
        )
    ranks = whole_number(log, "tensor_parallel_size", 1) or 1
    found.append(
        Advice(
            knob="--tensor-parallel-size",
            change=str(2 * ranks),
            why="each device holds half of the weights and of the KV heads",
        )
    )
    return found


def _vllm_at_run(log: EngineLog) -> list[Advice]:
    why = "what a step needs above the profiled peak has no room"
    found = [_lower_utilization(log, why)]
    tokens = whole_number(log, "max_num_batched_tokens")
    found.append(
        Advice(
            knob="--max-num-batched-tokens",
            change="lower it" if tokens is None else f"{max(1, tokens // 2)}",
            why="activations grow with the tokens of a step",
        )
    )
    if log.settings.get("enable_chunked_prefill") is False:
        found.insert(
            1,
            Advice(
                knob="--enable-chunked-prefill",
                change="do not switch it off",
                why="whole prompts are computed in one step",
            ),
        )
    held, used = numbers(log, "in_use_gib"), numbers(log, "allocated_by_pytorch_gib")
    if held and used and held[0] - used[0] > 1:
        found.append(
            Advice(
                knob="PYTORCH_CUDA_ALLOC_CONF",
                change="expandable_segments:True",
                why=Message(
                    "{held} GiB are held beside what torch has allocated",
                    held=f"{held[0] - used[0]:.2f}",
                ),
            )
        )
    return found


def _lower_utilization(log: EngineLog, why: str) -> Advice:
    used = fraction(log, "gpu_memory_utilization")
    change = "lower it" if used is None else f"{max(0.05, used - 0.05):.2f}"
    return Advice(knob="--gpu-memory-utilization", change=change, why=why)


def _lower_seqs(log: EngineLog, why: str) -> Advice:
    seqs = whole_number(log, "max_num_seqs")
    change = "lower it (the default is 256, or 1024 on large devices)"
    return Advice(
        knob="--max-num-seqs", change=change if seqs is None else f"{max(1, seqs // 2)}", why=why
    )


def _vllm_started(log: EngineLog) -> list[Advice]:
    times = numbers(log, "max_concurrency")
    if times and min(times) < 2:
        return [
            Advice(
                knob="--max-model-len",
                change="as long as requests really are",
                why=Message(
                    "the cache holds {requests} requests of the longest length",
                    requests=f"{min(times):g}",
                ),
            )
        ]
    return []
