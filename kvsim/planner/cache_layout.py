"""The layout behind a cache's bytes, for any engine: by name, or with settings of its own."""

from dataclasses import replace

from kvsim.dtypes import DType, cache_dtype, model_dtype
from kvsim.engines.ideal import IdealLayout
from kvsim.engines.layout import Layout
from kvsim.engines.transformers import TransformersLayout
from kvsim.engines.vllm import vllm_cache_layout
from kvsim.errors import SpecError
from kvsim.planner.layouts import pool_layout, pool_settings
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.pool_settings import PoolSettings
from kvsim.specs.transformers import Transformers


def cache_layout(
    model: ModelSpec,
    *,
    engine: str | Vllm | Transformers | PoolSettings,
    kv_cache_dtype: str,
    dtype: str,
    tensor_parallel_size: int,
) -> tuple[Layout, DType]:
    """The layout of an engine given by name or settings, and the cache's format.

    Raises:
        SpecError: for an unknown engine or format, or heads that do not divide.
        UnsupportedError: for a layout that is not known.
    """
    if (pools := pool_settings(engine)) is not None:
        ranks = Parallelism(tensor_parallel_size=tensor_parallel_size)
        return pool_layout(model, pools, ranks, kv_cache_dtype=kv_cache_dtype, dtype=dtype)
    own = model.dtype if dtype == "auto" else model_dtype(dtype)
    kv_dtype = own if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype)
    if engine == EngineName.IDEAL:
        return IdealLayout(
            model=model, kv_dtype=kv_dtype, dtype=own, tensor_parallel_size=tensor_parallel_size
        ), kv_dtype
    if engine == EngineName.TRANSFORMERS:
        engine = Transformers()
    if isinstance(engine, Transformers):
        if kv_dtype != own:
            msg = f"kv_cache_dtype={kv_cache_dtype} must be auto: this cache follows dtype"
            raise SpecError(msg)
        return TransformersLayout(
            model=model, settings=engine, dtype=own, tensor_parallel_size=tensor_parallel_size
        ), own
    settings = _vllm_settings(engine)
    settings = replace(
        settings,
        kv_cache_dtype=settings.kv_cache_dtype if kv_cache_dtype == "auto" else kv_cache_dtype,
        dtype=settings.dtype if dtype == "auto" else dtype,
    )
    parallel = Parallelism(tensor_parallel_size=tensor_parallel_size)
    return vllm_cache_layout(model, settings, parallel, accelerator=None), kv_dtype


def _vllm_settings(engine: object) -> Vllm:
    if isinstance(engine, Vllm):
        return engine
    if engine == EngineName.VLLM:
        return Vllm()
    msg = f"engine={str(engine)[:40]} must be one of {', '.join(EngineName)}"
    raise SpecError(msg)
