"""Layouts of engines that take a model, their settings and the parallel degrees alone."""

from dataclasses import replace

from kvsim.dtypes import DType, model_dtype
from kvsim.engines import sglang_cells, tensorrt_llm
from kvsim.engines.layout import Layout
from kvsim.engines.sglang import sglang_layout
from kvsim.engines.tensorrt_llm import tensorrt_llm_layout
from kvsim.specs.engine import EngineName
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

PoolSettings = Sglang | TensorrtLlm
POOL_ENGINES = {EngineName.SGLANG: Sglang, EngineName.TENSORRT_LLM: TensorrtLlm}


def pool_settings(engine: object) -> PoolSettings | None:
    """The settings of an engine given by name or settings; None if it is another engine's."""
    if isinstance(engine, Sglang | TensorrtLlm):
        return engine
    if isinstance(engine, str):
        return next((make() for name, make in POOL_ENGINES.items() if name == engine), None)
    return None


def pool_layout(
    model: ModelSpec,
    settings: PoolSettings,
    parallel: Parallelism,
    *,
    kv_cache_dtype: str,
    dtype: str,
) -> tuple[Layout, DType]:
    """The layout under the settings, and the cache's format; stated formats replace theirs.

    Raises:
        SpecError: for heads that do not divide.
        UnsupportedError: for a format or a behaviour whose rule is not known.
    """
    own = model.dtype if dtype == "auto" else model_dtype(dtype)
    model = model if own == model.dtype else replace(model, dtype=own)
    if isinstance(settings, Sglang):
        if kv_cache_dtype != "auto":
            settings = replace(settings, kv_cache_dtype=kv_cache_dtype)
        layout: Layout = sglang_layout(model, settings, parallel)
        return layout, sglang_cells.storage_format(settings.kv_cache_dtype, own)
    if kv_cache_dtype != "auto":
        settings = replace(settings, dtype=kv_cache_dtype)
    return tensorrt_llm_layout(model, settings, parallel), tensorrt_llm.storage_format(
        settings.dtype, own
    )
