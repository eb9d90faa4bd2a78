"""`python -m validation live llama.cpp`: what a llama-server logs against the prediction."""

import argparse
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import kvsim
from validation.live.device import Cpu
from validation.live.driver import driver_version
from validation.live.rung import Status
from validation.live.served import Facts, Figures, Outcome, add_output, report
from validation.live.server import HOST, Server, free_port, replies, started
from validation.live.settings import Settings, flags, parse_settings

BACKEND = "llama.cpp"
MIB = 2**20
PRINTED_MIB = 0.005 + 1e-6
"""Half the last digit that is printed, and the error of the float32 that is printed from."""

VERSION_S = 60
UNPASSED = ("variant", "engine_version")
"""Fields of `kvsim.LlamaCpp` that are no flags."""

SWITCHES = {
    ("kv_unified", True): "--kv-unified",
    ("kv_unified", False): "--no-kv-unified",
    ("kv_offload", False): "--no-kv-offload",
    ("swa_full", True): "--swa-full",
    ("cpu_moe", True): "--cpu-moe",
}
"""Flags without a value; what is not here is what the server does without a flag."""

TRACE = "4"
"""Verbosity at which builds since 2026 print the lines on memory; older ones do so anyway."""

SHOWN = ("n_seq_max", "n_ctx", "n_ctx_seq", "full_cells", "swa_cells", "kv_mib", "rs_mib")
"""Settings and figures of the log whose lines a record keeps."""


def main(argv: Sequence[str]) -> int:
    """Start the server, read its log, report.

    Returns:
        0 if everything is as predicted, else 3.
    """
    args = parse(argv)
    settings = parse_settings(args.set, kvsim.LlamaCpp)
    versions = {"llama.cpp": version(args.server)}
    return report(
        (run(path, settings, args) for path in args.model),
        Facts(backend=BACKEND, device=device(), versions=versions),
        argv=argv,
        output=args.output,
        as_json=args.json,
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m validation live llama.cpp", description=__doc__
    )
    parser.add_argument("--server", required=True, metavar="PATH", help="a llama-server")
    parser.add_argument(
        "--model", required=True, nargs="+", type=Path, metavar="GGUF", help="GGUF files"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="NAME=VALUE", help="settings, as kvsim.LlamaCpp's"
    )
    add_output(parser)
    return parser.parse_args(argv)


def version(path: str) -> str:
    """What the server says of its version.

    Raises:
        FileError: if it cannot be run.
    """
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=VERSION_S,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.SubprocessError) as error:
        msg = f"server={Path(path).name}: {error}"
        raise kvsim.FileError(msg) from None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "version" in line]
    return lines[0].strip() if lines else "not stated"


def device() -> dict[str, object]:
    """The machine; the log names the devices that the server uses."""
    driver = driver_version()
    return Cpu().describe() | ({} if driver is None else {"driver": driver})


def run(path: Path, settings: Settings, args: argparse.Namespace) -> Outcome:
    """A server of one file.

    Raises:
        ServerError: if it does not start.
        KvsimError: where kvsim refuses the file or a setting.
    """
    name = path.name
    case = {"name": name, "settings": dict(settings)}
    model, engine = kvsim.load_model(path), kvsim.LlamaCpp(**settings)
    try:
        predicted = predict(model, engine)
    except kvsim.UnsupportedError as error:
        return Outcome(name=name, case=case, status=Status.REFUSED, reason=str(error))
    port, begin_s = free_port(), time.monotonic()
    command = [args.server, "--host", HOST, "--port", str(port), "--model", str(path)]
    command += ["--verbosity", TRACE, *flags_of(settings)]
    with started(command, {}) as server:
        wait(server, port, args.start_timeout_s)
        seconds = {"start": time.monotonic() - begin_s}
        text = server.log
    log = kvsim.read_engine_log(text)
    measured = figures_of(log)
    wrong = tuple(differing(predicted, measured))
    return Outcome(
        name=name,
        case=case,
        status=Status.WRONG if wrong else Status.EXACT,
        reason=f"differs in {', '.join(wrong)}" if wrong else "",
        wrong=wrong,
        predicted={key: predicted[key] for key in measured},
        measured=measured,
        notes={"device": log.gpu},
        seconds=seconds,
        log=shown_lines(log, text),
    )


def wait(server: Server, port: int, timeout_s: float) -> None:
    """Until the model is loaded."""
    url = f"http://{HOST}:{port}/health"
    server.wait_for(lambda: replies(url), timeout_s=timeout_s, what="the start")


def flags_of(settings: Settings) -> list[str]:
    """The server's own words for the settings."""
    switches = {name: value for name, value in settings.items() if isinstance(value, bool)}
    given = flags(settings, unpassed=(*UNPASSED, *switches))
    return given + [SWITCHES[item] for item in switches.items() if item in SWITCHES]


def predict(model: kvsim.ModelSpec, settings: kvsim.LlamaCpp) -> Figures:
    """The context and its caches under the log's own names, in unrounded MiB.

    Raises:
        KvsimError: where kvsim refuses.
    """
    layout = kvsim.llama_cpp_layout(model, settings)
    context, caches = layout.context, layout.caches
    return {
        "n_seq_max": context.n_seq_max,
        "n_ctx": context.n_ctx,
        "n_ctx_seq": context.n_ctx_seq,
        "n_batch": context.n_batch,
        "n_ubatch": context.n_ubatch,
        "kv_mib": [cache.total_bytes / MIB for cache in caches],
        "k_mib": [cache.k_bytes / MIB for cache in caches],
        "v_mib": [cache.v_bytes / MIB for cache in caches],
        "full_cells": caches[0].cells if len(caches) > 1 else None,
        "swa_cells": caches[1].cells if len(caches) > 1 else None,
        "rs_mib": [state.total_bytes / MIB for state in layout.states],
    }


def figures_of(log: kvsim.EngineLog) -> Figures:
    """What of the log is compared; a context of which it says nothing is an error.

    Raises:
        UnsupportedError: if no cache is in it.
    """
    found: Figures = {}
    for name in ("n_seq_max", "n_ctx", "n_ctx_seq", "n_batch", "n_ubatch"):
        if name in log.settings:
            found[name] = log.settings[name]
    for name in ("full_cells", "swa_cells"):
        if name in log.measured:
            found[name] = log.measured[name]
    for name in ("kv_mib", "k_mib", "v_mib", "rs_mib"):
        if name in log.measured:
            value = log.measured[name]
            found[name] = value if isinstance(value, list) else [value]
    if not {"kv_mib", "rs_mib"} & found.keys():
        msg = "the log says nothing of a cache: does the server log at level info?"
        raise kvsim.UnsupportedError(msg)
    return found


def differing(predicted: Figures, measured: Figures) -> Iterator[str]:
    """Names of the figures that are not as predicted; sizes within their rounding."""
    for name, value in measured.items():
        expected = predicted[name]
        if not isinstance(value, list):
            if value != expected:
                yield name
        elif len(value) != len(expected) or any(
            abs(a - b) > PRINTED_MIB for a, b in zip(value, expected, strict=True)
        ):
            yield name


def shown_lines(log: kvsim.EngineLog, text: str) -> tuple[str, ...]:
    """The lines of the log that say what is compared."""
    lines = text.splitlines()
    numbers = sorted({log.lines[name] for name in SHOWN if name in log.lines})
    return tuple(lines[number - 1].strip() for number in numbers)
