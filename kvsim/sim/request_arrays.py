"""Requests as columns: a million of them in the room of a few arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kvsim.errors import SpecError
from kvsim.specs.workload import (
    FIRST_OUTPUT_SEGMENT,
    FIRST_PRIVATE_SEGMENT,
    TOKENS_PER_SEGMENT,
    PromptSegment,
    Request,
    Workload,
    output_segment,
    prompt_segments,
    stretch,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

LARGEST_SEGMENT = (2**63 - 1) // TOKENS_PER_SEGMENT - 1
"""The values of later segments' tokens need more than 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestArrays:
    """Requests in order of arrival, one entry per answer; `RequestArrays.of` checks what it gets.

    The prompt of entry i is made of segments `first_segment[i]` .. `first_segment[i + 1]` - 1; with
    one that has none nobody shares a token. `place` and `sample` say which request of a workload,
    and which of its answers, an entry is.
    """

    arrival_s: Floats
    num_prompt_tokens: Ints
    num_output_tokens: Ints
    first_segment: Ints
    segment_id: Ints
    segment_tokens: Ints
    output_segment: Ints
    place: Ints
    sample: Ints
    source: str = field(default="given")

    @classmethod
    def of(
        cls,
        *,
        arrival_s: ArrayLike,
        num_prompt_tokens: ArrayLike,
        num_output_tokens: ArrayLike,
        first_segment: ArrayLike | None = None,
        segment_id: ArrayLike = (),
        segment_tokens: ArrayLike = (),
        output_segment: ArrayLike | None = None,
        source: str = "given",
    ) -> Self:
        """Requests from columns, each with one answer.

        Args:
            arrival_s: seconds, ascending, shape (num_requests,).
            num_prompt_tokens: at least 1 each.
            num_output_tokens: at least 1 each.
            first_segment: where each prompt's segments begin, and where the last one's end, shape
                (num_requests + 1,); None: prompts share nothing.
            segment_id: equal ids are equal tokens, as far as both segments go.
            segment_tokens: lengths of the segments.
            output_segment: names of the answers, for prompts that repeat them; None: nobody does.
            source: where the requests come from, in words.

        Raises:
            SpecError: for columns of different lengths, or an impossible value.

        Example:
            >>> requests = RequestArrays.of(
            ...     arrival_s=[0, 1.5], num_prompt_tokens=[9, 7], num_output_tokens=[3, 4])
            >>> len(requests), requests[1].arrival_s
            (2, 1.5)
        """
        arrivals = np.array(arrival_s, np.float64)
        n = len(arrivals)
        first = np.zeros(n + 1) if first_segment is None else first_segment
        answers = FIRST_OUTPUT_SEGMENT + np.arange(n) if output_segment is None else output_segment
        made = cls(
            arrival_s=arrivals,
            num_prompt_tokens=np.array(num_prompt_tokens, np.int64),
            num_output_tokens=np.array(num_output_tokens, np.int64),
            first_segment=np.array(first, np.int64),
            segment_id=np.array(segment_id, np.int64),
            segment_tokens=np.array(segment_tokens, np.int64),
            output_segment=np.array(answers, np.int64),
            place=np.arange(n),
            sample=np.zeros(n, np.int64),
            source=source,
        )
        made.check()
        return made

    def check(self) -> None:
        """SpecError for what no requests can be."""
        n = len(self)
        if not n:
            msg = "arrival_s must hold at least one request"
            raise SpecError(msg)
        for name in ("num_prompt_tokens", "num_output_tokens", "output_segment"):
            if len(getattr(self, name)) != n:
                msg = f"{name} must have {n} entries, as arrival_s has"
                raise SpecError(msg)
        for name in ("num_prompt_tokens", "num_output_tokens"):
            self._check(name, getattr(self, name) >= 1, ">= 1")
        self._check("arrival_s", np.isfinite(self.arrival_s) & (self.arrival_s >= 0), ">= 0")
        ascends = np.diff(self.arrival_s, prepend=0.0) >= 0
        self._check("arrival_s", ascends, ">= that of the request before")
        self._check("output_segment", self.output_segment >= 0, ">= 0")
        self._check_segments()

    def _check_segments(self) -> None:
        first, n = self.first_segment, len(self.segment_id)
        bounds = len(first) == len(self) + 1 and first[0] == 0 and first[-1] == n
        if not bounds or (np.diff(first) < 0).any() or len(self.segment_tokens) != n:
            msg = f"first_segment must rise from 0 to {n}, the number of segments"
            raise SpecError(msg)
        self._check("segment_id", self.segment_id >= 0, ">= 0")
        self._check("segment_tokens", self.segment_tokens >= 0, ">= 0")
        ends = np.concatenate([[0], np.cumsum(self.segment_tokens)])[first]
        described, has_any = np.diff(ends), np.diff(first) > 0
        fits = ~has_any | (described == self.num_prompt_tokens)
        self._check("num_prompt_tokens", fits, "the sum of its segments")

    def _check(self, name: str, holds: NDArray[np.bool_], rule: str) -> None:
        if not holds.all():
            i = int(np.argmin(holds))
            msg = f"{name}={getattr(self, name)[i]} of entry {i} must be {rule}"
            raise SpecError(msg)

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __getitem__(self, i: int) -> Request:
        """An entry as a request with one answer."""
        own = range(int(self.first_segment[i]), int(self.first_segment[i + 1]))
        return Request(
            arrival_s=float(self.arrival_s[i]),
            num_prompt_tokens=int(self.num_prompt_tokens[i]),
            num_output_tokens=int(self.num_output_tokens[i]),
            prompt=tuple(
                PromptSegment(int(self.segment_id[j]), int(self.segment_tokens[j])) for j in own
            ),
            output_segment=int(self.output_segment[i]),
        )

    def at_rate(self, rate_per_s: float) -> "RequestArrays":
        """The same requests, all gaps stretched or shrunk to another rate.

        Raises:
            SpecError: if the requests have no rate, or the new one is not above 0.
        """
        factor = stretch(self.arrival_s[0], self.arrival_s[-1], len(self), rate_per_s=rate_per_s)
        return replace(self, arrival_s=self.arrival_s * factor)

    def take(self, chosen: Ints) -> "RequestArrays":
        """Some of the requests, without the segments of their prompts."""
        return replace(
            no_requests(),
            arrival_s=self.arrival_s[chosen],
            num_prompt_tokens=self.num_prompt_tokens[chosen],
            num_output_tokens=self.num_output_tokens[chosen],
            first_segment=np.zeros(len(chosen) + 1, np.int64),
            output_segment=self.output_segment[chosen],
            place=self.place[chosen],
            sample=self.sample[chosen],
            source=self.source,
        )

    def workload(self) -> Workload:
        """The same as request objects: some microseconds and a kilobyte each."""
        return Workload(requests=tuple(self[i] for i in range(len(self))), source=self.source)


def no_requests() -> RequestArrays:
    """Before the first."""
    none, no_times = np.zeros(0, np.int64), np.zeros(0, np.float64)
    return RequestArrays(
        arrival_s=no_times,
        num_prompt_tokens=none,
        num_output_tokens=none,
        first_segment=np.zeros(1, np.int64),
        segment_id=none,
        segment_tokens=none,
        output_segment=none,
        place=none,
        sample=none,
    )


def joined(parts: Sequence[RequestArrays]) -> RequestArrays:
    """Requests of several tables, one after the other; at least one table."""
    starts = np.cumsum([0, *(len(part.segment_id) for part in parts)])
    firsts = [p.first_segment[1:] + start for p, start in zip(parts, starts[:-1], strict=True)]
    return RequestArrays(
        arrival_s=np.concatenate([part.arrival_s for part in parts]),
        num_prompt_tokens=np.concatenate([part.num_prompt_tokens for part in parts]),
        num_output_tokens=np.concatenate([part.num_output_tokens for part in parts]),
        first_segment=np.concatenate([np.zeros(1, np.int64), *firsts]),
        segment_id=np.concatenate([part.segment_id for part in parts]),
        segment_tokens=np.concatenate([part.segment_tokens for part in parts]),
        output_segment=np.concatenate([part.output_segment for part in parts]),
        place=np.concatenate([part.place for part in parts]),
        sample=np.concatenate([part.sample for part in parts]),
        source=parts[0].source,
    )


def longest_tokens(workload: Workload | RequestArrays) -> int:
    """Prompt and answer of the longest request."""
    if isinstance(workload, Workload):
        return max(r.num_prompt_tokens + r.num_output_tokens for r in workload)
    return int((workload.num_prompt_tokens + workload.num_output_tokens).max())


def fits_columns(workload: Workload) -> bool:
    """Whether all segments have numbers of which tokens fit 64 bits."""
    prompts = (s.segment_id for r in workload for s in r.prompt)
    answers = (r.output_segment or 0 for r in workload)
    return max((*prompts, *answers), default=0) <= LARGEST_SEGMENT


def as_arrays(workload: Workload) -> RequestArrays:
    """The columns of a workload, an entry for each answer that is asked for."""
    rows = [(place, r, n) for place, r in enumerate(workload) for n in range(r.num_samples)]
    named = (s.segment_id for request in workload for s in request.prompt)
    all_named = any(segment >= FIRST_PRIVATE_SEGMENT for segment in named)
    segments: list[PromptSegment] = []
    first = [0]
    for place, request, _ in rows:
        if request.prompt or request.num_samples > 1 or all_named:
            segments += prompt_segments(request, place)
        first.append(len(segments))
    return RequestArrays(
        arrival_s=np.array([request.arrival_s for _, request, _ in rows], np.float64),
        num_prompt_tokens=np.array([r.num_prompt_tokens for _, r, _ in rows], np.int64),
        num_output_tokens=np.array([r.num_output_tokens for _, r, _ in rows], np.int64),
        first_segment=np.array(first, np.int64),
        segment_id=np.array([s.segment_id for s in segments], np.int64),
        segment_tokens=np.array([s.num_tokens for s in segments], np.int64),
        output_segment=np.array([output_segment(r, place, n) for place, r, n in rows], np.int64),
        place=np.array([place for place, _, _ in rows], np.int64),
        sample=np.array([sample for _, _, sample in rows], np.int64),
        source=workload.source,
    )
