"""Bytes of weights that one rank holds, by role; the pipeline's heaviest stage decides."""

from dataclasses import dataclass
from functools import lru_cache

from kvsim.analytic.tensor_weights import divides, tensor_weights
from kvsim.dtypes import DType, weight_format
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import FullAttention
from kvsim.specs.model import ModelSpec, Place, Quantization, Shard, WeightGroup
from kvsim.specs.parallel import Parallelism
from kvsim.units import ceil_div

GGML_METHODS = frozenset(
    {"q8_0", "q6_k", "q5_k", "q5_0", "q5_1", "q4_k", "q4_0", "q4_1", "iq4_nl", "iq4_xs"}
    | {"q3_k", "q2_k"}
)
TABLES = ("embedding", "output head")
"""GGUF files quantise the token tables too, which other methods leave as they are.

Source: llama.cpp `llama_tensor_get_type`, src/llama-quant.cpp; vLLM `GGUFEmbeddingMethod`.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A named share of a total."""

    name: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsBytes:
    """Weights on one rank of the heaviest pipeline stage; the parts sum to the total."""

    parts: tuple[Part, ...]
    stage: int
    format: str
    stage_bytes: tuple[int, ...]  # on one rank of every stage; the heaviest's is the total

    @property
    def total_bytes(self) -> int:
        """All parts."""
        return sum(part.num_bytes for part in self.parts)


def resolve_quantization(asked: str | None, model: ModelSpec) -> Quantization | None:
    """The asked quantisation, else the checkpoint's; "none" means unquantised.

    Raises:
        SpecError: for a method that is no weight format.
    """
    if asked is None:
        return model.quantization
    if asked.lower() == "none":
        return None
    return Quantization(
        method=asked.lower(),
        format=weight_format(asked),
        only=("experts",) if asked.lower() == "mxfp4" else (),
    )


def weights_bytes(
    model: ModelSpec, *, parallel: Parallelism, dtype: DType, quantization: Quantization | None
) -> WeightsBytes:
    """Bytes of weights on one rank of the stage that holds most.

    Raises:
        SpecError: if the config does not determine the weights; the message names the field.

    Source:
        Roles and shapes follow the architectures' own definitions; sharding follows vLLM's
        linear layers (vllm/model_executor/layers/linear.py, 0.32.0): every matrix divides by
        tensor_parallel_size, keys and values only as far as there are KV heads.
    """
    if model.tensors and quantization == model.quantization and divides(model.tensors, parallel):
        return _of_files(model, parallel=parallel, dtype=dtype)
    if not model.weights:
        msg = Message(
            "weights_bytes must be given: {why}",
            why=model.why_weights_are_unknown,
        )
        raise SpecError(msg)
    return _of_config(model, parallel=parallel, dtype=dtype, quantization=quantization)


@lru_cache(maxsize=256)
def _of_config(
    model: ModelSpec, *, parallel: Parallelism, dtype: DType, quantization: Quantization | None
) -> WeightsBytes:
    """Bytes by the roles and shapes that the config tells; advice asks for the same many times."""
    stages = parallel.stage_layers(model.num_layers)
    candidates = []
    for stage, layers in enumerate(stages):
        parts: dict[str, int] = {}
        for group in model.weights:
            count = stage_count(group, layers, stage, len(stages))
            if count:
                num_params = rank_share(group.num_params, group, parallel)
                share = group_format(group, quantization, dtype).nbytes(num_params)
                parts[group.name] = parts.get(group.name, 0) + count * share
        candidates.append((sum(parts.values()), -stage, parts))
    _, negative_stage, parts = max(candidates, key=lambda c: c[:2])
    return WeightsBytes(
        parts=tuple(Part(name, num_bytes) for name, num_bytes in parts.items()),
        stage=-negative_stage,
        format=dtype.name if quantization is None else quantization.method,
        stage_bytes=tuple(total for total, _, _ in candidates),
    )


def _of_files(model: ModelSpec, *, parallel: Parallelism, dtype: DType) -> WeightsBytes:
    """Bytes by the headers of the model's files, exact; they give no share of other formats."""
    attention = (b for g in model.layer_groups for b in g.layer if isinstance(b, FullAttention))
    rank = tensor_weights(
        model.tensors,
        parallel=parallel,
        num_layers=model.num_layers,
        num_kv_heads=max((b.num_kv_heads for b in attention), default=1),
        dtype=dtype,
    )
    parts = tuple(Part(name, num_bytes) for name, num_bytes in rank.parts.items())
    return WeightsBytes(
        parts=parts,
        stage=rank.stage,
        format="the files' own formats",
        stage_bytes=rank.stage_bytes,
    )


def group_format(group: WeightGroup, quantization: Quantization | None, dtype: DType) -> DType:
    """The storage format of a group's parameters."""
    if quantization is None or not _covers(quantization, group):
        return dtype
    return quantization.format


def _covers(quantization: Quantization, group: WeightGroup) -> bool:
    if quantization.method in GGML_METHODS and group.name in TABLES:
        return True
    return group.quantized and (not quantization.only or group.name in quantization.only)


def stage_count(group: WeightGroup, layers: range, stage: int, num_stages: int) -> int:
    """How often a stage holds a group; a tied table is on the first and on the last stage."""
    if group.place is None:
        return group.count if num_stages == 1 else sum(map(layers.__contains__, group.layers))
    if group.place is Place.FIRST:
        tied_head = group.name == "embedding" and group.active > 0 and stage == num_stages - 1
        return 1 if stage == 0 or tied_head else 0
    return 1 if stage == num_stages - 1 else 0


def rank_share(num_params: int, group: WeightGroup, parallel: Parallelism) -> int:
    """Of so many parameters of a group, those on one rank."""
    tp = parallel.tensor_parallel_size
    if group.shard is Shard.REPLICATED:
        return num_params
    if group.shard is Shard.KV_HEADS:
        return ceil_div(num_params, min(tp, group.num_kv_heads))
    if group.shard is Shard.EXPERTS and parallel.enable_expert_parallel:
        return ceil_div(num_params, tp * parallel.data_parallel_size)
    return ceil_div(num_params, tp)
