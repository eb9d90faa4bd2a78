"""TensorRT-LLM's figures explained: the fraction of what is free, and blocks of tokens."""

from dataclasses import replace

from kvsim.engines.tensorrt_llm import tensorrt_llm_layout
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
    whole_number,
)
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import Interval, exact
from kvsim.specs.parallel import Parallelism
from kvsim.specs.tensorrt_llm import TensorrtLlm
from kvsim.units import GiB

CUT_GIB = 0.02
"""Between what was there and the pool: more than this, and a limit was given."""

PEAK_PARTS = (
    ("weights, inside torch", "weights_inside_torch_gib"),
    ("inference, inside torch", "inference_inside_torch_gib"),
    ("outside torch", "outside_torch_gib"),
)


def reconcile_tensorrt_llm(log: EngineLog, model: ModelSpec | None) -> Findings:
    """Every check that the log's figures allow."""
    found = Findings()
    _peak(log, found)
    _available(log, found)
    _tokens(log, found)
    _width(log, model, found)
    return found


def _peak(log: EngineLog, found: Findings) -> None:
    """Torch's peak and what is outside torch."""
    peak = numbers(log, "peak_gib")
    parts = [(name, numbers(log, figure)) for name, figure in PEAK_PARTS]
    if peak and all(values for _, values in parts):
        found.check(
            "peak of the profiling run",
            "bytes",
            Part(name="printed peak", value=printed(peak[0], GiB)),
            [Part(name=name, value=printed(values[0], GiB)) for name, values in parts],
        )


def _available(log: EngineLog, found: Findings) -> None:
    """Cache = (total - peak + temporary pool) x fraction."""
    names = ("total_gpu_gib", "peak_gib", "temporary_kv_gib", "available_kv_gib")
    total, peak, temporary, available = (numbers(log, name) for name in names)
    share = fraction(log, "free_gpu_memory_fraction")
    if not (total and peak and temporary and available and share):
        found.not_checked.append("memory of a rank: the profiling line is not printed")
        return
    free = printed(total[0], GiB) - printed(peak[0], GiB)
    free = free + printed(temporary[0], GiB)
    held = scaled(free, share)
    found.predicted["available_kv_gib"] = held
    found.check(
        "memory of a rank",
        "bytes",
        Part(name="printed cache", value=printed(available[0], GiB)),
        [
            Part(
                name=Message("{share} of total - peak + temporary pool", share=f"{share:g}"),
                value=held,
            )
        ],
    )


def _tokens(log: EngineLog, found: Findings) -> None:
    """The pool's tokens at the printed width, and whole blocks of the printed memory."""
    held, tokens = numbers(log, "kv_cache_gib"), numbers(log, "kv_tokens")
    width, block = numbers(log, "kv_bytes_per_token"), whole_number(log, "tokens_per_block")
    if not (held and tokens and width) or width[0] < 1:
        found.not_checked.append("tokens: memory or width is not printed")
        return
    pool = exact(int(tokens[0] * width[0]), "tokens x width")
    found.check(
        "cache from tokens",
        "bytes",
        Part(name="printed cache", value=printed(held[0], GiB)),
        [
            Part(
                name=Message(
                    "{tokens} tokens x {width} bytes",
                    tokens=f"{int(tokens[0]):,}",
                    width=f"{int(width[0]):,}",
                ),
                value=pool,
            )
        ],
    )
    memory = numbers(log, "available_kv_gib")
    if not memory or not block or abs(memory[0] - held[0]) > CUT_GIB:
        return  # the pool was limited by something else
    size = printed(memory[0], GiB)
    low, best, high = (int(end // width[0]) for end in (size.low, size.best, size.high))
    # the estimator's token count is rounded up to whole blocks, the pool's down
    fits = Interval(low // block * block, best, -(-high // block) * block, "memory / width")
    found.predicted["kv_tokens"] = fits
    found.check(
        "tokens from memory",
        "tokens",
        Part(name="printed tokens", value=exact(int(tokens[0]), "printed")),
        [Part(name=Message("whole blocks of {tokens} tokens", tokens=block), value=fits)],
    )


def _width(log: EngineLog, model: ModelSpec | None, found: Findings) -> None:
    """Bytes of a token in all layers."""
    width = numbers(log, "kv_bytes_per_token")
    if not width:
        return
    if model is None:
        found.not_checked.append("bytes per token: the model is not known")
        return
    if (whole_number(log, "pp_size", 1) or 1) > 1:
        found.not_checked.append("bytes per token: which stage's they are is not printed")
        return
    ranks = whole_number(log, "tp_size", 1) or 1
    widths = []
    for kind in ("auto", "fp8"):  # auto is the checkpoint's own, which the log does not print
        try:
            layout = tensorrt_llm_layout(
                replace(model, max_model_len=None),
                TensorrtLlm(dtype=kind),
                Parallelism(tensor_parallel_size=ranks),
            )
        except KvsimError as error:
            found.not_checked.append(left_out("bytes per token", error))
            return
        widths.append(layout.charged_token_bytes)
    predicted = widths[1] if int(width[0]) == widths[1] else widths[0]
    kind = "fp8, as the checkpoint says" if predicted == widths[1] else "the model's format"
    found.predicted["kv_bytes_per_token"] = exact(predicted, kind)
    found.check(
        "bytes per token",
        "bytes",
        Part(name="printed width", value=exact(int(width[0]), "printed")),
        [
            Part(
                name=Message("keys and values of all layers, {format}", format=kind),
                value=exact(predicted, "predicted"),
            )
        ],
    )
