"""Start-up logs explained: reader, catalogue and planner wired together."""

from os import PathLike

from kvsim.io.engine_logs import read_engine_log
from kvsim.io.log_models import catalog_model
from kvsim.io.overheads import overhead_model
from kvsim.message import Message
from kvsim.planner.explained_log import ExplainedLog
from kvsim.planner.log_advice import advise_log
from kvsim.planner.log_calibration import log_calibration
from kvsim.planner.log_reconciliation import reconcile
from kvsim.planner.running_server import running_server
from kvsim.planner.vllm_log import VllmFacts, version_of
from kvsim.specs.engine import EngineName
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.hardware import Accelerator
from kvsim.specs.metrics import MetricsPage
from kvsim.specs.model import ModelSpec


def explain_log(
    source: EngineLog | str | PathLike[str] | bytes,
    *,
    model: ModelSpec | None = None,
    accelerator: Accelerator | None = None,
    metrics: MetricsPage | None = None,
    allowed_hit_rate: float | None = None,
) -> ExplainedLog:
    r"""A start-up log with every figure beside what makes it up, and what to change.

    Args:
        source: a log that was read, or what `read_engine_log` takes.
        model: the model that was served; None means the catalogue's of the log's name. A name
            that the catalogue lacks is asked for, never guessed or looked up elsewhere.
        accelerator: the device, where the log prints no total.
        metrics: the running server's page.
        allowed_hit_rate: share of prompt tokens that the workload repeats.

    Raises:
        FileError: if the log cannot be read.
        UnsupportedError: if it is no log of a known engine.

    Example:
        >>> text = "INFO 01-01 [worker.py:1] Available KV cache memory: 2.00 GiB\n"
        >>> explain_log(text + "(EngineCore) GPU KV cache size: 16,384 tokens\n").asks[0]
        '--model: the log names none'
    """
    log = source if isinstance(source, EngineLog) else read_engine_log(source)
    used = model or (None if log.model is None else catalog_model(log.model))
    facts = VllmFacts(
        model=used,
        accelerator=accelerator,
        overheads=overhead_model(EngineName.VLLM, version_of(log)),
    )
    found = reconcile(log, facts)
    return ExplainedLog(
        log=log,
        model=None if used is None else used.name,
        gpu=None if accelerator is None else accelerator.name,
        predicted=found.predicted,
        checks=tuple(found.checks),
        not_checked=tuple(found.not_checked),
        asks=tuple(_asks(log, used, accelerator, found.not_checked)),
        advice=advise_log(log),
        calibration=log_calibration(log),
        server=None
        if metrics is None
        else running_server(metrics, log, allowed_hit_rate=allowed_hit_rate),
    )


def _asks(
    log: EngineLog,
    model: ModelSpec | None,
    accelerator: Accelerator | None,
    not_checked: list[str],
) -> list[str]:
    """What would let more be checked."""
    asks: list[str] = []
    if model is None and any("model is not known" in reason for reason in not_checked):
        named = Message("--model: the log names none")
        if log.model is not None:
            named = Message(
                "--model: the log names {model}, which the catalogue does not have",
                model=log.model[:80],
            )
        asks.append(named)
    if accelerator is None and any("device's memory" in reason for reason in not_checked):
        asks.append("--gpu: the log prints no total memory")
    return asks
