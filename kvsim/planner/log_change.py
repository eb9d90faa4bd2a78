"""Advice after a start-up log: which knob, to what, and why."""

from dataclasses import asdict, dataclass

from kvsim.message import Message

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A change: the engine's own flag, the value to give it where one follows, and why."""

    knob: str
    change: str
    why: str

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


def at_most(limit: object) -> Message:
    """A bound from above, as advice says it."""
    return Message("at most {limit}", limit=limit)


def at_least(least: object) -> Message:
    """A bound from below, as advice says it."""
    return Message("at least {least}", least=least)
