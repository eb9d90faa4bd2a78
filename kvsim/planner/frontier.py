"""Context against concurrency: what share of the cache memory each pair asks for."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kvsim.planner.plan import Evaluation
from kvsim.specs.attention import check_positive
from kvsim.units import ceil_div

SHORTEST_TOKENS, MOST_REQUESTS = 256, 4096
HEADROOM = 4
"""How far past what is asked, and what fits at the reference context, the grid goes."""

REFERENCE_TOKENS = 8192
"""A context whatever is asked, so that the grid stays where it is when the question moves."""

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """A grid of contexts and numbers of requests, and the edge of what fits in it.

    `shares[i][j]` is what `requests[j]` requests of `lengths[i]` tokens take of the cache memory of
    one device; above 1 they do not fit. None where weights and overheads leave no cache.
    """

    lengths: tuple[int, ...]
    requests: tuple[int, ...]
    max_requests: tuple[int, ...]  # of each length
    shares: tuple[tuple[float | None, ...], ...]

    def as_dict(self) -> Json:
        """Plain values."""
        return {
            "lengths": list(self.lengths),
            "requests": list(self.requests),
            "max_requests": list(self.max_requests),
            "shares": [list(row) for row in self.shares],
        }


def frontier(
    judge: Callable[[int], Evaluation], *, lengths: Sequence[int], requests: Sequence[int]
) -> Frontier:
    """The share of each pair, from the plan of each length.

    Args:
        judge: the plan at a `max_model_len`.
        lengths: contexts (tokens, >= 1).
        requests: requests at once (>= 1).

    Raises:
        SpecError: for a value below 1, or a length that the engine refuses.
    """
    for length in lengths:
        check_positive(max_model_len=length)
    for count in requests:
        check_positive(concurrent_requests=count)
    plans = [judge(length) for length in lengths]
    return Frontier(
        lengths=tuple(lengths),
        requests=tuple(requests),
        max_requests=tuple(e.fit.max_requests for e in plans),
        shares=tuple(tuple(_share(e, count) for count in requests) for e in plans),
    )


def grid_lengths(asked: int, longest: int | None) -> tuple[int, ...]:
    """Half powers of two up to the longest context, or to what is asked where none is known.

    Example:
        >>> grid_lengths(8192, 1024)
        (256, 362, 512, 724, 1024)
    """
    return _half_powers(min(SHORTEST_TOKENS, longest or asked), longest or asked)


def grid_requests(asked: int, fitting: int) -> tuple[int, ...]:
    """Half powers of two to past what is asked and what fits.

    Example:
        >>> grid_requests(1, 2)
        (1, 2, 3, 4, 6, 8)
    """
    return _half_powers(1, max(asked, min(MOST_REQUESTS, HEADROOM * max(asked, fitting))))


def _half_powers(first: int, last: int) -> tuple[int, ...]:
    count = round(2 * math.log2(last / first)) + 1
    return tuple(sorted({min(last, round(first * 2 ** (i / 2))) for i in range(count)}))


def _share(evaluation: Evaluation, requests: int) -> float | None:
    available = evaluation.budget.kv_cache_bytes.best
    if available <= 0:
        return None
    replicas = evaluation.deployment.parallel.data_parallel_size
    needed = evaluation.capacity.best.bytes_for(ceil_div(requests, replicas))
    return needed / available
