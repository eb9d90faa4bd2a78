"""Measured steps from benchmarks, and the line of least squares through them."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, combinations, pairwise
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kvsim.errors import SpecError
from kvsim.specs.bench import BenchRequest, BenchResult
from kvsim.specs.step_table import Residuals, StepLine, StepPoint, StepTable

Floats = NDArray[np.float64]

MIN_GAP_S = 1e-4
"""Shorter gaps are two chunks of one step that a client read one after the other."""

JITTER = 0.25
"""Share of a step that the tokens of one step may reach their clients apart."""

MAX_STEPS = 200_000
"""Most steps of a fit; of more, every n-th is taken."""

MIN_GAIN = 1e-6
"""Share of the squared error that one more term must save to be kept."""

NOT_MODELED = (
    "tokens that a prefix cache spared: prompts count in full",
    "queueing and network between client and server, which are in the measured gaps",
)
MEANS_ALONE = "how steps differ: one file without --save-detailed is one mean step"


def fit_step_table(results: Sequence[BenchResult]) -> StepTable:
    """The table of measured steps, and the line that says how long any step takes.

    Args:
        results: benchmarks of one model on one server.

    Raises:
        SpecError: for benchmarks of different models, or without a single gap between tokens.
    """
    models = sorted({result.model_id for result in results})
    if len(models) != 1:
        msg = f"model_id={', '.join(models)[:100] or None} must be one model's"
        raise SpecError(msg)
    parts = [timed_steps(r.requests) if r.is_timed else _mean_step(r) for r in results]
    steps = np.concatenate(parts)
    if not len(steps):
        msg = f"{results[0].name}: itls must hold at least one gap between two tokens"
        raise SpecError(msg)
    steps = steps[:: -(-len(steps) // MAX_STEPS)]
    line = _fit(steps)
    are_timed = all(result.is_timed for result in results)
    return StepTable(
        source=f"steps of {models[0]} on {results[0].backend} in "
        + ", ".join(result.name for result in results),
        line=line,
        residuals=_residuals(steps, line),
        points=tuple(_points(steps)),
        num_steps=len(steps),
        not_modeled=NOT_MODELED if are_timed else (*NOT_MODELED, MEANS_ALONE),
    )


def _mean_step(result: BenchResult) -> Floats:
    """The average step of a benchmark whose requests were not recorded, by Little's law."""
    seconds = result.mean_itl_s or result.mean_tpot_s
    if not seconds:
        return np.empty((0, 4))
    decoding = result.total_output_tokens * seconds / result.duration_s
    prefilled = result.total_input_tokens * seconds / result.duration_s
    prompt = result.total_input_tokens / result.num_completed
    answer = result.total_output_tokens / result.num_completed
    cached = decoding * (prompt + answer / 2)
    return np.array([[decoding, decoding + prefilled, cached, seconds]])


def timed_steps(requests: Sequence[BenchRequest]) -> Floats:
    """Each step while anyone decodes, as one of those who decode saw it.

    Returns:
        Requests, tokens computed, tokens cached and seconds of each; float64, shape (steps, 4).
    """
    times = [_token_times(request) for request in requests]
    gaps = [
        gap
        for leader in _leaders(times)
        for gap in pairwise(times[leader.request])
        if gap[0] >= leader.from_s and gap[1] - gap[0] >= MIN_GAP_S
    ]
    if not gaps:
        return np.empty((0, 4))
    before, after = np.array(gaps, dtype=np.float64).T
    seconds = after - before
    late = JITTER * np.median(seconds)
    before, after = before + late, after + late
    prompts = np.array([r.num_prompt_tokens for r in requests], dtype=np.float64)
    begun = _Sums(np.array([t[0] for t in times]), prompts)
    ended = _Sums(np.array([t[-1] for t in times]), prompts)
    answers = _Sums(ended.times, np.array([len(t) for t in times], dtype=np.float64)[ended.order])
    emitted = np.searchsorted(np.sort(np.concatenate(times)), before, side="right")
    decoding = begun.count(before) - ended.count(before)
    joined = begun.count(after) - begun.count(before)
    joined_tokens = begun.total(after) - begun.total(before)
    held = begun.total(before) - ended.total(before) + emitted - answers.total(before)
    return np.column_stack(
        [decoding + joined, decoding + joined_tokens, held + joined_tokens, seconds]
    )


class _Leader(NamedTuple):
    request: int
    from_s: float


def _leaders(times: Sequence[Sequence[float]]) -> Iterator[_Leader]:
    """Requests one after the other, each the one that decodes longest of those there are."""
    order = sorted(range(len(times)), key=lambda i: times[i][0])
    now, best, i = -inf, None, 0
    while True:
        while i < len(order) and times[order[i]][0] <= now:
            if best is None or times[order[i]][-1] > times[best][-1]:
                best = order[i]
            i += 1
        if best is not None and times[best][-1] > now:
            yield _Leader(best, now)
            now = times[best][-1]
        elif i < len(order):
            now = times[order[i]][0]
        else:
            return


class _Sums:
    """How many events there were up to a time, and the sum of what they count."""

    def __init__(self, times: Floats, values: Floats) -> None:
        self.order = np.argsort(times, kind="stable")
        self.times = times[self.order]
        self._sums = np.concatenate([[0.0], np.cumsum(values[self.order])])

    def count(self, until: Floats) -> NDArray[np.int64]:
        """Events up to each of these times."""
        return np.searchsorted(self.times, until, side="right")

    def total(self, until: Floats) -> Floats:
        """Their sum."""
        total: Floats = self._sums[self.count(until)]
        return total


def _token_times(request: BenchRequest) -> list[float]:
    assert request.start_s is not None
    assert request.ttft_s is not None
    return list(accumulate(request.itls_s, initial=request.start_s + request.ttft_s))


def _fit(steps: Floats) -> StepLine:
    """Least squares of relative errors, no term below 0: of all choices the best and shortest."""
    columns = np.column_stack([np.ones(len(steps)), steps[:, :3]]) / steps[:, 3:]
    wanted = np.ones(len(steps))
    most = min(columns.shape[1], len(steps))
    best, best_error = np.zeros(4), inf
    for count in range(1, most + 1):
        for chosen in combinations(range(4), count):
            terms = np.zeros(4)
            scale = columns[:, chosen].max(axis=0)
            if not scale.all():
                continue  # nobody took a part of this kind
            solved = np.linalg.lstsq(columns[:, chosen] / scale, wanted, rcond=None)[0]
            terms[list(chosen)] = solved / scale
            error = float(np.sum((columns @ terms - wanted) ** 2))
            if solved.min() >= 0 and error < best_error * (1 - MIN_GAIN):
                best, best_error = terms, error
    base, request, token, cached = (float(term) for term in best)
    return StepLine(
        base_s=base, per_request_s=request, per_token_s=token, per_cached_token_s=cached
    )


def _residuals(steps: Floats, line: StepLine) -> Residuals:
    fitted = line.base_s + steps[:, :3] @ np.array(
        [line.per_request_s, line.per_token_s, line.per_cached_token_s]
    )
    shares = np.abs(steps[:, 3] / fitted - 1)
    return Residuals(
        mean_absolute=float(shares.mean()),
        p90_absolute=float(np.percentile(shares, 90)),
        largest_absolute=float(shares.max()),
    )


def _points(steps: Floats) -> Iterator[StepPoint]:
    """Means of steps with as many requests, to a power of two; those with prompts apart."""
    has_prompts = steps[:, 1] > steps[:, 0]
    sizes = np.ceil(np.log2(np.maximum(steps[:, 0], 1))).astype(int)
    found = []
    for size, prompts in sorted(set(zip(sizes.tolist(), has_prompts.tolist(), strict=True))):
        rows = steps[(sizes == size) & (has_prompts == prompts)]
        requests, tokens, cached, seconds = (float(mean) for mean in rows.mean(axis=0))
        found.append(
            StepPoint(
                num_requests=requests,
                num_tokens=tokens,
                num_cached_tokens=cached,
                seconds=seconds,
                num_steps=len(rows),
            )
        )
    yield from sorted(found, key=lambda point: (point.num_requests, point.num_tokens))
