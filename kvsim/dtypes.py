"""Storage formats, exact to the byte: scales and zero points are counted."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.units import ceil_div


@dataclass(frozen=True, slots=True)
class DType:
    """A storage format: every `group_elems` values take `group_bytes` bytes, scales included."""

    name: str
    group_elems: int
    group_bytes: int

    def nbytes(self, num_elems: int) -> int:
        """Bytes that `num_elems` consecutive values take, padded to whole groups.

        Example:
            >>> Q8_0.nbytes(128)
            136
        """
        return ceil_div(num_elems, self.group_elems) * self.group_bytes

    @property
    def bits(self) -> float:
        """Mean bits per value, scales included."""
        return 8 * self.group_bytes / self.group_elems


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
INDEX_FP8 = DType("fp8 with a float32 scale per 128", 128, 132)  # DSA indexer keys

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
    "mxfp4": DType("mxfp4", 32, 17),
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


def _look_up(formats: dict[str, DType], name: str, *, field: str) -> DType:
    try:
        return formats[name.lower()]
    except KeyError:
        msg = f"{field}={name[:40]} must be one of {', '.join(formats)}"
        raise SpecError(msg) from None
