"""Tensors of a checkpoint, as its files' headers state them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file: its bytes are the file's, not a formula's."""

    name: str
    format: str  # as the file calls it: "BF16", "Q4_K"
    shape: tuple[int, ...]  # in the file's order
    num_bytes: int


def bytes_by_format(tensors: Iterable[Tensor]) -> dict[str, int]:
    """Bytes of each storage format, largest first.

    Example:
        >>> bytes_by_format([Tensor("a", "F32", (2,), 8), Tensor("b", "Q8_0", (32,), 34)])
        {'Q8_0': 34, 'F32': 8}
    """
    total: dict[str, int] = {}
    for tensor in tensors:
        total[tensor.format] = total.get(tensor.format, 0) + tensor.num_bytes
    return dict(sorted(total.items(), key=lambda item: -item[1]))
