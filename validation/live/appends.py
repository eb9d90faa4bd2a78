"""What appending a token takes for a moment, metered inside a real decode step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from validation.live.device import Cpu, Device
from validation.live.extras import load

MARK = "kvsim_append"
MEMORY_EVENT = "[memory]"


class Meter(Protocol):
    """Watches a cache's `update` calls; `transients` are the bytes that each took for a moment."""

    transients: list[int]

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Around a whole generation: frees are only seen of what was seen to be allocated."""

    def watch(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, watched."""


class PeakMeter:
    """Reads the allocator's peak around each call: for devices that keep one."""

    def __init__(self, device: Device) -> None:
        self.transients: list[int] = []
        self._device = device

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Nothing to open."""
        yield

    def watch(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """The peak since the call's start over what is allocated at its end."""

        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a cache's own signature
            self._device.reset_peak()
            states = update(*args, **kwargs)
            peak = self._device.peak_bytes() or 0
            self.transients.append(peak - self._device.allocated_bytes())
            return states

        return watched


class ProfilerMeter:
    """Adds up torch's own allocator events inside each call: for the CPU."""

    def __init__(self) -> None:
        self.transients: list[int] = []

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A profiler of the CPU's allocations, read when it closes."""
        profiler = load("torch.profiler")
        activity = [profiler.ProfilerActivity.CPU]
        with profiler.profile(activities=activity, profile_memory=True, acc_events=True) as seen:
            yield
        self.transients = transients_of(seen.profiler.kineto_results.events())

    def watch(self, update: Callable[..., Any]) -> Callable[..., Any]:
        """A mark around each call."""
        record_function = load("torch.profiler").record_function

        def watched(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - a cache's own signature
            with record_function(MARK):
                return update(*args, **kwargs)

        return watched


def meter_of(device: Device) -> Meter:
    """The meter that a device allows."""
    return ProfilerMeter() if isinstance(device, Cpu) else PeakMeter(device)


def transients_of(events: Any) -> list[int]:  # noqa: ANN401 - a list of kineto events
    """Per marked call the highest sum of its allocations and frees, less the last."""
    marks, changes = [], []
    for event in events:
        if event.name() == MARK:
            marks.append((event.start_ns(), event.start_ns() + event.duration_ns()))
        elif event.name() == MEMORY_EVENT:
            changes.append((event.start_ns(), event.nbytes()))
    changes.sort(key=lambda change: change[0])
    return [
        peak_over_end([size for at, size in changes if start <= at <= stop])
        for start, stop in sorted(marks)
    ]


def peak_over_end(changes: list[int]) -> int:
    """How far the running sum rises over where it ends.

    Example:
        >>> peak_over_end([12, -10, 12, -10])
        10
    """
    held = highest = 0
    for change in changes:
        held += change
        highest = max(highest, held)
    return highest - held
