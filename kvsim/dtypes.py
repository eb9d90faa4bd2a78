"""Storage formats, exact to the byte: scales and zero points are counted."""

from dataclasses import dataclass, replace
from typing import TypeVar

from kvsim.errors import SpecError
from kvsim.units import ceil_div, round_up

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class DType:
    """A storage format: every `group_elems` values take `group_bytes` bytes, scales included.

    `vector_bytes` come once per vector whatever its length: a head's own scale or norm.
    """

    name: str
    group_elems: int
    group_bytes: int
    vector_bytes: int = 0

    def nbytes(self, num_elems: int) -> int:
        """Bytes that one vector of `num_elems` values takes, padded to whole groups.

        Example:
            >>> Q8_0.nbytes(128)
            136
        """
        return ceil_div(num_elems, self.group_elems) * self.group_bytes + self.vector_bytes

    @property
    def bits(self) -> float:
        """Mean bits per value, the scales of groups included."""
        return 8 * self.group_bytes / self.group_elems


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFormat:
    """A cache's storage format, keys and values apart.

    The newest `residual_tokens` stay in the model's own format; so do the first and the last
    `boundary_layers` attention layers of a model without recurrent layers. A format that is
    not `verified` has a `spread`: the least and the most that its description can mean.
    """

    name: str
    keys: DType
    values: DType
    source: str
    slot_multiple: int = 1  # bytes to which a head's key and value are padded together
    residual_tokens: int = 0
    boundary_layers: int = 0
    spread: tuple[DType, DType] | None = None

    @property
    def verified(self) -> bool:
        """Whether its bytes were read in code, not in a description."""
        return self.spread is None

    def head_bytes(self, head_dim: int, v_head_dim: int | None = None) -> int:
        """Bytes of one token's key and value in one head."""
        width = head_dim if v_head_dim is None else v_head_dim
        return round_up(self.keys.nbytes(head_dim) + self.values.nbytes(width), self.slot_multiple)

    def bounds(self) -> tuple["CacheFormat", "CacheFormat"]:
        """The format at its least and at its most; twice itself where it is verified."""
        if self.spread is None:
            return self, self
        low, high = self.spread
        return (
            replace(self, keys=low, values=low, spread=None),
            replace(self, keys=high, values=high, spread=None),
        )


FP32 = DType("float32", 1, 4)
BF16 = DType("bfloat16", 1, 2)
FP16 = DType("float16", 1, 2)
FP8 = DType("fp8", 1, 1)
INT8 = DType("int8", 1, 1)
Q8_0 = DType("q8_0", 32, 34)  # 32 int8 values and one fp16 scale
Q5_0 = DType("q5_0", 32, 22)
Q5_1 = DType("q5_1", 32, 24)
Q4_0 = DType("q4_0", 32, 18)
Q4_1 = DType("q4_1", 32, 20)
IQ4_NL = DType("iq4_nl", 32, 18)
NVFP4 = DType("nvfp4", 16, 9)  # 16 values of 4 bits and one fp8 scale
MXFP4 = DType("mxfp4", 32, 17)  # 32 values of 4 bits and one 8-bit exponent
FP8_HEAD = DType("fp8_per_token_head", 1, 1, vector_bytes=4)  # and a float32 scale per head
INT8_HEAD = DType("int8_per_token_head", 1, 1, vector_bytes=4)
INT4_HEAD = DType("int4_per_token_head", 2, 1, vector_bytes=4)
INDEX_FP8 = DType("fp8 with a float32 scale per 128", 128, 132)  # DSA indexer keys
FP8_DS_MLA = DType("fp8_ds_mla", 576, 656)  # 512 fp8, 4 float32 scales, 64 bf16 rotary values

MODEL_DTYPES = {
    "float32": FP32,
    "fp32": FP32,
    "float": FP32,
    "bfloat16": BF16,
    "bf16": BF16,
    "float16": FP16,
    "fp16": FP16,
    "half": FP16,
}
"""What a config's `torch_dtype` or an engine's `--dtype` can say."""

CACHE_DTYPES = MODEL_DTYPES | {
    "fp8": FP8,
    "fp8_e4m3": FP8,
    "fp8_e5m2": FP8,
    "int8": INT8,
    "f32": FP32,
    "f16": FP16,
    "q8_0": Q8_0,
    "q5_0": Q5_0,
    "q5_1": Q5_1,
    "q4_0": Q4_0,
    "q4_1": Q4_1,
    "iq4_nl": IQ4_NL,
    "nvfp4": NVFP4,
    "fp8_per_token_head": FP8_HEAD,
    "int8_per_token_head": INT8_HEAD,
    "int4_per_token_head": INT4_HEAD,
}
"""Storage formats of the cache, under every name that an engine gives them."""

WEIGHT_FORMATS = MODEL_DTYPES | {
    "fp8": DType("fp8 with a float32 scale per 128x128", 128 * 128, 128 * 128 + 4),
    "int8": INT8,
    "int4": DType("int4 with an fp16 scale and a 4-bit zero per 128", 256, 133),
    "awq": DType("awq: int4 with an fp16 scale and a 4-bit zero per 128", 256, 133),
    "gptq": DType("gptq: int4 with an fp16 scale and a 4-bit zero per 128", 256, 133),
    # NF4: 64 values share an 8-bit scale, 256 of those share a float32 (double quantisation)
    "bitsandbytes": DType("nf4, double quantised", 64 * 256, 32 * 256 + 256 + 4),
    "mxfp4": MXFP4,
    "nvfp4": NVFP4,
    "q8_0": Q8_0,
    "q6_k": DType("q6_k", 256, 210),
    "q5_k": DType("q5_k", 256, 176),
    "q5_0": Q5_0,
    "q5_1": Q5_1,
    "q4_k": DType("q4_k", 256, 144),
    "q4_0": Q4_0,
    "q4_1": Q4_1,
    "iq4_nl": IQ4_NL,
    "iq4_xs": DType("iq4_xs", 256, 136),
    "q3_k": DType("q3_k", 256, 110),
    "q2_k": DType("q2_k", 256, 84),
}
"""Storage formats of weights: checkpoints' quantisation methods and GGUF tensor types."""


_VLLM_SPEC = "vLLM vllm/v1/kv_cache_interface.py, 001cabc1"
_GGML = "ggml/src/ggml-common.h, 01243c58"
_TURBOQUANT = "vLLM model_executor/layers/quantization/turboquant/config.py, 1471680b"
_KIVI = "jy-yuan/KIVI quant/new_pack.py"
_TRANSFORMERS = "transformers QuantizedCacheConfig, defaults recalled"


def _plain(dtype: DType, source: str) -> CacheFormat:
    return CacheFormat(name=dtype.name, keys=dtype, values=dtype, source=source)


def _turboquant(name: str, keys: DType, values: DType) -> CacheFormat:
    """Codes, a key's fp16 norm, a value's fp16 scale and zero; the ends of a dense model stay."""
    return CacheFormat(
        name=name,
        keys=keys,
        values=values,
        source=_TURBOQUANT,
        slot_multiple=2,
        boundary_layers=2,
    )


def _kivi(bits: int, group: int, residual: int) -> CacheFormat:
    """Codes with an fp16 scale and an fp16 minimum per group; the newest tokens in fp16."""
    dtype = DType(f"int{bits} with an fp16 scale and minimum", group, group * bits // 8 + 4)
    name = f"kivi_int{bits}_g{group}_r{residual}"
    return CacheFormat(name=name, keys=dtype, values=dtype, source=_KIVI, residual_tokens=residual)


def _grouped(name: str, bits: int) -> CacheFormat:
    """Groups of 64 with scale and shift: fp16 each at best, fp16 scale alone, or float32 each."""
    codes = 64 * bits // 8
    low, best, high = (DType(name, 64, codes + extra) for extra in (2, 4, 8))
    return CacheFormat(
        name=name,
        keys=best,
        values=best,
        source=_TRANSFORMERS,
        residual_tokens=128,
        spread=(low, high),
    )


def _described(name: str, source: str, low: int, best: int, high: int) -> CacheFormat:
    """A format known from a description: bytes per head of 128 at least, likely and at most."""
    low_dtype, likely, high_dtype = (DType(name, 128, size) for size in (low, best, high))
    spread = (low_dtype, high_dtype)
    return CacheFormat(name=name, keys=likely, values=likely, source=source, spread=spread)


CACHE_FORMATS = {
    fmt.name: fmt
    for fmt in (
        _plain(BF16, _VLLM_SPEC),
        _plain(FP32, _GGML),
        _plain(FP8, f"{_VLLM_SPEC}; scales are per layer"),
        _plain(FP8_HEAD, _VLLM_SPEC),
        _plain(INT8_HEAD, _VLLM_SPEC),
        _plain(INT4_HEAD, "vLLM vllm/v1/kv_cache_interface.py, 0.32.0"),
        _plain(DType("tq4", 2, 1, vector_bytes=4), "vllm-project/vllm pull request 39008"),
        _plain(NVFP4, _VLLM_SPEC),
        _plain(MXFP4, _GGML),
        _plain(DType("ggml_nvfp4", 64, 36), _GGML),
        *(_plain(dtype, _GGML) for dtype in (Q8_0, Q5_1, Q5_0, Q4_1, Q4_0, IQ4_NL)),
        _turboquant("turboquant_k8v4", FP8, DType("int4", 2, 1, vector_bytes=4)),
        _turboquant(
            "turboquant_4bit_nc",
            DType("int4", 2, 1, vector_bytes=2),
            DType("int4", 2, 1, vector_bytes=4),
        ),
        _turboquant(
            "turboquant_k3v4_nc",
            DType("int3", 8, 3, vector_bytes=2),
            DType("int4", 2, 1, vector_bytes=4),
        ),
        _turboquant(
            "turboquant_3bit_nc",
            DType("int3", 8, 3, vector_bytes=2),
            DType("int3", 8, 3, vector_bytes=4),
        ),
        _plain(DType("tq3_0", 32, 14), "ggml-org/llama.cpp pull request 21010, closed"),
        _plain(DType("tq3", 128, 52), "ikawrakow/ik_llama.cpp issue 1509"),
        *(_kivi(b, g, r) for b in (2, 4) for g, r in ((32, 128), (32, 32), (64, 128))),
        _described("turboquant_2.5bit", "arXiv 2504.19874, second hand", 36, 38, 42),
        _described("turboquant_3.5bit", "arXiv 2504.19874, second hand", 52, 54, 58),
        _grouped("quanto_int2", 2),
        _grouped("quanto_int4", 4),
        _grouped("hqq_int2", 2),
        _grouped("hqq_int4", 4),
        _grouped("hqq_int8", 8),
        _described(
            "kvquant_nuq3_1pct", "arXiv 2401.18079, 53.28 on the mean, recalled", 48, 54, 59
        ),
        _described("coupled_1bit", "coupled quantisation; codebooks not counted", 16, 16, 32),
    )
}
"""Storage formats of keys and values by name; engines have some of them, papers the others."""


def cache_format(name: str, *, field: str = "kv_cache_dtype") -> CacheFormat:
    """The storage format of keys and values by name.

    Raises:
        SpecError: for a name that is no format; it lists those that are.

    Example:
        >>> cache_format("turboquant_k8v4").head_bytes(128)
        196
    """
    return _look_up(CACHE_FORMATS, name, field=field)


def model_dtype(name: str, *, field: str = "dtype") -> DType:
    """The format of a model's unquantised values; SpecError names the field and the choices."""
    return _look_up(MODEL_DTYPES, name.removeprefix("torch."), field=field)


def cache_dtype(name: str, *, field: str = "kv_cache_dtype") -> DType:
    """The storage format of a cache by the engines' names.

    Raises:
        SpecError: for a name that is no cache format; it lists those that are.

    Example:
        >>> cache_dtype("fp8").nbytes(128), cache_dtype("q4_0").nbytes(128)
        (128, 72)
    """
    return _look_up(CACHE_DTYPES, name, field=field)


def weight_format(name: str, *, field: str = "quantization") -> DType:
    """The storage format of quantised weights by the checkpoint's method; SpecError if unknown."""
    return _look_up(WEIGHT_FORMATS, name, field=field)


def _look_up(formats: dict[str, F], name: str, *, field: str) -> F:
    try:
        return formats[name.lower()]
    except KeyError:
        msg = f"{field}={name[:40]} must be one of {', '.join(formats)}"
        raise SpecError(msg) from None
