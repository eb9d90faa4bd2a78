"""Which knob to turn after a start that failed or ran out of memory, engine by engine."""

from collections.abc import Callable, Mapping

from kvsim.message import Message
from kvsim.planner.log_change import Advice
from kvsim.planner.reconciliation import fraction, numbers, whole_number
from kvsim.planner.vllm_log_advice import advise_vllm
from kvsim.specs.engine_log import EngineLog, LogEngine, Outcome


def advise_log(log: EngineLog) -> tuple[Advice, ...]:
    """What to change after this start; nothing where it went well."""
    return tuple(RULES[log.engine](log))


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
                why=Message(
                    "{size} for attention scores grow with context x ubatch without it", size=size
                ),
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
    LogEngine.VLLM: advise_vllm,
    LogEngine.SGLANG: _sglang,
    LogEngine.LLAMA_CPP: _llama_cpp,
    LogEngine.IK_LLAMA_CPP: _llama_cpp,
    LogEngine.OLLAMA: _llama_cpp,
    LogEngine.TENSORRT_LLM: _tensorrt_llm,
}
