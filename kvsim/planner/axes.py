"""Axes: the values that one quantity can take, the extreme first, and how each is put in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from kvsim.errors import SpecError
from kvsim.planner.plan import Evaluation, Judge
from kvsim.planner.solution import Target, Value
from kvsim.specs.deployment import Deployment
from kvsim.specs.hardware import Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A deployment and what is asked of it."""

    deployment: Deployment
    concurrent_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Values of a quantity, the extreme first, and the scenarios that a value stands for.

    A value fits where one of its scenarios does. Where `is_ordered`, all values after one that
    fits fit too, so the edge is found by bisection; elsewhere each is tried from the extreme on.
    `lack` says what a plan that fits still lacks; None: nothing.
    """

    target: Target
    goal: str
    values: Sequence[Value]
    scenarios: Callable[[Value], Iterator[Scenario]]
    is_ordered: bool
    lack: Callable[[Evaluation], str | None] = lambda _: None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is held fixed, how it is judged, and the devices that there are."""

    deployment: Deployment
    concurrent_requests: int | None  # None: one
    judge: Judge
    accelerators: Sequence[Accelerator]

    @property
    def requests(self) -> int:
        """Requests that must fit at once."""
        return self.concurrent_requests or 1

    def with_engine(self, **changes: object) -> Scenario:
        """The deployment under other settings of its engine."""
        engine = replace(self.deployment.engine, **changes)  # type: ignore[arg-type]
        return self.with_deployment(engine=engine)

    def with_deployment(self, **changes: object) -> Scenario:
        """Another deployment, for as many requests."""
        changed = replace(self.deployment, **changes)  # type: ignore[arg-type]
        return Scenario(deployment=changed, concurrent_requests=self.requests)


def refuse(condition: object, why: str) -> None:
    """SpecError where what is asked and what is stated exclude each other."""
    if condition:
        raise SpecError(why)


def refuse_stated_weights(q: Question) -> None:
    """SpecError where weights are stated for one device and the quantity would change them."""
    refuse(
        q.deployment.overheads.weights_bytes is not None,
        "weights_bytes are stated for one device: how they change is not known, leave them out",
    )
