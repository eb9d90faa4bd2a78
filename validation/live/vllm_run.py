"""A vLLM that is started here: as a server on this machine's own address, then measured."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import kvsim
from validation.live.rung import Status
from validation.live.served import Figures, Outcome
from validation.live.server import HOST, Server, free_port, metrics, replies, started
from validation.live.settings import flags
from validation.live.vllm_case import Case, judge, load_figures, predict, start_figures
from validation.live.vllm_interpreter import Interpreter
from validation.live.vllm_load import serve
from validation.live.vllm_models import write_model
from validation.live.vllm_readings import shown_lines, start_of

SERVED = "kvsim"
ENVIRONMENT = {
    "VLLM_SERVER_DEV_MODE": "1",  # brings /pause and /resume
    "VLLM_NO_USAGE_STATS": "1",
    "PYTHONUNBUFFERED": "1",
}
UNPASSED = ("usage_context", "engine_version", "auto_max_model_len")
"""Fields of `kvsim.Vllm` that are no flags of a server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all servers of a run have in common."""

    interpreter: Interpreter
    accelerator: kvsim.Accelerator
    seed: int
    start_timeout_s: float
    has_weights: bool = False  # of the model that a case names; else they are made up


def run(case: Case, setup: Setup) -> Outcome:
    """One server; where kvsim says that it cannot start, it is not tried.

    Raises:
        ServerError: if it does not start, or ends.
    """
    subject = case.subject(setup.accelerator)
    memory = subject.engine.kv_cache_memory_bytes
    if memory is not None:
        try:
            subject.cache.start(memory)
        except kvsim.KvsimError as error:
            return Outcome(
                name=case.name,
                case=case.as_dict(),
                status=Status.REFUSED,
                reason=str(error),
            )
    with tempfile.TemporaryDirectory() as folder:
        if not setup.has_weights:
            write_model(Path(folder), case.config or {})
        port, begin_s = free_port(), time.monotonic()
        model = case.name if setup.has_weights else folder
        with started(list(command(case, setup, model=model, port=port)), ENVIRONMENT) as server:
            url = f"http://{HOST}:{port}"
            server.wait_for(
                lambda: replies(f"{url}/health"),
                timeout_s=setup.start_timeout_s,
                what=f"{case.name}: the start",
            )
            start_s = time.monotonic() - begin_s
            with server.explaining(f"{case.name}: the load"):
                return measure(case, setup, server, url=url, start_s=start_s)


def command(case: Case, setup: Setup, *, model: str, port: int) -> Iterator[str]:
    """The server's command line: kvsim's settings are flags under their own names."""
    yield from (setup.interpreter.path, "-m", "vllm.entrypoints.openai.api_server")
    yield from ("--host", HOST, "--port", str(port), "--model", model)
    yield from ("--served-model-name", SERVED, "--seed", str(setup.seed), "--enable-log-requests")
    if not setup.has_weights:
        yield from ("--load-format", "dummy")
    if case.settings.get("auto_max_model_len"):
        yield from ("--max-model-len", "-1")
    yield from flags(case.settings, unpassed=UNPASSED)


def measure(case: Case, setup: Setup, server: Server, *, url: str, start_s: float) -> Outcome:
    """What a server says of itself, and of its load."""
    text = server.log
    log = kvsim.read_engine_log(text)
    start = start_of(metrics(url), log)
    measured, seconds = start_figures(start), {"start": start_s}
    notes: Figures = {"available_gib": start.available_gib}
    if case.load is not None:
        begin_s = time.monotonic()
        usage, seen = serve(server, url, case.load, model=SERVED, seed=setup.seed)
        seconds["load"] = time.monotonic() - begin_s
        measured |= load_figures(usage, seen, start.num_blocks)
        notes |= {"num_samples": seen.num_samples, "usage_at_end": usage.kv_cache_usage}
    predicted = predict(case.subject(setup.accelerator), case, start)
    return judge(
        case, predicted, measured, notes=notes, seconds=seconds, log=shown_lines(log, text)
    )
