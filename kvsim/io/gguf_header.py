"""A GGUF file's header: metadata and tensors, read in bounded time and memory."""

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NoReturn

from kvsim.errors import FileError
from kvsim.io.limits import (
    MAX_GGUF_ARRAY,
    MAX_GGUF_ENTRIES,
    MAX_GGUF_HEADER_BYTES,
    MAX_GGUF_NAME_BYTES,
    MAX_GGUF_STRINGS,
    MAX_GGUF_TENSOR_BYTES,
)
from kvsim.message import Message
from kvsim.specs.tensors import Tensor
from kvsim.units import format_bytes, round_up

MAGIC = b"GGUF"
VERSIONS = (2, 3)
KEPT_VALUES = 4096  # arrays longer than this are counted, not kept
MAX_DIMS = 4  # GGML_MAX_DIMS
DEFAULT_ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT

STRING, ARRAY = 8, 9
SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
"""GGUF value types -> how they are stored, little endian."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says before its data; long arrays are ranges of their length."""

    metadata: dict[str, object]
    tensors: tuple[Tensor, ...]


def read_header(path: Path) -> GgufHeader:
    """The metadata and the tensors of a GGUF file; the data are not read.

    Raises:
        FileError: if the file is truncated, claims more than it holds, or contradicts itself.
    """
    try:
        with path.open("rb") as file:
            return _Reader(file, path.name, path.stat().st_size).header()
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror}"
        raise FileError(msg) from None


def cut_header(start: bytes, *, name: str) -> GgufHeader:
    """The header of a GGUF file of which only the start is there; its data may be missing.

    Raises:
        FileError: if the header itself is cut, or contradicts itself.
    """
    return _Reader(BytesIO(start), name, len(start), most_bytes=MAX_GGUF_TENSOR_BYTES).header()


class _Reader:
    """Reads forward through the header; never past the file's end or the limit.

    `most_bytes` bounds the data that the header may claim; None: what the file holds.
    """

    def __init__(
        self, file: BinaryIO, name: str, num_bytes: int, *, most_bytes: int | None = None
    ) -> None:
        self._file = file
        self._name = name
        self._file_bytes = num_bytes
        self._most_bytes = num_bytes if most_bytes is None else most_bytes
        self._position = 0
        self._strings_left = MAX_GGUF_STRINGS

    def header(self) -> GgufHeader:
        """Everything before the data."""
        if self._take(4, "magic") != MAGIC:
            self._refuse("it does not begin with GGUF")
        version = self._scalar("<I", "version")
        if version not in VERSIONS:
            self._refuse(f"version {version} is not one of {VERSIONS}")
        num_tensors = self._count("number of tensors")
        num_keys = self._count("number of metadata keys")
        metadata: dict[str, object] = {}
        for _ in range(num_keys):
            key = self._text("metadata key")
            if key in metadata:
                self._refuse(f"{key[:60]} is stated twice")
            metadata[key] = self._value(key)
        return GgufHeader(metadata, self._tensors(num_tensors, metadata))

    def _value(self, key: str) -> object:
        kind = self._scalar("<I", key)
        if kind == STRING:
            return self._text(key)
        if kind != ARRAY:
            return self._scalar(self._format(kind, key), key)
        of_kind, count = self._scalar("<I", key), self._scalar("<Q", key)
        if count > MAX_GGUF_ARRAY:
            self._refuse(f"{key[:60]} claims {count} values, at most {MAX_GGUF_ARRAY} are read")
        if of_kind == STRING:
            return self._strings(key, count)
        layout = self._format(of_kind, key)
        raw = self._take(count * struct.calcsize(layout), key)
        if count > KEPT_VALUES:
            return range(count)
        return list(struct.unpack(f"<{count}{layout[1]}", raw))

    def _strings(self, key: str, count: int) -> object:
        self._strings_left -= count
        if self._strings_left < 0:
            self._refuse(f"{key[:60]}: more than {MAX_GGUF_STRINGS} strings are not read")
        kept = [self._string_bytes(key) for _ in range(count)] if count <= KEPT_VALUES else None
        if kept is not None:
            return [one.decode("utf-8", "replace") for one in kept]
        for _ in range(count):
            self._string_bytes(key)
        return range(count)

    def _tensors(self, count: int, metadata: dict[str, object]) -> tuple[Tensor, ...]:
        from gguf.constants import (  # noqa: PLC0415 - it brings numpy
            GGML_QUANT_SIZES,
            GGMLQuantizationType,
        )

        sizes = {
            int(kind): (kind.name, *GGML_QUANT_SIZES[kind])
            for kind in GGMLQuantizationType
            if kind in GGML_QUANT_SIZES
        }
        found: dict[str, Tensor] = {}
        spans = []
        for _ in range(count):
            name = self._text("tensor name")
            shape = self._shape(name)
            kind, offset = self._scalar("<I", name), self._scalar("<Q", name)
            if kind not in sizes:
                self._refuse(f"tensor {name[:60]} has the unknown type {kind}")
            label, group, group_bytes = sizes[kind]
            if name in found:
                self._refuse(f"tensor {name[:60]} is stated twice")
            num_bytes = self._tensor_bytes(name, shape, group, group_bytes)
            found[name] = Tensor(name, label, shape, num_bytes)
            spans.append((offset, num_bytes, name))
        self._check_spans(spans, metadata.get("general.alignment", DEFAULT_ALIGNMENT))
        return tuple(found.values())

    def _shape(self, name: str) -> tuple[int, ...]:
        dims = self._scalar("<I", name)
        if not 1 <= dims <= MAX_DIMS:
            self._refuse(f"tensor {name[:60]} has {dims} dimensions, 1 to {MAX_DIMS} exist")
        return struct.unpack(f"<{dims}Q", self._take(8 * dims, name))

    def _tensor_bytes(self, name: str, shape: tuple[int, ...], group: int, group_bytes: int) -> int:
        elems = 1
        for size in shape:
            elems *= size
            if size < 1 or elems > self._most_bytes * group:
                self._refuse(f"it is truncated, or its tensor {name[:60]} is no {shape}")
        if shape[0] % group:
            self._refuse(f"tensor {name[:60]}: groups of {group} do not divide rows of {shape[0]}")
        return elems // group * group_bytes

    def _check_spans(self, spans: list[tuple[int, int, str]], alignment: object) -> None:
        """Refuse data that overlap, stand askew, or end behind the file's end."""
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            self._refuse(f"general.alignment={str(alignment)[:20]} must be a power of two")
        start, end = round_up(self._position, int(alignment)), 0
        for offset, num_bytes, name in sorted(spans):
            if offset % int(alignment) or offset < end:
                self._refuse(f"tensor {name[:60]} at {offset} overlaps another or is not aligned")
            end = offset + num_bytes
            if start + end > self._most_bytes:
                size = format_bytes(self._most_bytes)
                self._refuse(f"it is truncated: tensor {name[:60]} ends behind its {size}")

    def _count(self, what: str) -> int:
        count = self._scalar("<Q", what)
        if count > MAX_GGUF_ENTRIES:
            self._refuse(f"the {what} is {count}, at most {MAX_GGUF_ENTRIES} are read")
        return count

    def _text(self, what: str) -> str:
        return self._string_bytes(what).decode("utf-8", "replace")

    def _string_bytes(self, what: str) -> bytes:
        length = self._scalar("<Q", what)
        if what in ("metadata key", "tensor name") and length > MAX_GGUF_NAME_BYTES:
            self._refuse(f"a {what} claims {length} bytes")
        return self._take(length, what)

    def _format(self, kind: int, key: str) -> str:
        if kind not in SCALARS:
            self._refuse(f"{key[:60]} has the unknown value type {kind}")
        return SCALARS[kind]

    def _scalar(self, layout: str, what: str) -> int:
        value: int = struct.unpack(layout, self._take(struct.calcsize(layout), what))[0]
        return value

    def _take(self, num_bytes: int, what: str) -> bytes:
        end = self._position + num_bytes
        if end > self._file_bytes:
            self._refuse(f"its header is truncated at {what[:60]}")
        if end > MAX_GGUF_HEADER_BYTES:
            limit = format_bytes(MAX_GGUF_HEADER_BYTES)
            self._refuse(f"its header is larger than {limit} at {what[:60]}")
        raw = self._file.read(num_bytes)
        if len(raw) != num_bytes:
            self._refuse(f"its header is truncated at {what[:60]}")
        self._position = end
        return raw

    def _refuse(self, why: str) -> NoReturn:
        said = Message.of_all([why])
        msg = Message("{name} is no readable GGUF file: {why}", name=self._name, why=said)
        raise FileError(msg)
