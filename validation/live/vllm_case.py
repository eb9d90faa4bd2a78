"""A vLLM that is started, or that runs already, and how it compares."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import kvsim
from validation.live.rung import Status
from validation.live.served import Figures, Outcome
from validation.live.settings import Settings
from validation.live.vllm_load import Load, Sampled
from validation.live.vllm_predicted import (
    SAMPLED,
    Subject,
    differing,
    predict_load,
    predict_reported,
    predict_start,
    read_settings,
)
from validation.live.vllm_readings import Start, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A model, the settings that it is started with, and a load; None: nothing is sent.

    `model` is a folder or a hub's id where `config` is None.
    """

    name: str
    mechanism: str
    settings: Settings
    config: Mapping[str, Any] | None = None
    load: Load | None = None

    def subject(self, accelerator: kvsim.Accelerator) -> Subject:
        """What kvsim reads of it.

        Raises:
            KvsimError: where kvsim refuses the model or a setting.
        """
        return Subject(
            model=kvsim.load_model(self.name if self.config is None else self.config),
            engine=read_settings(self.settings),
            accelerator=accelerator,
        )

    def as_dict(self) -> dict[str, Any]:
        """What `Case.read` reads back."""
        return asdict(self)

    @classmethod
    def read(cls, case: Mapping[str, Any]) -> "Case":
        """The case that a record holds."""
        load = case["load"]
        return cls(**{**case, "load": None if load is None else Load(**load)})


def predict(subject: Subject, case: Case, measured: Start) -> Figures:
    """Start and load as kvsim has them.

    Raises:
        KvsimError: where kvsim refuses.
    """
    memory = subject.engine.kv_cache_memory_bytes
    if memory is None:
        figures = predict_reported(subject, measured)
    else:
        figures = predict_start(subject, memory)
    if case.load is not None:
        figures |= predict_load(subject, case.load, figures["num_blocks"])
    return figures


def start_figures(start: Start) -> Figures:
    """What of a start is compared: all that the engine said."""
    return {
        name: value
        for name, value in asdict(start).items()
        if value is not None and name != "available_gib"
    }


def load_figures(usage: Usage, seen: Sampled, num_blocks: int) -> Figures:
    """What of a load is compared; the null block is no usable one."""
    counted = asdict(usage)
    del counted["kv_cache_usage"], counted["num_running"]
    return {
        **counted,
        "peak_blocks": round(seen.highest_usage * (num_blocks - 1)),
        "peak_running": seen.highest_running,
    }


def judge(case: Case, predicted: Figures, measured: Figures, **facts: Any) -> Outcome:  # noqa: ANN401 - fields of Outcome
    """The verdict, with the names of the figures that differ or were missed."""
    wrong = differing(predicted, measured)
    missed = [n for n in SAMPLED if n in measured and measured[n] < predicted[n]]
    reason = f"differs in {', '.join(wrong)}" if wrong else ""
    if missed and not wrong:
        reason = f"no sample caught the highest {', '.join(missed)}"
    return Outcome(
        name=case.name,
        case=case.as_dict(),
        status=Status.WRONG if wrong else Status.EXACT,
        reason=reason,
        wrong=tuple(wrong),
        predicted=predicted,
        measured=measured,
        **facts,
    )
