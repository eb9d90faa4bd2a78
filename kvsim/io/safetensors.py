"""Safetensors headers: exact bytes of every tensor, without reading any data."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn, TypeGuard

from kvsim.errors import FileError
from kvsim.io.limits import (
    MAX_SAFETENSORS_HEADER_BYTES,
    MAX_SAFETENSORS_INDEX_BYTES,
    MAX_SAFETENSORS_TENSORS,
)
from kvsim.specs.tensors import Tensor
from kvsim.units import format_bytes

LENGTH_BYTES = 8  # the header's own length, before it
MAX_DIMS = 16
INDEX_NAME = "model.safetensors.index.json"
WHOLE_NAME = "model.safetensors"
METADATA = "__metadata__"

DTYPE_BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I8": 8,
    "U8": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "I64": 64,
    "U64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one value.

Source: safetensors `Dtype::bitsize`, safetensors/src/tensor.rs, 0.8.0.
"""


def holds_safetensors(folder: Path) -> bool:
    """Whether a folder has weights in this format."""
    return any(folder.glob("*.safetensors"))


def read_tensors(path: Path) -> tuple[Tensor, ...]:
    """Every tensor of a file, of the files that an index names, or of a folder.

    Args:
        path: a .safetensors file, an index, or a folder with either.

    Raises:
        FileError: if a file is missing, truncated, claims more than it holds, or contradicts
            itself or the index.
    """
    if path.is_dir():
        if (path / INDEX_NAME).is_file():
            return _of_index(path / INDEX_NAME)
        if (path / WHOLE_NAME).is_file():
            return _of_file(path / WHOLE_NAME)
        return _joined(_of_file(one) for one in sorted(path.glob("*.safetensors")))
    return _of_index(path) if path.suffix == ".json" else _of_file(path)


def _of_index(path: Path) -> tuple[Tensor, ...]:
    values = _parse(path.name, _read(path, 0, MAX_SAFETENSORS_INDEX_BYTES))
    where = values.get("weight_map")
    if not isinstance(where, Mapping) or not where:
        _refuse(path.name, "weight_map must name a file for every tensor")
    names = set(map(str, where.values()))
    if any(Path(name).name != name or name in ("", "..") or "\0" in name for name in names):
        _refuse(path.name, "weight_map must name files of its own folder")
    tensors = _joined(_of_file(path.parent / name) for name in sorted(names))
    held = {tensor.name for tensor in tensors}
    if absent := [name for name in where if name not in held]:
        _refuse(path.name, f"its tensor {str(absent[0])[:60]} is in none of its files")
    return tensors


def _joined(parts: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    found: dict[str, Tensor] = {}
    for tensors in parts:
        for tensor in tensors:
            if tensor.name in found:
                _refuse(tensor.name[:60], "two files hold this tensor")
            found[tensor.name] = tensor
    return tuple(found.values())


def _of_file(path: Path) -> tuple[Tensor, ...]:
    try:
        size = path.stat().st_size
    except OSError as error:
        _refuse(path.name, f"it cannot be read: {error.strerror}")
    if size < LENGTH_BYTES:
        _refuse(path.name, "it is truncated before its header's length")
    length = int.from_bytes(_read(path, 0, LENGTH_BYTES, exact=LENGTH_BYTES), "little")
    if length > MAX_SAFETENSORS_HEADER_BYTES:
        _refuse(
            path.name,
            f"its header claims {length:,} bytes, at most {MAX_SAFETENSORS_HEADER_BYTES:,}",
        )
    if LENGTH_BYTES + length > size:
        _refuse(path.name, f"its header claims {length:,} bytes, the file has {size:,}")
    values = _parse(path.name, _read(path, LENGTH_BYTES, length, exact=length))
    entries = {name: value for name, value in values.items() if name != METADATA}
    if len(entries) > MAX_SAFETENSORS_TENSORS:
        _refuse(path.name, f"it claims {len(entries)} tensors, at most {MAX_SAFETENSORS_TENSORS}")
    spans, tensors = [], []
    for name, value in entries.items():
        tensor, start, end = _tensor(path.name, name, value)
        tensors.append(tensor)
        spans.append((start, end, name))
    _check_spans(path.name, spans, size - LENGTH_BYTES - length)
    return tuple(tensors)


def _tensor(file: str, name: str, value: object) -> tuple[Tensor, int, int]:
    if not isinstance(value, Mapping):
        _refuse(file, f"tensor {name[:60]} is no object")
    dtype, shape, offsets = (value.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        _refuse(file, f"tensor {name[:60]} has the unknown dtype {str(dtype)[:20]}")
    if not _is_wholes(shape) or len(shape) > MAX_DIMS:
        _refuse(file, f"tensor {name[:60]} has no shape of whole numbers")
    if not _is_wholes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(file, f"tensor {name[:60]} has no data_offsets [begin, end]")
    start, end = offsets
    bits = math.prod(shape) * DTYPE_BITS[dtype]
    if bits % 8 or bits // 8 != end - start:
        _refuse(
            file, f"tensor {name[:60]}: {dtype} of shape {shape} contradicts {end - start} bytes"
        )
    return Tensor(name, dtype, tuple(shape), end - start), start, end


def _is_wholes(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(v) is int and v >= 0 for v in values)


def _check_spans(file: str, spans: list[tuple[int, int, str]], data_bytes: int) -> None:
    """Refuse data with gaps or overlaps, and files that end before or behind them."""
    end = 0
    for start, stop, name in sorted(spans):
        if start != end:
            _refuse(file, f"tensor {name[:60]} begins at {start}, the one before ends at {end}")
        end = stop
    if end != data_bytes:
        what = "truncated" if end > data_bytes else "too long"
        held, claimed = format_bytes(data_bytes), format_bytes(end)
        _refuse(file, f"it is {what}: its tensors take {claimed}, it holds {held}")


def _read(path: Path, start: int, num_bytes: int, *, exact: int | None = None) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(start)
            raw = file.read(num_bytes + (exact is None))
    except OSError as error:
        _refuse(path.name, f"it cannot be read: {error.strerror}")
    if exact is None and len(raw) > num_bytes:
        _refuse(path.name, f"it is larger than {format_bytes(num_bytes)}")
    if exact is not None and len(raw) != exact:
        _refuse(path.name, "it is truncated inside its header")
    return raw


def _parse(name: str, raw: bytes) -> Mapping[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        values = dict(pairs)
        if len(values) != len(pairs):
            _refuse(name, "its header states a name twice")
        return values

    try:
        values = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        _refuse(name, f"its header is no valid JSON: {str(error)[:80]}")
    if not isinstance(values, dict):
        _refuse(name, "its header is no object")
    return values


def _refuse(name: str, why: str) -> NoReturn:
    msg = f"{name}: no readable safetensors: {why}"
    raise FileError(msg)
