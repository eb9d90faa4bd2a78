"""How a checkpoint stores its quantised weights, from `quantization_config`."""

from kvsim.dtypes import DType, weight_format
from kvsim.io.hf_config.fields import Fields
from kvsim.specs.model import Quantization

QUANTIZED_NAMES = {
    "awq": "awq",
    "gptq": "gptq",
    "fp8": "fp8",
    "fbgemm_fp8": "fp8",
    "mxfp4": "mxfp4",
    "bitsandbytes": "bitsandbytes",
    "int8": "int8",
}
"""`quant_method` of a checkpoint -> the name of the storage format."""


def read_quantization(f: Fields, top: Fields) -> Quantization | None:
    """The checkpoint's quantisation; None if it has none, or one of an unknown form."""
    section = top.section("quantization_config") or f.section("quantization_config")
    if section is None:
        return None
    method = section.text("quant_method", "quant_algo").lower()
    bits = section.optional_whole("bits", "w_bit", low=1, high=16)
    is_int8 = method == "gptq" and bits == 8
    if is_int8 or (method == "bitsandbytes" and section.flag("load_in_8bit")):
        return Quantization(method=method, format=weight_format("int8"))
    if method == "compressed-tensors":
        return _compressed_tensors(section)
    if method not in QUANTIZED_NAMES:
        return None
    only = ("experts",) if method == "mxfp4" else ()
    return Quantization(method=method, format=weight_format(QUANTIZED_NAMES[method]), only=only)


INT4_GROUP = 32
"""Values that share a scale where a group-wise scheme states no size (compressed-tensors)."""

SCALE_BYTES = 2
"""A bfloat16 scale; symmetric schemes have no zero points."""

COVERED = {
    "attention": ("self_attn", "attention"),
    "cross attention": ("cross_attn", "encoder_attn"),
    "recurrent mixer": ("linear_attn", "mamba"),
    "indexer": ("indexer",),
    "mlp": (".mlp.", "mlp\\."),
    "shared experts": ("shared_expert",),
    "experts": (".experts.",),
}
"""Groups of weights -> what names a whole group in a list of exceptions."""


def _compressed_tensors(section: Fields) -> Quantization | None:
    """The scheme of the first group of weights, less the kinds of layers that are left alone."""
    groups = section.section("config_groups")
    first = groups.section(*groups.names()) if groups is not None else None
    weights = first.section("weights") if first is not None else None
    if weights is None:
        return None
    stored = _stored(weights)
    if stored is None:
        return None
    patterns = [text for text in section.items("ignore") or () if isinstance(text, str)]
    whole_kinds = [text for text in patterns if text.startswith("re:")]  # others name one layer
    left = [
        name
        for name, marks in COVERED.items()
        if any(mark in text for text in whole_kinds for mark in marks)
    ]
    only = tuple(name for name in COVERED if name not in left) if left else ()
    return Quantization(method="compressed-tensors", format=stored, only=only)


def _stored(weights: Fields) -> DType | None:
    bits, kind = weights.whole("num_bits", high=16), weights.text("type")
    if kind == "float":
        return {8: weight_format("fp8"), 4: weight_format("nvfp4")}.get(bits)
    if kind != "int" or bits not in (4, 8):
        return None
    if bits == 8:
        return weight_format("int8")
    group = weights.size("group_size") or INT4_GROUP
    name = f"int4 with a bf16 scale per {group}"
    return DType(name, group, group * bits // 8 + SCALE_BYTES)
