"""Efficiencies: shares of a device's stated speeds that were measured on it."""

from dataclasses import dataclass, fields

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.option import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiencies:
    """Each is None where it was not measured; then the whole speed is taken."""

    compute_efficiency: float | None = option(
        None, "share of the device's operations per second that you measured"
    )
    bandwidth_efficiency: float | None = option(
        None, "share of the device's memory bandwidth that you measured"
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is not None and not 0 < value <= 1:
                msg = Message("{name}={value} must be in (0, 1]", name=f.name, value=f"{value:g}")
                raise SpecError(msg)

    @property
    def are_absent(self) -> bool:
        """Whether nothing was measured."""
        return self.compute_efficiency is None and self.bandwidth_efficiency is None

    @property
    def are_complete(self) -> bool:
        """Whether both were measured."""
        return self.compute_efficiency is not None and self.bandwidth_efficiency is not None

    @property
    def text(self) -> str:
        """Both in words."""
        parts = (
            (self.compute_efficiency, "operations"),
            (self.bandwidth_efficiency, "bandwidth"),
        )
        return " and ".join(
            f"{1.0 if share is None else share:.0%} of its {what}" for share, what in parts
        )
