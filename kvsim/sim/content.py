"""Names for content: two prefixes have one name exactly if their tokens are equal."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from kvsim.specs.workload import TOKENS_PER_SEGMENT, PromptSegment


class Identity(NamedTuple):
    """Everything from a request's first token to `end`: the run that `end` lies in, and `end`.

    A run is named after all that comes before it, so equal identities mean equal prefixes, and
    no token needs to be looked at.
    """

    run: int
    end: int


class ContentTree:
    """Runs of tokens, each chained to the run before it.

    Invariant: one number per (run before, start, first token), so equal numbers stand for equal
    tokens up to and inside the run.
    """

    def __init__(self) -> None:
        self._runs: dict[tuple[int, int, int], int] = {}

    def follow(self, before: int, start: int, first_token: int) -> int:
        """The run that starts at position `start` with `first_token`, after the run `before`."""
        return self._runs.setdefault((before, start, first_token), len(self._runs) + 1)


class Content:
    """The tokens of one request, as the runs that they form."""

    __slots__ = ("_runs", "_starts")

    def __init__(
        self, tree: ContentTree, prompt: Iterable[PromptSegment], output_segment: int
    ) -> None:
        self._starts: list[int] = []
        self._runs: list[int] = []
        run = position = 0
        next_token = -1
        for segment in (*prompt, PromptSegment(output_segment, 1)):
            if not segment.num_tokens:
                continue
            first_token = segment.segment_id * TOKENS_PER_SEGMENT
            if first_token != next_token:
                run = tree.follow(run, position, first_token)
                self._starts.append(position)
                self._runs.append(run)
            position += segment.num_tokens
            next_token = first_token + segment.num_tokens

    def identity(self, end: int) -> Identity:
        """The name of the request's first `end` tokens."""
        return Identity(self._runs[bisect_left(self._starts, end) - 1], end)
