"""llama.cpp's caches as it prints them: cells of keys and values, recurrent rows, compressors."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kvsim.dtypes import FP32


class Pool(StrEnum):
    """Caches that llama.cpp creates, in its order."""

    FULL = "full attention"
    INDEX = "indexer keys"
    SLIDING = "sliding window"
    COMPRESSED = "compressed attention"
    HEAVILY_COMPRESSED = "heavily compressed attention"
    COMPRESSED_INDEX = "compressed indexer keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """What one layer stores in one cell."""

    layer: int
    k_bytes: int
    v_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCache:
    """One cache: so many cells in each stream, a row of every layer in each cell."""

    pool: Pool
    cells: int
    num_streams: int
    tokens_per_cell: int
    type_k: str
    type_v: str
    rows: tuple[CellRow, ...]

    @property
    def num_layers(self) -> int:
        """Layers with a row, as the log counts them."""
        return len(self.rows)

    @property
    def k_bytes(self) -> int:
        """Keys over all streams."""
        return self.cells * self.num_streams * sum(row.k_bytes for row in self.rows)

    @property
    def v_bytes(self) -> int:
        """Values over all streams."""
        return self.cells * self.num_streams * sum(row.v_bytes for row in self.rows)

    @property
    def total_bytes(self) -> int:
        """Keys and values."""
        return self.k_bytes + self.v_bytes

    @property
    def cell_bytes(self) -> int:
        """One cell over all layers."""
        return sum(row.k_bytes + row.v_bytes for row in self.rows)

    def layer_bytes(self) -> dict[int, int]:
        """Bytes of every layer over all streams."""
        cells = self.cells * self.num_streams
        return {row.layer: cells * (row.k_bytes + row.v_bytes) for row in self.rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """Values that one layer keeps of one sequence: convolution, state, n-gram history."""

    layer: int
    r_elems: int
    s_elems: int
    p_elems: int = 0

    @property
    def num_bytes(self) -> int:
        """All three; llama.cpp keeps them in float32 whatever the model's format."""
        return FP32.nbytes(self.r_elems + self.s_elems + self.p_elems)


@dataclass(frozen=True, slots=True, kw_only=True)
class StateCache:
    """Recurrent state: a row for every slot, and one more for every token of a draft."""

    rows: int
    n_rs_seq: int
    num_model_layers: int  # as the log counts them: all of the model's
    layers: tuple[StateRow, ...]

    @property
    def copies(self) -> int:
        """Rows with their snapshots."""
        return self.rows * (1 + self.n_rs_seq)

    @property
    def r_bytes(self) -> int:
        """Convolutions' last inputs."""
        return self.copies * FP32.nbytes(sum(row.r_elems for row in self.layers))

    @property
    def s_bytes(self) -> int:
        """States."""
        return self.copies * FP32.nbytes(sum(row.s_elems for row in self.layers))

    @property
    def p_bytes(self) -> int:
        """Histories of n-gram embeddings."""
        return self.copies * FP32.nbytes(sum(row.p_elems for row in self.layers))

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.r_bytes + self.s_bytes + self.p_bytes

    def layer_bytes(self) -> dict[int, int]:
        """Bytes of every recurrent layer, snapshots included."""
        return {row.layer: self.copies * row.num_bytes for row in self.layers}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressorState:
    """What compressors keep of tokens that wait for their entry: one layer, one stream."""

    layer: int
    window_elems: int  # values of the waiting tokens, projection and gate counted apart

    def num_bytes(self, copies: int) -> int:
        """Projection and gate in float32, over streams and their snapshots.

        Source:
            llama.cpp `llama_dsv4_comp_state`, src/llama-kv-cache-dsv4.cpp, 0.5.0-dev.
        """
        return 2 * copies * FP32.nbytes(self.window_elems)


def summed(tables: list[Mapping[int, int]]) -> dict[int, int]:
    """Layers' bytes added up over caches."""
    total: dict[int, int] = {}
    for table in tables:
        for layer, num_bytes in table.items():
            total[layer] = total.get(layer, 0) + num_bytes
    return total
