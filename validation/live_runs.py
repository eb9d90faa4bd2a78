"""Short live runs of every backend that this machine has, for the report."""

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import kvsim

NAME = "this machine, now"
TRANSFORMERS = (
    *("--census", "llama/base", "gemma3/base", "deepseek_v2/base"),
    *("--prompts", "16", "--batches", "2", "--caches", "dynamic", "static"),
)
WITH_AND_WITHOUT = ("--lengths", "32", "64", "128")
QUANTISATION = ("--train-seconds", "20")
VLLM = ("--models", "llama-gqa")
"""Half a minute each, and two minutes until a server is up; the whole runs are commands."""


def backends(python: str, llama_server: str | None, gguf: str | None) -> dict[str, Sequence[str]]:
    """Arguments of each backend that can be asked; a llama-server needs its model."""
    runs: dict[str, Sequence[str]] = {
        "transformers": TRANSFORMERS,
        "with-and-without": WITH_AND_WITHOUT,
        "quantisation": QUANTISATION,
        "vllm": (*VLLM, "--python", python),
    }
    if llama_server and gguf:
        runs["llama.cpp"] = ("--server", llama_server, "--model", gguf)
    return runs


def run_all(
    runs: Mapping[str, Sequence[str]], unavailable: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """A record of each backend; why there is none is noted in `unavailable`."""
    for backend, arguments in runs.items():
        try:
            yield run(backend, arguments)
        except kvsim.KvsimError as error:
            unavailable[backend] = str(error)


def run(backend: str, arguments: Sequence[str]) -> dict[str, Any]:
    """One backend's record.

    Raises:
        KvsimError: as the backend does; MissingExtraError where it is not installed.
    """
    module = import_module(f"validation.live.{backend.replace('-', '_').replace('.', '_')}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.json"
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            module.main([*arguments, "--output", str(path)])
        record: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return record | {"name": NAME}
