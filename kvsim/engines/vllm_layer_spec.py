"""Layer specs from plain descriptions, in vLLM's own words."""

import dataclasses
from collections.abc import Callable
from typing import Any

from kvsim.engines.vllm_cache_config import MambaCacheMode
from kvsim.engines.vllm_spec_base import KVCacheSpec, KVQuantMode, TorchDtype
from kvsim.engines.vllm_specs import (
    ChunkedLocalAttentionSpec,
    CircularBufferSpec,
    CrossAttentionSpec,
    FullAttentionSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowMLASpec,
    SlidingWindowSpec,
)
from kvsim.errors import SpecError

SPEC_TYPES: dict[str, type[KVCacheSpec]] = {
    cls.__name__: cls
    for cls in (
        FullAttentionSpec,
        MLAAttentionSpec,
        SlidingWindowSpec,
        SlidingWindowMLASpec,
        ChunkedLocalAttentionSpec,
        CrossAttentionSpec,
        CircularBufferSpec,
        MambaSpec,
    )
}


def vllm_layer_spec(type_name: str, **fields: object) -> KVCacheSpec:
    """A layer spec from vLLM's own words, as a log or a recorded case holds them.

    Args:
        type_name: the spec's class name in vLLM.
        **fields: its fields; dtypes by torch's name, quantisation modes by name or number.

    Returns:
        The spec, for one rank. Reuse one object for equal layers: grouping is faster then.

    Raises:
        SpecError: for an unknown type, field or value.

    Example:
        >>> vllm_layer_spec("FullAttentionSpec", block_size=16, num_kv_heads=8, head_size=128,
        ...     dtype="bfloat16").page_size_bytes
        65536
    """
    if type_name not in SPEC_TYPES:
        msg = f"type={type_name!r} must be one of {', '.join(SPEC_TYPES)}"
        raise SpecError(msg)
    spec_type = SPEC_TYPES[type_name]
    known = {f.name: f for f in dataclasses.fields(spec_type)}
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in known:
            msg = f"{name}={value!r} is not a field of {type_name}"
            raise SpecError(msg)
        values[name] = _READERS[name](value) if name in _READERS else value
    missing = [f.name for f in known.values() if _is_required(f) and f.name not in values]
    if missing:
        msg = f"{missing[0]} must be given for {type_name}"
        raise SpecError(msg)
    return spec_type(**values)


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING


def _read_dtype(value: object) -> TorchDtype:
    name = str(value).removeprefix("torch.")
    if name not in list(TorchDtype):
        msg = f"dtype={name!r} must be one of {', '.join(TorchDtype)}"
        raise SpecError(msg)
    return TorchDtype(name)


def _read_quant_mode(value: object) -> KVQuantMode:
    for mode in KVQuantMode:
        if value in (mode.name, mode.value):
            return mode
    msg = f"kv_quant_mode={value!r} must be one of {', '.join(KVQuantMode.__members__)}"
    raise SpecError(msg)


def _read_cache_mode(value: object) -> MambaCacheMode:
    if value not in list(MambaCacheMode):
        msg = f"mamba_cache_mode={value!r} must be one of {', '.join(MambaCacheMode)}"
        raise SpecError(msg)
    return MambaCacheMode(str(value))


def _read_dtypes(value: object) -> tuple[TorchDtype, ...]:
    return tuple(_read_dtype(name) for name in _read_list("dtypes", value))


def _read_shapes(value: object) -> tuple[tuple[object, ...], ...]:
    return tuple(tuple(_read_list("shapes", shape)) for shape in _read_list("shapes", value))


def _read_list(name: str, value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        msg = f"{name}={value!r} must be a list"
        raise SpecError(msg)
    return list(value)


_READERS: dict[str, Callable[[Any], object]] = {
    "dtype": _read_dtype,
    "dtypes": _read_dtypes,
    "shapes": _read_shapes,
    "kv_quant_mode": _read_quant_mode,
    "mamba_cache_mode": _read_cache_mode,
}
