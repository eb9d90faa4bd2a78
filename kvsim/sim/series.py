"""Records as columns: a run's steps and requests in numpy arrays, read as records where wanted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.records import Preemption, RequestRecord, Stall, StepRecord

Record = TypeVar("Record", StepRecord, RequestRecord, Preemption)

_NARROW = frozenset(
    (
        *("num_tokens", "num_running", "num_waiting", "num_used_blocks", "num_preempted"),
        *("num_query_tokens", "num_hit_tokens"),
        *("num_resume_query_tokens", "num_resume_hit_tokens"),
    )
)
"""Counts of one step, which fit 32 bits."""


def _columns(record: type[StepRecord | RequestRecord | Preemption]) -> np.dtype[np.void]:
    def kind(name: str, python: object) -> str:
        if record is StepRecord and name in _NARROW:
            return "i4"
        return "f8" if python is float else "i8"

    kept = [f for f in fields(record) if f.type in (int, float)]
    return np.dtype([(f.name, kind(f.name, f.type)) for f in kept], align=True)


STEP_COLUMNS = _columns(StepRecord)
"""A step's columns: the fields of its record."""

REQUEST_COLUMNS = _columns(RequestRecord)
"""A request's columns: the fields of its record, its stalls apart."""

PREEMPTION_COLUMNS = _columns(Preemption)
"""A preemption's columns: the fields of its record."""

STALL_COLUMNS = np.dtype([("row", "i8"), ("from_s", "f8"), ("until_s", "f8")])
"""Stalls of all requests: the row of the request in its table, and the times of both tokens."""


def stacked(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Tables of the same columns, one after the other; numpy alone would copy field by field.

    Only where a single one has rows it is no copy.
    """
    kind, filled = parts[0].dtype, [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    raw = [np.ascontiguousarray(part).view(f"V{kind.itemsize}") for part in parts]
    rows: NDArray[np.void] = np.concatenate(raw).view(kind)
    return rows


class Series(Sequence[Record], Generic[Record]):
    """Records in the order in which they are numbered; `rows` holds a column per field."""

    __slots__ = ("rows",)

    columns: np.dtype[np.void]
    record: type[Record]

    def __init__(self, rows: NDArray[np.void]) -> None:
        self.rows = rows

    @classmethod
    def of(cls, records: Iterable[Record]) -> Self:
        """The table of records that are there already."""
        names = cls.columns.names or ()
        values = [tuple(getattr(record, name) for name in names) for record in records]
        return cls(np.array(values, cls.columns))

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> Record | Self:
        if isinstance(place, slice):
            return self._select(place)
        first = range(len(self))[place]
        return next(self._records(first, first + 1))

    def __iter__(self) -> Iterator[Record]:
        return self._records(0, len(self))

    def _select(self, place: slice) -> Self:
        return type(self)(self.rows[place])

    def _records(self, first: int, last: int) -> Iterator[Record]:
        names = self.columns.names or ()
        for values in self.rows[first:last].tolist():
            named: dict[str, Any] = dict(zip(names, values, strict=True))
            yield self.record(**named)

    def ints(self, name: str) -> NDArray[np.int64]:
        """A column of counts, int64, shape (rows,)."""
        return self.rows[name].astype(np.int64)

    def floats(self, name: str) -> NDArray[np.float64]:
        """A column of seconds or of blocks, float64, shape (rows,)."""
        return self.rows[name].astype(np.float64)

    def total(self, name: str) -> int:
        """Sum of a column of counts."""
        return int(self.ints(name).sum())

    def most(self, name: str) -> int:
        """Largest of a column of counts; 0 without rows."""
        return int(self.rows[name].max(initial=0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Series) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} rows)"


class StepSeries(Series[StepRecord]):
    """The steps of a run."""

    __slots__ = ()
    columns, record = STEP_COLUMNS, StepRecord

    @property
    def seconds(self) -> NDArray[np.float64]:
        """How long each step took."""
        return self.floats("end_s") - self.floats("start_s")


class PreemptionSeries(Series[Preemption]):
    """The preemptions of a run, in their order."""

    __slots__ = ()
    columns, record = PREEMPTION_COLUMNS, Preemption


class RequestSeries(Series[RequestRecord]):
    """The requests that a run finished, in the workload's order; `stalls` are in that order too."""

    __slots__ = ("stalls",)
    columns, record = REQUEST_COLUMNS, RequestRecord

    def __init__(self, rows: NDArray[np.void], stalls: NDArray[np.void]) -> None:
        super().__init__(rows)
        self.stalls = stalls

    @classmethod
    def of(cls, records: Iterable[RequestRecord]) -> Self:
        """The table of records that are there already."""
        kept = list(records)
        names = cls.columns.names or ()
        rows = np.array([tuple(getattr(r, name) for name in names) for r in kept], cls.columns)
        stalls = [(row, *stall) for row, r in enumerate(kept) for stall in r.stalls]
        return cls(rows, np.array(stalls, STALL_COLUMNS))

    def _select(self, place: slice) -> Self:
        chosen = np.arange(len(self))[place]
        new_row = np.full(len(self), -1)
        new_row[chosen] = np.arange(len(chosen))
        stalls = self.stalls.copy()
        stalls["row"] = new_row[stalls["row"]]
        stalls = stalls[stalls["row"] >= 0]
        return type(self)(self.rows[place], stalls[np.argsort(stalls["row"], kind="stable")])

    def _records(self, first: int, last: int) -> Iterator[RequestRecord]:
        bounds = np.searchsorted(self.stalls["row"], np.arange(first, last + 1)).tolist()
        for i, values in enumerate(self.rows[first:last].tolist()):
            stalls = self.stalls[bounds[i] : bounds[i + 1]].tolist()
            named: dict[str, Any] = dict(zip(self.columns.names or (), values, strict=True))
            yield RequestRecord(**named, stalls=tuple(Stall(*times) for _, *times in stalls))

    @property
    def ttft_s(self) -> NDArray[np.float64]:
        """Times to first token."""
        return self.floats("first_token_s") - self.floats("arrival_s")

    @property
    def e2e_s(self) -> NDArray[np.float64]:
        """Times to last token."""
        return self.floats("finish_s") - self.floats("arrival_s")

    @property
    def hit_shares(self) -> NDArray[np.float64]:
        """Shares of the prompts that were found in the prefix cache."""
        shares: NDArray[np.float64] = (
            self.rows["num_cached_tokens"] / self.rows["num_prompt_tokens"]
        )
        return shares

    @property
    def tpot_s(self) -> NDArray[np.float64]:
        """Mean times per later token, of requests with more than one."""
        return self.tpot_or_nan_s[self.ints("num_output_tokens") > 1]

    @property
    def tpot_or_nan_s(self) -> NDArray[np.float64]:
        """Mean times per later token; NaN of a single one."""
        gaps = self.ints("num_output_tokens") - 1
        later = self.floats("finish_s") - self.floats("first_token_s")
        return np.where(gaps > 0, later / np.maximum(gaps, 1), np.nan)
