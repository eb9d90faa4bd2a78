"""llama.cpp's figures explained from the shape that the log itself prints."""

from kvsim.errors import KvsimError
from kvsim.planner.reconciliation import Findings, Part, numbers, printed, whole_number
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.llama_cpp import cache_type
from kvsim.specs.overheads import Interval, exact, total
from kvsim.units import MiB

ON_HOST = ("CPU", "_Host", "BLAS", "_Mapped")
"""Buffers that are no device's memory."""

PADDING = ("CUDA", "ROCm")
ROW_VALUES = 512
"""Quantised rows end on a multiple of this many values in these devices' buffers.

Source: ggml `MATRIX_ROW_PADDING`, ggml-cuda/common.cuh.
"""


def reconcile_llama_cpp(log: EngineLog) -> Findings:
    """Every check that the log's figures allow."""
    found = Findings()
    _sides(log, found)
    _buffers(log, found)
    _cells(log, found)
    _fit(log, found)
    return found


def _sides(log: EngineLog, found: Findings) -> None:
    """Keys and values make up each cache."""
    caches, keys = numbers(log, "kv_mib"), numbers(log, "k_mib")
    values = numbers(log, "v_mib")
    if not caches or not len(caches) == len(keys) == len(values):
        return
    for i, size in enumerate(caches):
        found.check(
            _named("keys and values", i, len(caches)),
            "bytes",
            Part(name="printed cache", value=printed(size, MiB)),
            [
                Part(name="keys", value=printed(keys[i], MiB)),
                Part(name="values", value=printed(values[i], MiB)),
            ],
        )


def _named(name: str, index: int, count: int) -> str:
    if count == 1:
        return name
    return f"{name}, {'full cache' if index == 0 else 'window cache'}"


def _buffers(log: EngineLog, found: Findings) -> None:
    """The devices' buffers make up all caches."""
    caches, buffers = numbers(log, "kv_mib"), devices(log, "kv_buffers_mib")
    if not caches or not buffers:
        return
    found.check(
        "cache over devices",
        "bytes",
        Part(name="printed caches", value=_sum([printed(size, MiB) for size in caches])),
        [
            *(Part(name=device, value=printed(size, MiB)) for device, size in buffers),
            *_padding(log),
        ],
        "a buffer can be larger than what it holds" if _padding(log) else "",
    )


def _padding(log: EngineLog) -> list[Part]:
    """What CUDA's buffers add to rows of quantised tensors, as a part that is negative."""
    kinds = [str(log.settings.get(name, "")) for name in ("cache_type_k", "cache_type_v")]
    on_cuda = [name for name, _ in devices(log, "kv_buffers_mib") if name.startswith(PADDING)]
    layers = numbers(log, "n_layer")
    if not on_cuda or not layers:
        return []
    most = 0
    for kind in kinds:
        try:
            row = cache_type(kind, field="cache_type")
        except KvsimError:
            continue
        most += row.nbytes(ROW_VALUES) * int(layers[0]) if row.group_elems > 1 else 0
    added = Interval(-most, 0, 0, "ggml_backend_cuda_buffer_type_get_alloc_size")
    return [Part(name="rows padded for kernels", value=added)] if most else []


def _sum(values: list[Interval]) -> Interval:
    return total(values)


def devices(log: EngineLog, name: str) -> list[tuple[str, float]]:
    """A list of buffers: device and MiB."""
    found = log.measured.get(name)
    return [
        (str(pair[0]), float(pair[1]))
        for pair in (found if isinstance(found, list) else [])
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int | float)
    ]


def _cells(log: EngineLog, found: Findings) -> None:
    """Cells x layers x width of keys and values in their formats."""
    caches, cells = numbers(log, "kv_mib"), numbers(log, "kv_cells")
    layers = numbers(log, "kv_layers")
    if not cells and len(caches) == 1 and (length := whole_number(log, "n_ctx")):
        cells = [float(length)]
        layers = numbers(log, "n_layer")
    widths = [_widths(log, name) for name in ("n_embd_k_gqa", "n_embd_v_gqa")]
    if not caches or len(cells) != len(caches) or len(layers) != len(caches):
        found.not_checked.append("cells: their number or that of the layers is not printed")
        return
    if not widths[0] or not widths[1] or "ckv_mib" in log.measured:
        found.not_checked.append("cells: the width of keys and values is not printed")
        return
    for i, size in enumerate(caches):
        predicted = _cell_bytes(log, widths, int(layers[i]), int(cells[i]), found)
        if predicted is None:
            return
        name = f"{int(cells[i]):,} cells x {int(layers[i])} layers of keys and values"
        found.predicted[_named("kv_mib", i, len(caches))] = predicted
        found.check(
            _named("cells and layers", i, len(caches)),
            "bytes",
            Part(name="printed cache", value=printed(size, MiB)),
            [Part(name=name, value=predicted)],
        )


def _widths(log: EngineLog, name: str) -> list[int]:
    return [int(width) for width in numbers(log, name)]


def _cell_bytes(
    log: EngineLog, widths: list[list[int]], layers: int, cells: int, found: Findings
) -> Interval | None:
    """Bytes of a cache whose layers are as wide as printed; lists are one width per layer."""
    num_bytes = 0
    for side, name in zip(widths, ("cache_type_k", "cache_type_v"), strict=True):
        try:
            kind = cache_type(str(log.settings.get(name, "")), field=name)
        except KvsimError as error:
            found.not_checked.append(f"cells: {error}")
            return None
        per_layer = side if len(side) > 1 else side * layers
        if len(per_layer) != layers:
            found.not_checked.append("cells: layers of different widths are in different caches")
            return None
        num_bytes += cells * sum(kind.nbytes(width) for width in per_layer)
    return exact(num_bytes, "cells x layers x width")


def _fit(log: EngineLog, found: Findings) -> None:
    """What `--fit` projected is what the devices then hold."""
    projected = numbers(log, "fit_projected_mib")
    names = ("weights_mib", "kv_buffers_mib", "rs_buffers_mib", "compute_buffers_mib")
    held = [
        Part(name=f"{device}, {name.removesuffix('_mib').replace('_', ' ')}", value=size)
        for name in names
        for device, mib in devices(log, name)
        if not any(mark in device for mark in ON_HOST)
        for size in [printed(mib, MiB)]
    ]
    if not projected or not numbers(log, "kv_mib") or not held:
        return
    whole = int(projected[0])
    found.check(
        "memory on devices",
        "bytes",
        Part(
            name="projected by --fit",
            value=Interval(whole * MiB, whole * MiB, (whole + len(held)) * MiB, "printed"),
        ),
        held,
        "each size is rounded down before they are added",
    )
