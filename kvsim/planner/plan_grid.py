"""Plans over devices, degrees, formats, lengths and users: one budget, then array arithmetic."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import numpy as np

from kvsim.analytic.capacity import TIGHT_SHARE, Cause
from kvsim.analytic.grid import (
    Bools,
    Floats,
    Ints,
    check_fits,
    elementwise,
    spread,
    whole_numbers,
)
from kvsim.engines.layout import Pool
from kvsim.errors import KvsimError, SpecError
from kvsim.planner.plan import Evaluation
from kvsim.specs.deployment import Deployment
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model_len import resolve_max_model_len
from kvsim.specs.parallel import Parallelism
from kvsim.units import ceil_div

if TYPE_CHECKING:
    from kvsim.engines.vllm import VllmCacheLayout
    from kvsim.engines.vllm_cache_config import VllmCacheConfig

Evaluate = Callable[[Deployment, int], Evaluation]
"""A deployment and a number of requests, judged."""

WHATEVER_IS_ASKED = (Cause.NOT_FREE, Cause.NO_CACHE, Cause.HOST_MEMORY)
"""Reasons that hold for any length and any number of requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAxes:
    """What varies; all else is the deployment's."""

    accelerators: tuple[Accelerator, ...]
    parallels: tuple[Parallelism, ...]
    kv_cache_dtypes: tuple[str, ...]
    max_model_len: Ints
    concurrent_requests: Ints

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the figures that depend on all of them."""
        return (
            len(self.accelerators),
            len(self.parallels),
            len(self.kv_cache_dtypes),
            self.max_model_len.size,
            self.concurrent_requests.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanGrid:
    """Plans at every combination, at the likely estimates.

    Arrays have the axes (accelerators, parallels, kv_cache_dtypes, max_model_len), and `fits`,
    `tight` and `needed_bytes` the number of requests as a fifth. Where `answered` is false they
    hold 0, and `refusals` say why by the first three axes' indices and that of the shortest length.
    """

    axes: PlanAxes
    answered: Bools
    kv_cache_bytes: Ints
    num_gpu_blocks: Ints
    request_blocks: Ints
    kv_cache_tokens: Ints
    max_concurrency: Floats
    max_requests: Ints  # over all replicas
    longest_model_len: Ints
    needed_bytes: Ints
    fits: Bools
    tight: Bools  # it fits, but not at the cautious estimates, or nearly fills the cache
    refusals: dict[tuple[int, int, int, int], str]


def plan_grid(deployment: Deployment, axes: PlanAxes, evaluate: Evaluate) -> PlanGrid:
    """Plans at every combination of the axes; all else is the deployment's.

    Raises:
        SpecError: where the engine chooses the length itself, or for a figure that int64 does
            not hold.
    """
    if deployment.engine.auto_max_model_len:
        msg = "auto_max_model_len must be off in a grid over max_model_len"
        raise SpecError(msg)
    grid = _empty(axes)
    for i, accelerator in enumerate(axes.accelerators):
        for j, parallel in enumerate(axes.parallels):
            for k, kv_cache_dtype in enumerate(axes.kv_cache_dtypes):
                one = replace(
                    deployment,
                    accelerator=accelerator,
                    parallel=parallel,
                    engine=replace(deployment.engine, kv_cache_dtype=kv_cache_dtype),
                )
                for places, found in _regimes(one, axes.max_model_len, evaluate):
                    if isinstance(found, str):
                        grid.refusals[i, j, k, int(places[0])] = found
                    else:
                        _fill(grid, (i, j, k), places, found)
    return grid


def _empty(axes: PlanAxes) -> PlanGrid:
    shape = axes.shape

    def ints(size: tuple[int, ...] = shape[:4]) -> Ints:
        return np.zeros(size, np.int64)

    return PlanGrid(
        axes=axes,
        answered=np.zeros(shape[:4], np.bool_),
        kv_cache_bytes=ints(),
        num_gpu_blocks=ints(),
        request_blocks=ints(),
        kv_cache_tokens=ints(),
        max_concurrency=np.zeros(shape[:4], np.float64),
        max_requests=ints(),
        longest_model_len=ints(),
        needed_bytes=ints(shape),
        fits=np.zeros(shape, np.bool_),
        tight=np.zeros(shape, np.bool_),
        refusals={},
    )


def _regimes(
    deployment: Deployment, lengths: Ints, evaluate: Evaluate
) -> Iterator[tuple[Ints, Evaluation | str]]:
    """Indices of lengths that share a budget and a layout, with the plan of the longest of them.

    Batch limits grow with the length or stay, so where they agree at both ends they agree
    between; a refusal that names no length is the same at all.
    """
    order = np.argsort(lengths, kind="stable")
    distinct, starts = np.unique(lengths[order], return_index=True)
    ends = np.append(starts[1:], lengths.size)
    found: dict[int, Evaluation | str] = {}

    def at(i: int) -> Evaluation | str:
        if i not in found:
            found[i] = _evaluated(deployment, int(distinct[i]), evaluate)
        return found[i]

    allowed = int(np.searchsorted(distinct, _longest(deployment, int(distinct[-1])), "right"))
    if allowed < distinct.size:
        yield order[starts[allowed] :], str(at(allowed))
    waiting = [(0, allowed - 1)] if allowed else []
    while waiting:
        low, high = waiting.pop()
        if _shared(at(low)) == _shared(at(high)):
            yield order[starts[low] : ends[high]], at(high)
        else:
            middle = (low + high) // 2
            waiting += [(middle + 1, high), (low, middle)]


def _longest(deployment: Deployment, asked: int) -> int:
    """The longest length that the model allows, at most the asked one."""
    try:
        return resolve_max_model_len(asked, deployment.model)
    except SpecError:
        return resolve_max_model_len(None, deployment.model)


def _evaluated(deployment: Deployment, length: int, evaluate: Evaluate) -> Evaluation | str:
    engine = replace(deployment.engine, max_model_len=length)
    try:
        return evaluate(replace(deployment, engine=engine), 1)
    except KvsimError as error:
        return str(error)


def _shared(found: Evaluation | str) -> object:
    """What two lengths have in common if all that differs is the length itself."""
    if isinstance(found, str):
        return found
    layout = found.layout
    groups = [(group.spec, n) for group, n in layout.equal_groups]
    return (
        replace(found.resolved, max_model_len=1),
        replace(layout.config, max_model_len=1),
        found.budget,
        layout.block_bytes,
        groups,
    )


def _fill(grid: PlanGrid, where: tuple[int, int, int], places: Ints, found: Evaluation) -> None:
    """The figures of one regime, from its budget and the blocks of a request of each length."""
    lengths, best, low = grid.axes.max_model_len[places], found.capacity.best, found.capacity.low
    blocks = spread(found.layout.request_blocks(_at_lengths(found.layout, lengths)), lengths)
    counted = np.maximum(blocks, 1)
    concurrency = np.where(blocks > 0, best.num_gpu_blocks / counted, 0.0)
    usable = best.num_gpu_blocks - best.reserved_blocks
    replicas = found.deployment.parallel.data_parallel_size
    starts = Cause.NOT_FREE not in found.fit.causes
    per_replica = (max(0, usable) if starts else 0) // counted
    figures = {
        "answered": True,
        "kv_cache_bytes": found.budget.kv_cache_bytes.best,
        "num_gpu_blocks": best.num_gpu_blocks,
        "request_blocks": blocks,
        "max_concurrency": concurrency,
        "kv_cache_tokens": (concurrency * lengths).astype(np.int64),
        "max_requests": per_replica * replicas,
        # found holds the longest length of the regime, so its own limit is that of all
        "longest_model_len": np.where(blocks <= usable, lengths, best.longest_model_len),
    }
    for name, values in figures.items():
        getattr(grid, name)[where][places] = values
    asked = grid.axes.concurrent_requests
    share = spread(ceil_div(elementwise(asked), replicas), asked)
    check_fits("needed_bytes", best.block_bytes * int(share.max()) * int(counted.max()))
    needed = (np.multiply.outer(blocks, share) + best.reserved_blocks) * best.block_bytes
    able = np.less_equal.outer(share, per_replica).T
    if any(cause in WHATEVER_IS_ASKED for cause in found.fit.causes):
        able = np.zeros_like(able)
    full = needed > TIGHT_SHARE * found.budget.kv_cache_bytes.best
    sure = np.less_equal.outer(share, _requests(low, counted)).T
    grid.needed_bytes[where][places] = needed
    grid.fits[where][places] = able
    grid.tight[where][places] = able & (full | ~sure)


def _requests(pool: Pool, request_blocks: Ints) -> Ints:
    """Requests of each length that fit at once, as `Pool.max_requests` counts them."""
    return max(0, pool.num_gpu_blocks - pool.reserved_blocks) // request_blocks


class _AtLengths:
    """A layout's settings at many lengths at once: the formulas of blocks are arithmetic in it."""

    def __init__(self, config: "VllmCacheConfig", lengths: Ints) -> None:
        self._config = config
        self.max_model_len = lengths

    def __getattr__(self, name: str) -> object:
        return getattr(self._config, name)


def _at_lengths(layout: "VllmCacheLayout", lengths: Ints) -> "VllmCacheConfig":
    return cast("VllmCacheConfig", _AtLengths(layout.config, lengths))


def plan_axes(
    deployment: Deployment,
    *,
    accelerators: Sequence[Accelerator] | None,
    parallels: Sequence[Parallelism] | None,
    kv_cache_dtypes: Sequence[str] | None,
    max_model_len: Sequence[int] | Ints,
    concurrent_requests: Sequence[int] | Ints,
) -> PlanAxes:
    """The axes; what is not given has the deployment's one value.

    Raises:
        SpecError: for an axis without values.
    """
    axes = PlanAxes(
        accelerators=(deployment.accelerator,) if accelerators is None else tuple(accelerators),
        parallels=(deployment.parallel,) if parallels is None else tuple(parallels),
        kv_cache_dtypes=(deployment.engine.kv_cache_dtype,)
        if kv_cache_dtypes is None
        else tuple(kv_cache_dtypes),
        max_model_len=whole_numbers("max_model_len", max_model_len),
        concurrent_requests=whole_numbers("concurrent_requests", concurrent_requests),
    )
    for name in ("accelerators", "parallels", "kv_cache_dtypes"):
        if not getattr(axes, name):
            msg = f"{name} must hold at least one value"
            raise SpecError(msg)
    return axes
