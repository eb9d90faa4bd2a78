"""Grids of caches: a layout per format and number of ranks, all lengths and batches at once."""

from collections.abc import Sequence

import numpy as np

from kvsim.analytic.grid import (
    CacheGrid,
    Ints,
    SequenceGrid,
    check_fits,
    refused,
    sequence_grid,
    whole_numbers,
)
from kvsim.errors import KvsimError
from kvsim.planner.cache_layout import cache_layout
from kvsim.specs.engine import Vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.pool_settings import PoolSettings
from kvsim.specs.transformers import Transformers


# long: one walk over the formats and ranks fills five tables
def cache_grid(
    model: ModelSpec,
    *,
    num_tokens: Sequence[int] | Ints,
    batch_sizes: Sequence[int] | Ints,
    engine: str | Vllm | Transformers | PoolSettings,
    kv_cache_dtypes: Sequence[str],
    dtype: str,
    tensor_parallel_sizes: Sequence[int],
) -> CacheGrid:
    """The cache at every combination; a layout that the engine refuses leaves its part at 0.

    Raises:
        SpecError: for an axis without values, or a figure that int64 does not hold.
    """
    lengths = whole_numbers("num_tokens", num_tokens)
    batches = whole_numbers("batch_sizes", batch_sizes)
    ranks = whole_numbers("tensor_parallel_sizes", tensor_parallel_sizes)
    shape = (len(kv_cache_dtypes), ranks.size, lengths.size, batches.size)
    kv, state = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    answered = np.zeros(shape[:3], np.bool_)
    refusals: dict[tuple[int, int, int], str] = {}
    left_out: dict[str, None] = {}
    name, versions = str(engine), dict[str | None, None]()
    for i, kv_cache_dtype in enumerate(kv_cache_dtypes):
        for j, size in enumerate(ranks.tolist()):
            try:
                layout, _ = cache_layout(
                    model,
                    engine=engine,
                    kv_cache_dtype=kv_cache_dtype,
                    dtype=dtype,
                    tensor_parallel_size=size,
                )
            except KvsimError as error:
                found = refused(lengths, str(error))
            else:
                found = sequence_grid(layout, lengths)
                name, versions[layout.engine_version] = str(layout.engine), None
                left_out |= dict.fromkeys(layout.not_modeled)
            _check(found, batches)
            kv[i, j] = np.multiply.outer(found.kv_bytes, batches)
            state[i, j] = np.multiply.outer(found.state_bytes, batches)
            answered[i, j] = found.answered
            refusals |= {(i, j, place): why for place, why in found.refusals.items()}
    return CacheGrid(
        engine=name,
        engine_versions=tuple(versions),
        kv_cache_dtypes=tuple(kv_cache_dtypes),
        tensor_parallel_sizes=tuple(ranks.tolist()),
        num_tokens=lengths,
        batch_sizes=batches,
        kv_bytes=kv,
        state_bytes=state,
        answered=answered,
        refusals=refusals,
        not_modeled=tuple(left_out),
    )


def _check(found: SequenceGrid, batches: Ints) -> None:
    largest = int(found.kv_bytes.max()) + int(found.state_bytes.max())
    check_fits("cache bytes", largest * int(batches.max()))
