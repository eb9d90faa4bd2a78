"""A predicted number of bytes, and how it is held against a printed one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """Bytes that blocks take; memory may have up to `slack_bytes` more that fill no block."""

    num_bytes: int
    slack_bytes: int = 0

    def error(self, measured: int) -> float:
        """The prediction less the measurement, as a share of it; slack is no error."""
        missing = measured - self.num_bytes
        if 0 < missing < self.slack_bytes:
            return 0.0
        return -missing / measured

    def agrees(self, check: Mapping[str, Any]) -> bool:
        """Whether the printed figure, within its rounding, is this prediction."""
        return abs(self.error(check["measured_bytes"])) <= check["rounding_tol_rel"]


def stated(row: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - a row holds anything
    """A row's value; KeyError where it is not there or says nothing."""
    if row.get(name) is None:
        raise KeyError(name)
    return row[name]
