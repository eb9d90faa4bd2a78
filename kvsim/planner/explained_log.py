"""ExplainedLog: a start-up log with its figures predicted, made up of parts, and advised on."""

from dataclasses import dataclass

from kvsim.planner.log_change import Advice
from kvsim.planner.reconciliation import Check
from kvsim.planner.running_server import RunningServer
from kvsim.specs.calibration import Calibration
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.overheads import Interval

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLog:
    """What a log says and why.

    Attributes:
        log: what was read.
        model: the catalogue's or the user's model whose layout was used; None where none is known.
        gpu: the device that the user named.
        predicted: figures that kvsim predicts, by the log's names; bytes, tokens or blocks.
        checks: wholes and parts; see `Check`.
        not_checked: what could not be checked, and why.
        asks: what the user would have to say for more.
        advice: changes, where the start failed.
        calibration: the figures that a plan can use; None where the log prints none.
        server: a running server's figures, where its metrics page was given.
    """

    log: EngineLog
    model: str | None
    gpu: str | None
    predicted: dict[str, Interval]
    checks: tuple[Check, ...]
    not_checked: tuple[str, ...]
    asks: tuple[str, ...]
    advice: tuple[Advice, ...]
    calibration: Calibration | None
    server: RunningServer | None = None

    @property
    def unexplained(self) -> tuple[Check, ...]:
        """Checks that leave something."""
        return tuple(check for check in self.checks if not check.is_explained)

    def as_dict(self) -> Json:
        """Plain values; intervals as objects."""
        read = self.log.as_dict()
        return {
            "engine": read["engine"],
            "version": read["version"],
            "outcome": read["outcome"],
            "model": {"named": read["model"], "taken_as": self.model},
            "gpu": {"named": read["gpu"], "taken_as": self.gpu},
            "settings": read["settings"],
            "engine_config_differs": read["engine_config_differs"],
            "measured": read["measured"],
            "lines": read["lines"],
            "num_starts": read["num_starts"],
            "predicted": {
                name: {"low": v.low, "best": v.best, "high": v.high, "source": v.source}
                for name, v in self.predicted.items()
            },
            "reconciliation": [check.as_dict() for check in self.checks],
            "explained": not self.unexplained,
            "not_checked": list(self.not_checked),
            "asks": list(self.asks),
            "advice": [each.as_dict() for each in self.advice],
            "server": None if self.server is None else self.server.as_dict(),
            "not_understood": read["not_understood"],
        }
