"""Exact bytes of weights on one rank, from the tensors of a checkpoint's files."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from kvsim.dtypes import DType
from kvsim.errors import UnsupportedError
from kvsim.specs.parallel import Parallelism
from kvsim.specs.tensors import Tensor
from kvsim.units import ceil_div, round_up

FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
"""Formats that engines convert to the model's own when they load them."""

VOCAB_PADDING = 64  # rows; vLLM DEFAULT_VOCAB_PADDING_SIZE, vocab_parallel_embedding.py, 0.32.0


class Split(StrEnum):
    """How a tensor divides over tensor-parallel ranks."""

    OUTPUT = "by rows"  # column-parallel: the first dimension
    INPUT = "by columns"  # row-parallel: the second dimension, or whole where there is none
    KV_HEADS = "by KV heads"
    VOCAB = "by padded vocabulary rows"
    WHOLE = "whole"


_RULES = (
    (Split.VOCAB, r"(embed_tokens|lm_head|wte|word_embeddings|embed_out|output_layer)"),
    (Split.WHOLE, r"\w*(norm|layernorm|ln_\w+|ln)\d*"),
    (Split.WHOLE, r"(kv_a_proj_with_mqa|q_a_proj|fused_qkv_a_proj|gate|router|shared_expert_gate)"),
    (Split.KV_HEADS, r"(k_proj|v_proj)"),
    (
        Split.OUTPUT,
        r"(q_proj|q_b_proj|kv_b_proj|qkv_proj|gate_proj|up_proj|gate_up_proj|query_key_value|w1|w3)",
    ),
    (Split.INPUT, r"(o_proj|down_proj|dense|dense_4h_to_h|out_proj|w2)"),
)
"""A module's last name -> how vLLM's layer classes divide it.

Source: vLLM model_executor/layers/linear.py and the models' classes, 0.32.0.
"""

_SUFFIX = r"\.(weight|bias|qweight|scales|qzeros|weight_scale|weight_scale_inv)$"
_COMPILED = tuple((split, re.compile(rf"(^|\.){names}{_SUFFIX}")) for split, names in _RULES)
_LAYER = re.compile(r"(^|\.)(layers|h|blocks)\.(\d{1,6})\.")
_EXPERT = re.compile(r"\.experts\.\d{1,6}\.")
_HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output_layer)\.")


@dataclass(frozen=True, slots=True)
class RankTensors:
    """Bytes on one rank by role, and the pipeline stage that it is of."""

    parts: dict[str, int]
    stage: int
    stage_bytes: tuple[int, ...] = ()  # of every stage

    @property
    def total_bytes(self) -> int:
        """All parts."""
        return sum(self.parts.values())


def tensor_weights(
    tensors: Sequence[Tensor],
    *,
    parallel: Parallelism,
    num_layers: int,
    num_kv_heads: int,
    dtype: DType,
) -> RankTensors:
    """Bytes of a checkpoint's tensors on one rank of the pipeline stage that holds most.

    Args:
        tensors: of all files.
        parallel: degrees of the deployment.
        num_layers: layers that pipeline stages share; tensors of later ones are left out.
        num_kv_heads: heads over which keys and values divide at most.
        dtype: that the model runs in: float values are converted, packed ones are not.

    Raises:
        UnsupportedError: for a tensor whose division over ranks is not known.
    """
    stages = parallel.stage_layers(num_layers)
    held = []
    for stage, layers in enumerate(stages):
        parts: dict[str, int] = {}
        for tensor in tensors:
            if _is_on(tensor, layers, stage, len(stages)):
                share = _share(tensor, parallel, num_kv_heads, dtype)
                parts[_role(tensor)] = parts.get(_role(tensor), 0) + share
        held.append(RankTensors(parts, stage))
    heaviest = max(held, key=lambda rank: (rank.total_bytes, -rank.stage))
    return replace(heaviest, stage_bytes=tuple(rank.total_bytes for rank in held))


def divides(tensors: Sequence[Tensor], parallel: Parallelism) -> bool:
    """Whether it is known what one rank holds of every tensor; one rank holds them whole."""
    if parallel.tensor_parallel_size == 1:
        return True
    return all(any(p.search(t.name) for _, p in _COMPILED) for t in tensors)


def _is_on(tensor: Tensor, layers: range, stage: int, num_stages: int) -> bool:
    """Whether a stage holds a tensor: its layers', or those before and behind all layers."""
    if num_stages == 1:
        return True
    match = _LAYER.search(tensor.name)
    if match is not None:
        return int(match[3]) in layers
    behind = _HEAD.search(tensor.name) or "norm" in tensor.name
    return stage == (num_stages - 1 if behind else 0)


def _role(tensor: Tensor) -> str:
    if _LAYER.search(tensor.name) is None:
        return "outside the layers"
    return "experts" if _EXPERT.search(tensor.name) else "layers"


def _share(tensor: Tensor, parallel: Parallelism, num_kv_heads: int, dtype: DType) -> int:
    """Bytes of a tensor on one rank."""
    tp = parallel.tensor_parallel_size
    whole = _loaded(tensor, math.prod(tensor.shape), dtype)
    if _EXPERT.search(tensor.name) and parallel.enable_expert_parallel:
        return ceil_div(whole, tp * parallel.data_parallel_size)
    if tp == 1:
        return whole
    split = _split(tensor)
    if split is Split.WHOLE or (split is Split.INPUT and len(tensor.shape) == 1):
        return whole
    if split is Split.VOCAB:
        rows = round_up(tensor.shape[0], VOCAB_PADDING)
        return ceil_div(whole // tensor.shape[0] * rows, tp)
    return ceil_div(whole, min(tp, num_kv_heads) if split is Split.KV_HEADS else tp)


def _loaded(tensor: Tensor, elems: int, dtype: DType) -> int:
    return dtype.nbytes(elems) if tensor.format in FLOATS else tensor.num_bytes


def _split(tensor: Tensor) -> Split:
    for split, pattern in _COMPILED:
        if pattern.search(tensor.name):
            return split
    msg = f"how {tensor.name[:80]} divides over tensor-parallel ranks is not known"
    raise UnsupportedError(msg)
