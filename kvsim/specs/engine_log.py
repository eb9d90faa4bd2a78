"""EngineLog: what an engine's start-up log says, and nothing that it doesn't."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Scalar = int | float | str | bool
Setting = Scalar | list[object] | dict[str, object]
Figure = Scalar | list[object]
"""A printed value; a list where several were printed."""


class LogEngine(StrEnum):
    """Engines whose logs are read."""

    VLLM = "vllm"
    SGLANG = "sglang"
    LLAMA_CPP = "llama.cpp"
    IK_LLAMA_CPP = "ik_llama.cpp"
    OLLAMA = "ollama"
    TENSORRT_LLM = "tensorrt-llm"


class Outcome(StrEnum):
    """How a start ended, as far as the log goes."""

    STARTED = "started"
    REFUSED = "refused"
    OOM_START = "oom_start"
    OOM_RUN = "oom_run"
    CRASH_OTHER = "crash_other"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLog:
    """Settings and figures of one start, under the engine's own flag names.

    Figures carry their unit in the name; `_gib` is per rank, `_mib` over all devices. Lists hold
    vLLM's distinct values over ranks, smallest first; SGLang's in order of appearance on the
    first rank; llama.cpp's full cache, then its window cache.

    Attributes:
        engine: whose log it is.
        version: as printed; None where it is not.
        model: what the engine was told to load, or the name in the file.
        gpu: the device, where the log names it.
        settings: flag -> value, as requested; what the engine resolved where nothing was.
        engine_config_differs: settings that the engine's own line shows otherwise.
        measured: printed figures by name.
        outcome: how the start ended.
        lines: the number of the line on which a setting or figure was first read, from 1.
        not_understood: lines about memory that no rule read, shortened; at most 50.
        num_starts: starts in the text; the last one is read.
    """

    engine: LogEngine
    version: str | None
    model: str | None
    gpu: str | None
    settings: Mapping[str, Setting]
    engine_config_differs: Mapping[str, Setting]
    measured: Mapping[str, Figure]
    outcome: Outcome
    lines: Mapping[str, int]
    not_understood: tuple[str, ...]
    num_starts: int = 1

    def as_dict(self) -> dict[str, object]:
        """The log as plain values."""
        return {
            "engine": str(self.engine),
            "version": self.version,
            "model": self.model,
            "gpu": self.gpu,
            "settings": dict(self.settings),
            "engine_config_differs": dict(self.engine_config_differs),
            "measured": dict(self.measured),
            "outcome": str(self.outcome),
            "lines": dict(self.lines),
            "not_understood": list(self.not_understood),
            "num_starts": self.num_starts,
        }
