"""Which knob to turn after a start that failed or ran out of memory, engine by engine."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import ceil, floor

from kvsim.planner.reconciliation import fraction, numbers, text, whole_number
from kvsim.specs.engine_log import EngineLog, LogEngine, Outcome
from kvsim.units import GiB

Json = dict[str, object]
ROUNDING_GIB = 0.005
MOST_UTILIZATION = 0.98
"""Above this nothing is left for what the engine does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A change: the engine's own flag, the value to give it where one follows, and why."""

    knob: str
    change: str
    why: str

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


def advise_log(log: EngineLog) -> tuple[Advice, ...]:
    """What to change after this start; nothing where it went well."""
    return tuple(RULES[log.engine](log))


def _vllm(log: EngineLog) -> list[Advice]:
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
                change=f"at most {int(longest[0])}",
                why="so long a request fits what is left for the cache",
            )
        )
    if needed and numbers(log, "reserved_kv_gib"):
        found.append(
            Advice(
                knob="--kv-cache-memory-bytes",
                change=f"at least {ceil((needed[0] + ROUNDING_GIB) * GiB)}",
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
            change=f"at most {share:.2f}",
            why=f"{free_gib:g} of {total_gib:g} GiB are free before the engine starts",
        ),
        Advice(
            knob="other processes",
            change="stop what holds memory on the device",
            why=f"they hold {total_gib - free_gib:.2f} GiB of it",
        ),
    ]


def _raise_utilization(used: float | None, total: list[float], lacking: float) -> list[Advice]:
    why = "the weights and overheads stay; the cache gets the difference"
    if used is None or not total or not lacking:
        change = f"raise it until {lacking:.2f} GiB more are left" if lacking > 0 else "raise it"
    else:
        share = ceil((used + lacking / total[0]) * 1000) / 1000
        if share > MOST_UTILIZATION:
            return []
        change = f"at least {share:.3f}"
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
                why=f"{held[0] - used[0]:.2f} GiB are held beside what torch has allocated",
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
                why=f"the cache holds {min(times):g} requests of the longest length",
            )
        ]
    return []


def _sglang(log: EngineLog) -> list[Advice]:
    share = fraction(log, "mem_fraction_static")
    match log.outcome:
        case Outcome.REFUSED:
            return [
                Advice(
                    knob="--mem-fraction-static",
                    change="raise it" if share is None else f"{min(0.95, share + 0.05):.2f}",
                    why="weights and cache together have to fit that share of the free memory",
                )
            ]
        case Outcome.OOM_START:
            return [
                Advice(
                    knob="--cuda-graph-max-bs",
                    change="lower it",
                    why="graphs are captured in what the pools leave",
                ),
                _lower_static(share),
            ]
        case Outcome.OOM_RUN:
            chunk = whole_number(log, "chunked_prefill_size")
            return [
                _lower_static(share),
                Advice(
                    knob="--chunked-prefill-size",
                    change="4096" if chunk is None or chunk < 0 else f"{max(512, chunk // 2)}",
                    why="a prefill's activations grow with its chunk",
                ),
            ]
    return []


def _lower_static(share: float | None) -> Advice:
    return Advice(
        knob="--mem-fraction-static",
        change="lower it" if share is None else f"{max(0.1, share - 0.05):.2f}",
        why="activations and graphs live in what the pools leave",
    )


def _llama_cpp(log: EngineLog) -> list[Advice]:
    if log.outcome not in (Outcome.OOM_START, Outcome.OOM_RUN):
        return []
    failed = numbers(log, "failed_alloc_mib")
    size = f"{failed[0]:,.2f} MiB" if failed else "what was asked for"
    has_cache = "kv_mib" in log.measured
    found = []
    if has_cache:  # the cache is there: what failed is the computation's buffer
        batch = whole_number(log, "n_ubatch")
        found.append(
            Advice(
                knob="--flash-attn",
                change="on",
                why=f"{size} for attention scores grow with context x ubatch without it",
            )
        )
        found.append(
            Advice(
                knob="--ubatch-size",
                change="lower it" if batch is None else f"{max(32, batch // 2)}",
                why="the computation's buffer grows with it",
            )
        )
    else:
        found.append(Advice(knob="--ctx-size", change="lower it", why="the cache is n_ctx cells"))
    found.append(
        Advice(
            knob="--cache-type-k, --cache-type-v",
            change="q8_0",
            why="about half the bytes of an f16 cache",
        )
    )
    found.append(
        Advice(knob="--gpu-layers", change="lower it", why="layers and their cache stay on the CPU")
    )
    return found


def _tensorrt_llm(log: EngineLog) -> list[Advice]:
    share = fraction(log, "free_gpu_memory_fraction")
    if log.outcome in (Outcome.OOM_START, Outcome.OOM_RUN):
        return [
            Advice(
                knob="free_gpu_memory_fraction",
                change="lower it" if share is None else f"{max(0.1, share - 0.1):.2f}",
                why="graphs and activations need what the pool took",
            ),
            Advice(
                knob="max_batch_size, max_num_tokens",
                change="lower them",
                why="graphs and activations grow with them",
            ),
        ]
    return []


RULES: Mapping[LogEngine, Callable[[EngineLog], list[Advice]]] = {
    LogEngine.VLLM: _vllm,
    LogEngine.SGLANG: _sglang,
    LogEngine.LLAMA_CPP: _llama_cpp,
    LogEngine.IK_LLAMA_CPP: _llama_cpp,
    LogEngine.OLLAMA: _llama_cpp,
    LogEngine.TENSORRT_LLM: _tensorrt_llm,
}
