"""Layouts of engines that take a model, their settings and the parallel degrees alone."""

from dataclasses import replace

from kvsim.dtypes import DType, model_dtype
from kvsim.engines import sglang_cells, tensorrt_llm
from kvsim.engines.layout import Layout
from kvsim.engines.llama_cpp import LlamaCppSlot
from kvsim.engines.ollama import OllamaSlot
from kvsim.engines.sglang import sglang_layout
from kvsim.engines.tensorrt_llm import tensorrt_llm_layout
from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import LlamaCpp, Ollama, cache_type
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.pool_settings import POOL_ENGINES, PoolSettings
from kvsim.specs.sglang import Sglang

LLAMA_NAMES = {
    "float32": "f32",
    "fp32": "f32",
    "float16": "f16",
    "fp16": "f16",
    "half": "f16",
    "bfloat16": "bf16",
}
"""Other engines' names of formats -> llama.cpp's."""


def pool_settings(engine: object) -> PoolSettings | None:
    """The settings of an engine given by name or settings; None if it is another engine's."""
    if isinstance(engine, PoolSettings):
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
    if isinstance(settings, LlamaCpp | Ollama):
        return _llama_layout(model, settings, parallel, kv_cache_dtype=kv_cache_dtype)
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


def _llama_layout(
    model: ModelSpec,
    settings: LlamaCpp | Ollama,
    parallel: Parallelism,
    *,
    kv_cache_dtype: str,
) -> tuple[Layout, DType]:
    """llama.cpp's own cache, or as Ollama starts it; a stated format is that of keys and values."""
    if parallel.tensor_parallel_size > 1:
        msg = (
            f"tensor_parallel_size={parallel.tensor_parallel_size}: llama.cpp divides layers "
            "over devices, its --split-mode tensor is not known here"
        )
        raise UnsupportedError(msg)
    stated = None if kv_cache_dtype == "auto" else LLAMA_NAMES.get(kv_cache_dtype, kv_cache_dtype)
    if isinstance(settings, Ollama):
        settings = settings if stated is None else replace(settings, kv_cache_type=stated)
        own = OllamaSlot(model=model, settings=settings)
        return own, cache_type(settings.kv_cache_type, field="kv_cache_dtype")
    if stated is not None:
        settings = replace(settings, cache_type_k=stated, cache_type_v=stated)
    slot = LlamaCppSlot(model=model, settings=settings)
    keys, values = settings.cache_type_k, settings.cache_type_v
    dtype = cache_type(keys, field="kv_cache_dtype")
    if keys != values:
        dtype = replace(dtype, name=f"{keys} keys, {values} values")
    return slot, dtype


def refuse_stages(parallel: Parallelism, engine: EngineName) -> None:
    """UnsupportedError for pipeline stages: each would be charged the whole model's cache."""
    stages = parallel.pipeline_parallel_size
    if stages > 1:
        msg = Message(
            "pipeline_parallel_size={stages} must be 1: the stages of {engine} are not known here",
            stages=stages,
            engine=engine,
        )
        raise UnsupportedError(msg)
