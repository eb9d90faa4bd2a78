"""Cells of a trace's column as numbers."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kvsim.io.trace_frames import IrregularTrace

if TYPE_CHECKING:
    from polars import Series


def whole_cells(column: "Series") -> NDArray[np.int64]:
    """A column of whole numbers (int64, shape (rows,)); IrregularTrace for other cells."""
    import polars as pl  # noqa: PLC0415 - heavy

    if not (column.dtype == pl.String or column.dtype.is_integer()) or column.null_count():
        raise IrregularTrace
    return column.cast(pl.Int64).to_numpy().astype(np.int64)


def decimal_cells(column: "Series") -> NDArray[np.float64]:
    """A column of numbers (float64, shape (rows,)); IrregularTrace for other cells."""
    import polars as pl  # noqa: PLC0415 - heavy

    kinds = (pl.String, pl.Float64)
    if not (column.dtype in kinds or column.dtype.is_integer()) or column.null_count():
        raise IrregularTrace
    return column.cast(pl.Float64).to_numpy().astype(np.float64)
