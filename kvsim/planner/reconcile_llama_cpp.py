"""llama.cpp's figures explained from the shape that the log itself prints."""

from dataclasses import dataclass

from kvsim.errors import KvsimError
from kvsim.message import Message
from kvsim.planner.reconciliation import Findings, Part, left_out, numbers, printed, whole_number
from kvsim.specs.engine_log import EngineLog
from kvsim.specs.llama_cpp import cache_type
from kvsim.specs.overheads import Interval, exact, total
from kvsim.units import MiB

WINDOWED = ("full cache", "window cache")
"""Caches of a model with windows, in the order of the log; one of them alone is half a log."""

PADDING = ("CUDA", "ROCm")
ROW_VALUES = 512
"""Quantised rows end on a multiple of this many values in these devices' buffers.

Source: ggml `MATRIX_ROW_PADDING`, ggml-cuda/common.cuh.
"""


SIDES = (("k_mib", "n_embd_k_gqa", "keys"), ("v_mib", "n_embd_v_gqa", "values"))
"""Printed sizes, the widths that make them up, and what they are; formats by the first letter."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Cells over all streams, and layers, of one cache."""

    cells: int
    layers: int


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
    return Message("{name}, {which}", name=name, which=WINDOWED[min(index, 1)])


def _buffers(log: EngineLog, found: Findings) -> None:
    """The devices' buffers make up all caches."""
    caches, buffers = numbers(log, "kv_mib"), devices(log, "kv_buffers_mib")
    is_cut = log.lines.get("kv_buffers_mib") == 1 or (
        "full_cells" in log.measured and len(caches) < len(WINDOWED)
    )
    if not caches or not buffers or is_cut:
        return
    found.check(
        "cache over devices",
        "bytes",
        Part(name="printed caches", value=_sum([printed(size, MiB) for size in caches])),
        [
            *(
                Part(name=Message("{device}", device=device), value=printed(size, MiB))
                for device, size in buffers
            ),
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
    caches, shapes = numbers(log, "kv_mib"), _shapes(log)
    if not caches or len(shapes) != len(caches) or "ckv_mib" in log.measured:
        found.not_checked.append("cells: their number or the layers' is not printed")
        return
    depth = numbers(log, "n_layer")
    if not depth or sum(shape.layers for shape in shapes) > depth[0]:
        found.not_checked.append("cells: more than one model is loaded, or none is described")
        return
    for side, width, kind in SIDES:
        sizes = numbers(log, side)
        if len(sizes) != len(caches):
            continue
        for i, size in enumerate(sizes):
            if size == 0:  # values that are part of the keys
                continue
            predicted = _side_bytes(log, shapes[i], width, kind, found)
            if predicted is None:
                return
            cells, layers = shapes[i].cells, shapes[i].layers
            name = _named(side, i, len(sizes))
            found.predicted[name] = predicted
            found.check(
                _named(f"{kind} of all cells", i, len(sizes)),
                "bytes",
                Part(name="printed size", value=printed(size, MiB)),
                [
                    Part(
                        name=Message(
                            "{cells} cells x {layers} layers x width",
                            cells=f"{cells:,}",
                            layers=layers,
                        ),
                        value=predicted,
                    )
                ],
            )


def _shapes(log: EngineLog) -> list[Shape]:
    """Cells and layers of each cache, as its line has them; else the whole context's."""
    cells, layers = numbers(log, "kv_cells"), numbers(log, "kv_layers")
    streams = numbers(log, "kv_streams") or [1.0] * len(cells)
    if cells and len(cells) == len(layers) == len(streams):
        return [Shape(int(c * s), int(n)) for c, n, s in zip(cells, layers, streams, strict=True)]
    length, depth = whole_number(log, "n_ctx"), numbers(log, "n_layer")
    return [] if cells or not length or not depth else [Shape(length, int(depth[0]))]


def _side_bytes(
    log: EngineLog, shape: Shape, width: str, kind: str, found: Findings
) -> Interval | None:
    """Bytes of the keys or values of a cache; a list holds one width per layer, 0 without."""
    widths = [int(each) for each in numbers(log, width)]
    try:
        stored = cache_type(str(log.settings.get(f"cache_type_{kind[0]}", "")), field=kind)
    except KvsimError as error:
        found.not_checked.append(left_out("cells", error))
        return None
    if len(widths) == 1:
        widths *= shape.layers
    held = widths if len(widths) == shape.layers else [each for each in widths if each]
    if len(held) != shape.layers:
        found.not_checked.append("cells: layers of different widths are in different caches")
        return None
    row = sum(stored.nbytes(each) for each in held)
    return exact(shape.cells * row, "cells x layers x width")


def _fit(log: EngineLog, found: Findings) -> None:
    """What `--fit` projected is what the devices then hold."""
    projected = numbers(log, "fit_projected_mib")
    names = ("weights_mib", "kv_buffers_mib", "rs_buffers_mib", "compute_buffers_mib")
    held = [
        Part(
            name=Message(
                "{device}, {part}",
                device=device,
                part=name.removesuffix("_mib").replace("_", " "),
            ),
            value=size,
        )
        for name in names
        for device, mib in devices(log, name)
        if not (device.startswith(("CPU", "BLAS")) or device.endswith("_Host"))
        for size in [printed(mib, MiB)]
    ]
    if not projected or not numbers(log, "fit_left_mib") or not numbers(log, "kv_mib"):
        return  # not fitted, or changed until it did
    if not held or sum(shape.layers for shape in _shapes(log)) > max(numbers(log, "n_layer")):
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
