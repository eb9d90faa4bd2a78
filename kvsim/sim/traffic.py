"""Traffic to requests: lengths, prefixes, conversations and arrivals from one generator."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, inf, pi

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.sim.closed_loop import closed_loop, settled_s
from kvsim.sim.lengths import sample_lengths
from kvsim.specs.attention import check_positive
from kvsim.specs.lengths import Lengths
from kvsim.specs.traffic import ArrivalProcess, Arrivals, PrefixLevel, Traffic
from kvsim.specs.workload import PromptSegment, Request, Workload

Floats = NDArray[np.float64]

FIRST_PREFIX_SEGMENT = 4 * 10**12
"""Segments from here on are the nodes of a prefix tree."""

REPEATED_SEGMENT = FIRST_PREFIX_SEGMENT
"""The text that all prompts begin with; no node of a tree has this number."""

FIRST_SAID_SEGMENT = 5 * 10**12
"""Segments from here on are what users say and get, two per turn."""


def generate(traffic: Traffic, generator: np.random.Generator, *, num_requests: int) -> Workload:
    """The first requests of a traffic, in order of arrival.

    Args:
        traffic: what to generate.
        generator: the only source of chance; one seed, one workload.
        num_requests: requests, later turns among them (>= 1).

    Raises:
        SpecError: if no request is asked for.
    """
    check_positive(num_requests=num_requests)
    num_talks = ceil(num_requests / traffic.num_turns.mean)
    while True:
        talks = _Talks(traffic, generator)
        drawn = [tuple(talks.conversation()) for _ in range(num_talks)]
        requests = _in_time(traffic, drawn, generator)
        if len(requests) >= num_requests:
            break
        num_talks *= 2
    return Workload(
        requests=tuple(requests[:num_requests]),
        name=traffic.name,
        source=Message(
            "{name}: {requests} generated requests, {process} arrivals",
            name=traffic.name,
            requests=num_requests,
            process=traffic.arrivals.process,
        ),
    )


def _in_time(
    traffic: Traffic, talks: Sequence[Sequence[Request]], generator: np.random.Generator
) -> list[Request]:
    """The turns of all conversations in order of arrival, in the stretch where all are known.

    It begins when the first conversations are mostly over, and others are under way: the rate is
    even from the start. It ends with the last conversation's start.
    """
    if traffic.arrivals.process is ArrivalProcess.CLOSED:
        return closed_loop(traffic.arrivals, talks, generator)
    mean_turns = sum(map(len, talks)) / len(talks)
    starts = arrival_times(traffic.arrivals, generator, len(talks), per_arrival=mean_turns)
    begin_s, end_s = 0.0, inf
    if traffic.arrivals.process is not ArrivalProcess.AT_ONCE:
        begin_s, end_s = settled_s([turns[-1].arrival_s for turns in talks]), float(starts[-1])
    turns = (
        replace(turn, arrival_s=float(start) + turn.arrival_s - begin_s)
        for start, talk in zip(starts, talks, strict=True)
        for turn in talk
        if begin_s <= float(start) + turn.arrival_s <= end_s
    )
    return sorted(turns, key=lambda request: request.arrival_s)


class _Talks:
    """Draws conversations; segments are numbered in the order in which they are drawn."""

    def __init__(self, traffic: Traffic, generator: np.random.Generator) -> None:
        self._traffic = traffic
        self._generator = generator
        self._num_said = 0

    def conversation(self) -> Iterator[Request]:
        """The turns of one conversation from second 0; it ends before it would be too long."""
        traffic, now = self._traffic, 0.0
        said = tuple(self._path())
        for turn in range(self._draw(traffic.num_turns)):
            asks, answers = traffic.prompt_tokens, traffic.output_tokens
            if turn:
                asks = traffic.turn_tokens or asks
                answers = traffic.turn_output_tokens or answers
                now += float(self._generator.exponential(traffic.turn_gap_s))
            asked, answered = self._draw(asks), self._draw(answers)
            known = sum(segment.num_tokens for segment in said)
            if known + asked + answered > traffic.max_tokens:
                if turn:
                    return
                asked = min(asked, traffic.max_tokens - known - 1)
                answered = min(answered, traffic.max_tokens - known - asked)
            repeated = 0 if turn else self._repeated(asked)
            question, answer = self._segments(asked - repeated, answered)
            if repeated:
                said = (*said, PromptSegment(REPEATED_SEGMENT, repeated))
            said = (*said, question) if question.num_tokens else said
            yield Request(
                arrival_s=now,
                num_prompt_tokens=known + asked,
                num_output_tokens=answered,
                prompt=said,
                output_segment=answer.segment_id,
            )
            said = (*said, answer)

    def _draw(self, lengths: Lengths) -> int:
        return int(sample_lengths(lengths, self._generator, 1)[0])

    def _repeated(self, asked: int) -> int:
        """Tokens of a first prompt that all others have too: whole blocks, by chance one more."""
        share, block = self._traffic.repeated_share, self._traffic.repeated_block_size
        if not share:
            return 0
        return min(asked, block * int(share * asked / block + self._generator.random()))

    def _segments(self, asked: int, answered: int) -> tuple[PromptSegment, PromptSegment]:
        own = FIRST_SAID_SEGMENT + 2 * self._num_said
        self._num_said += 1
        return PromptSegment(own, asked), PromptSegment(own + 1, answered)

    def _path(self) -> Iterator[PromptSegment]:
        """A way from the root of the prefix tree to a leaf."""
        node = 0
        for level in self._traffic.prefix_tree:
            node = node * level.num_choices + 1 + _choice(level, self._generator)
            yield PromptSegment(FIRST_PREFIX_SEGMENT + node, level.num_tokens)


def _choice(level: PrefixLevel, generator: np.random.Generator) -> int:
    if level.num_choices == 1:
        return 0
    weights = np.arange(1, level.num_choices + 1, dtype=np.float64) ** -level.skew
    return int(np.searchsorted(np.cumsum(weights), generator.random() * weights.sum(), "right"))


def arrival_times(
    arrivals: Arrivals, generator: np.random.Generator, n: int, *, per_arrival: float = 1.0
) -> Floats:
    """Times of the first `n` arrivals, seconds from the start; float64, shape (n,), rising.

    Args:
        arrivals: the process and its numbers.
        generator: the only source of chance.
        n: arrivals.
        per_arrival: mean requests that one arrival brings; the rate counts requests.

    Example:
        >>> rng = np.random.Generator(np.random.PCG64(0))
        >>> arrival_times(Arrivals(process="constant", rate_per_s=2.0), rng, 3).tolist()
        [0.5, 1.0, 1.5]
    """
    gap = per_arrival / arrivals.rate_per_s
    match arrivals.process:
        case ArrivalProcess.AT_ONCE:
            return np.zeros(n)
        case ArrivalProcess.CONSTANT:
            return np.arange(1, n + 1, dtype=np.float64) * gap
        case ArrivalProcess.POISSON:
            return np.cumsum(generator.exponential(gap, n))
        case ArrivalProcess.GAMMA:
            shape = arrivals.variation**-2
            return np.cumsum(generator.gamma(shape, gap / shape, n))
        case ArrivalProcess.DIURNAL:
            return _diurnal(arrivals, np.cumsum(generator.exponential(gap, n)))
    msg = f"arrivals={arrivals.process} have no times before answers have"
    raise SpecError(msg)


def _diurnal(arrivals: Arrivals, even: Floats) -> Floats:
    """Arrivals of a constant rate, moved to where the swinging rate has brought as many.

    The expected number up to t is rate * (t + amplitude * period / 2 pi * (1 - cos(2 pi t /
    period))); it is inverted by interpolation between 1000 points of each period.
    """
    turn = 2 * pi / arrivals.period_s
    end = even[-1] + arrivals.period_s
    points = np.linspace(0.0, end, 1000 * ceil(end / arrivals.period_s) + 1)
    expected = points + arrivals.amplitude / turn * (1 - np.cos(turn * points))
    moved: Floats = np.interp(even, expected, points)
    return moved
