"""Refits vLLM's overhead coefficients on measured rows: `python -m validation fit-overheads`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import kvsim
from validation.recorded.measured_deployments import Ineligible, catalogue_model, deployment_of
from validation.recorded.measured_versions import vllm_version

Row = Mapping[str, Any]

REFITTED_UNTIL = (0, 12)
"""Later eras have too few text-only rows to be refitted."""

NON_TORCH_SINCE = (0, 7)
"""Older builds counted more as non-torch; what they print says nothing about later ones."""

ANY_DEVICE = "H100-SXM5-80GB"
LOGIT_BYTES = 4
SMALL_DEVICE_GIB = 30
CHECKPOINT_POSITIONS = {"meta-llama/Meta-Llama-3-8B": 8192}
"""`max_position_embeddings` of checkpoints that differ from their architecture's in it."""

ENOUGH_ROWS = 2  # fewer say nothing about a spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one row says about its overheads, in GiB; None where it does not."""

    id: str
    logits_gib: float  # max_num_seqs x vocabulary, float32
    hidden_gib: float  # max_num_batched_tokens x hidden, one byte each
    activation_gib: float | None
    non_torch_gib: float | None
    device: str  # the class that non-torch memory depends on


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Weights of one row as loaded and as they are derived from the architecture, GiB."""

    id: str
    weights_gib: float
    formula_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that the coefficients are fitted on."""

    observations: tuple[Observation, ...]
    loaded: tuple[Loaded, ...]

    def without(self, row_id: str) -> "Evidence":
        """The same, one row left out."""
        return Evidence(
            observations=tuple(o for o in self.observations if o.id != row_id),
            loaded=tuple(y for y in self.loaded if y.id != row_id),
        )


def observe(row: Row) -> Observation | None:
    """The row's overheads; None where its settings are not known or another mechanism rules.

    Left out: multimodal rows, whose peak is the encoder's; ranks that do not sample; builds
    between releases, which counted other things as non-torch.
    """
    deployment = deployment_of(row)
    extra = row.get("extra") or {}
    if isinstance(deployment, Ineligible) or deployment.model.is_multimodal:
        return None
    text = row.get("engine_version") or ""
    if extra.get("min_rank") or text.startswith("dev"):
        return None
    plan = kvsim.plan(deployment).evaluation
    resolved, model = plan.resolved, deployment.model
    seqs = min(resolved.max_num_seqs, resolved.max_num_batched_tokens)
    return Observation(
        id=row["id"],
        logits_gib=seqs * model.vocab_size * LOGIT_BYTES / kvsim.GiB,
        hidden_gib=resolved.max_num_batched_tokens * model.hidden_size / kvsim.GiB,
        activation_gib=row.get("activation_peak_gib"),
        non_torch_gib=row.get("non_torch_gib"),
        device=device_class(deployment),
    )


def device_class(deployment: kvsim.Deployment) -> str:
    """Small or big for one accelerator, else two ranks or many."""
    ranks = deployment.parallel.num_ranks
    if ranks > 1:
        return "two" if ranks < 4 else "many"
    total = deployment.accelerator.total_bytes.best / kvsim.GiB
    return "small" if total < SMALL_DEVICE_GIB else "big"


def fit(evidence: Evidence, shipped: kvsim.OverheadModel) -> kvsim.OverheadModel:
    """The coefficients that fit the evidence; what it does not determine stays as shipped.

    The activation's spread is that of its leave-one-out residuals, carried by its floor.
    """
    observations = evidence.observations
    seen = [o for o in observations if o.activation_gib is not None]
    copies, hidden = activation_coefficients(seen)
    residuals = [0.0, *(leave_one_out(seen, o) for o in seen)]
    source = f"{len(seen)} start-up logs of vLLM 0.6 to 0.11"
    extras = [y.weights_gib - y.formula_gib for y in evidence.loaded]
    extra = median(extras)
    loaded_source = f"{len(evidence.loaded)} logs of unquantised text-only models"
    fitted = replace(
        shipped,
        sampler_copies=_exact(copies, source),
        token_hidden_bytes=_exact(hidden, source),
        activation_floor_bytes=_spread(residuals, 0.0, f"{source}, leave-one-out residuals"),
        weights_extra_bytes=_spread(extras, extra, loaded_source),
    )
    if shipped.since < NON_TORCH_SINCE:
        return fitted
    return replace(
        fitted,
        non_torch_small_bytes=_class(observations, "small", shipped.non_torch_small_bytes),
        non_torch_bytes=_class(observations, "big", shipped.non_torch_bytes),
        non_torch_tp_bytes=(
            _class(observations, "two", shipped.non_torch_tp_bytes[0]),
            _class(observations, "many", shipped.non_torch_tp_bytes[1]),
        ),
    )


def activation_coefficients(seen: Sequence[Observation]) -> tuple[float, float]:
    """Copies of the logits and bytes per token and hidden element, by least squares, >= 0."""
    xx = sum(o.logits_gib**2 for o in seen)
    xy = sum(o.logits_gib * o.hidden_gib for o in seen)
    yy = sum(o.hidden_gib**2 for o in seen)
    xa = sum(o.logits_gib * (o.activation_gib or 0) for o in seen)
    ya = sum(o.hidden_gib * (o.activation_gib or 0) for o in seen)
    determinant = xx * yy - xy * xy
    hidden = (xx * ya - xy * xa) / determinant if determinant else 0.0
    if hidden <= 0:
        return xa / xx, 0.0
    return (xa - xy * hidden) / xx, hidden


def leave_one_out(seen: Sequence[Observation], left_out: Observation) -> float:
    """The activation of one row less what the others predict for it, GiB."""
    copies, hidden = activation_coefficients([o for o in seen if o is not left_out])
    predicted = copies * left_out.logits_gib + hidden * left_out.hidden_gib
    return (left_out.activation_gib or 0) - predicted


def loaded_of(row: Row) -> Loaded | None:
    """What a row's weights take; None where they are not those of its architecture alone.

    Left out: quantised checkpoints, adapters (their rank is not stated), vision towers, and
    models that were inferred.
    """
    extra = row.get("extra") or {}
    model = catalogue_model(row)
    apart = row.get("quantization") or extra.get("lora") or extra.get("multimodal")
    if model is None or apart or not row.get("model_stated") or not row.get("weights_gib"):
        return None
    if row["engine"] != "vllm" or model.is_multimodal or model.quantization is not None:
        return None
    deployment = kvsim.Deployment(
        model=_of_checkpoint(model, row["model"]),
        accelerator=kvsim.accelerator(ANY_DEVICE),
        parallel=kvsim.Parallelism(tensor_parallel_size=row.get("tp") or 1),
    )
    evaluation = kvsim.plan(deployment).evaluation
    shipped = kvsim.overhead_model("vllm", evaluation.resolved.engine_version)
    derived = evaluation.budget.weights_bytes.best - round(shipped.weights_extra_bytes.best)
    return Loaded(id=row["id"], weights_gib=row["weights_gib"], formula_gib=derived / kvsim.GiB)


def _of_checkpoint(model: kvsim.ModelSpec, name: str) -> kvsim.ModelSpec:
    """The architecture with a checkpoint's own length of its rotary tables."""
    positions = CHECKPOINT_POSITIONS.get(name)
    if positions is None:
        return model
    tables = tuple(replace(t, num_positions=positions) for t in model.vllm.rotary_tables)
    return replace(model, vllm=replace(model.vllm, rotary_tables=tables))


def _class(
    observations: Iterable[Observation], device: str, shipped: kvsim.Coefficient
) -> kvsim.Coefficient:
    values = [
        o.non_torch_gib for o in observations if o.device == device and o.non_torch_gib is not None
    ]
    if len(values) < ENOUGH_ROWS:
        return shipped
    gib = kvsim.GiB
    low, high = min(values), max(values)
    return replace(
        shipped,
        low=min(low * gib, shipped.low),
        best=median(values) * gib,
        high=max(high * gib, shipped.high),
        source=f"{len(values)} rows",
    )


def _exact(value: float, source: str) -> kvsim.Coefficient:
    return kvsim.Coefficient(low=value, best=value, high=value, source=source)


def _spread(values: Sequence[float], best: float, source: str) -> kvsim.Coefficient:
    gib = kvsim.GiB
    return kvsim.Coefficient(
        low=min(values) * gib, best=best * gib, high=max(values) * gib, source=source
    )


def evidence_of(rows: Iterable[Row]) -> Evidence:
    """What rows of the refitted era say of overheads, and rows of any version of weights.

    ROCm says nothing of weights here: its builds of that time print what the device reports as
    used, which is all that loading took.

    Source:
        vLLM's pull request 12624, `get_current_memory_usage`, vllm/platforms/rocm.py.
    """
    every = list(rows)
    tensors = [r for r in every if "ROCm" not in f"{r.get('gpu')} {r.get('engine_version')}"]
    old = [r for r in every if r["engine"] == "vllm" and vllm_version(r) < REFITTED_UNTIL]
    return Evidence(
        observations=tuple(seen for row in old if (seen := observe(row)) is not None),
        loaded=tuple(seen for row in tensors if (seen := loaded_of(row)) is not None),
    )
