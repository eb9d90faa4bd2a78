"""vLLM's cache formats: what an element is, how it is quantised, and bytes that are packed."""

from collections.abc import Callable
from dataclasses import dataclass

from kvsim.dtypes import BF16, FP16, FP32, DType
from kvsim.engines.vllm_spec_base import KVQuantMode, TorchDtype
from kvsim.errors import UnsupportedError

SCALE_BYTES = 4
"""A float32 scale beside every head of every token.

Source: vLLM `KVQuantMode.is_per_token_head`, vllm/v1/kv_cache_interface.py, 0.32.0.
"""

NVFP4_GROUP = 16
"""Values of 4 bits that share one fp8 scale."""

DS_MLA_BYTES = 656
"""512 fp8 values, 4 float32 scales and 64 bf16 rotary values of one token.

Source: vLLM `MLAAttention.get_kv_cache_spec`, layers/attention/mla_attention.py, 0.32.0.
"""

DS_V4_BYTES = 584
"""448 fp8 values, 64 bf16 rotary values and 8 bytes of scales of one token.

Source: vLLM `DeepseekV4SWACache`, vllm/v1/attention/backends/mla/sparse_swa.py, 0.32.0.
"""

MODEL_TYPES = {
    BF16.name: TorchDtype.BFLOAT16,
    FP16.name: TorchDtype.FLOAT16,
    FP32.name: TorchDtype.FLOAT32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmFormat:
    """How one layer's cache is stored."""

    name: str  # as the setting says it; "auto" is the model's own format
    dtype: TorchDtype
    quant: KVQuantMode = KVQuantMode.NONE
    vector_bytes: Callable[[int], int] | None = None  # of a head's key or value; None: dense

    def state_bytes(self, head_dim: int, value_head_dim: int) -> int | None:
        """Bytes of one head's key and value where they are packed; None where they are dense."""
        if self.vector_bytes is None:
            return None
        return self.vector_bytes(head_dim) + self.vector_bytes(value_head_dim)


def torch_dtype(dtype: DType) -> TorchDtype:
    """The element type of a model's unquantised values."""
    if dtype.name not in MODEL_TYPES:
        msg = f"dtype={dtype.name} is no element type of vllm's cache"
        raise UnsupportedError(msg)
    return MODEL_TYPES[dtype.name]


def vllm_format(name: str, dtype: DType) -> VllmFormat:
    """The format behind a resolved `kv_cache_dtype` of a model that runs in `dtype`.

    Source:
        vLLM `STR_DTYPE_TO_TORCH_DTYPE`, vllm/utils/torch_utils.py, and `get_kv_quant_mode`,
        vllm/v1/kv_cache_interface.py, 0.32.0.
    """
    if name == "auto":
        return VllmFormat(name=name, dtype=torch_dtype(dtype))
    return _FORMATS[name]


def _with_scale(head_dim: int) -> int:
    return head_dim + SCALE_BYTES


def _int4(head_dim: int) -> int:
    return head_dim // 2 + SCALE_BYTES


def _nvfp4(head_dim: int) -> int:
    return head_dim // 2 + head_dim // NVFP4_GROUP


def _fp8(name: str, dtype: TorchDtype = TorchDtype.UINT8) -> VllmFormat:
    return VllmFormat(name=name, dtype=dtype, quant=KVQuantMode.FP8_PER_TENSOR)


_FORMATS = {
    fmt.name: fmt
    for fmt in (
        VllmFormat(name="float16", dtype=TorchDtype.FLOAT16),
        VllmFormat(name="bfloat16", dtype=TorchDtype.BFLOAT16),
        _fp8("fp8"),
        _fp8("fp8_e4m3"),
        _fp8("fp8_e5m2"),
        _fp8("fp8_ds_mla"),
        _fp8("fp8_inc", TorchDtype.FLOAT8_E4M3),
        VllmFormat(
            name="int8_per_token_head",
            dtype=TorchDtype.INT8,
            quant=KVQuantMode.INT8_PER_TOKEN_HEAD,
            vector_bytes=_with_scale,
        ),
        VllmFormat(
            name="fp8_per_token_head",
            dtype=TorchDtype.UINT8,
            quant=KVQuantMode.FP8_PER_TOKEN_HEAD,
            vector_bytes=_with_scale,
        ),
        VllmFormat(
            name="int4_per_token_head",
            dtype=TorchDtype.UINT8,
            quant=KVQuantMode.INT4_PER_TOKEN_HEAD,
            vector_bytes=_int4,
        ),
        VllmFormat(
            name="nvfp4", dtype=TorchDtype.UINT8, quant=KVQuantMode.NVFP4, vector_bytes=_nvfp4
        ),
    )
}
