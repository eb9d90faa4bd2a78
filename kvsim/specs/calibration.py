"""Calibration: memory that was measured on a machine, and with what."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from kvsim.errors import SpecError
from kvsim.specs.overheads import Overheads
from kvsim.specs.parallel import Parallelism

Provenance = Mapping[str, object]

DIVIDED = ("weights_bytes", "activation_peak_bytes", "cuda_graph_bytes")
"""Figures that follow the model's division over devices; the others are the device's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Measured memory of one accelerator, with what it was measured by.

    `provenance` holds plain values; `source` in it says in words where the figures are from.
    `tensor_parallel_size` and `pipeline_parallel_size` are those of the measured run, None where
    nobody says.
    """

    provenance: Provenance
    overheads: Overheads
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int | None = None
    measured: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        names = [f.name for f in fields(Overheads) if getattr(self.overheads, f.name) is not None]
        if not names:
            msg = f"measured={{}} must hold one of {', '.join(f.name for f in fields(Overheads))}"
            raise SpecError(msg)
        if not isinstance(self.provenance.get("source"), str):
            msg = f"provenance.source={self.provenance.get('source')!r} must say what measured this"
            raise SpecError(msg)
        object.__setattr__(self, "measured", tuple(names))

    def overheads_under(self, parallel: Parallelism, *, stated: Overheads) -> Overheads:
        """What a plan under these degrees uses: a user's own figure before a measured one.

        Raises:
            SpecError: for figures that were measured under another division of the model.
        """
        used = [name for name in self.measured if getattr(stated, name) is None]
        for name in ("tensor_parallel_size", "pipeline_parallel_size"):
            then, now = getattr(self, name), getattr(parallel, name)
            if then not in (None, now) and (of := [n for n in used if n in DIVIDED]):
                msg = f"{name}={now} must be {then}, as when {of[0]} was calibrated"
                raise SpecError(msg)
        return replace(stated, **{name: getattr(self.overheads, name) for name in used})
