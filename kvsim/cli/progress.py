"""A progress bar on stderr, where that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Told how much is done so far."""

    def __call__(self, done: int, total: int | None = None, /) -> None:
        """Show it, and a total that was not known before."""
        ...


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Progress | None]:
    """A bar with the time left, on a terminal; nothing elsewhere. It vanishes when all is done.

    Args:
        what: what is counted.
        total: how many there are; None where nobody knows before the end.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich import progress as bars  # noqa: PLC0415 - rich is slow to load
    from rich.console import Console  # noqa: PLC0415

    left = () if total is None else (bars.TimeRemainingColumn(), "left")
    count = bars.TextColumn("{task.completed:,}") if total is None else bars.MofNCompleteColumn()
    columns = (bars.SpinnerColumn() if total is None else bars.BarColumn(), count, what, *left)
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, total=None: bar.update(task, completed=done, total=total)
