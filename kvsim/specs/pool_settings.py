"""Settings of the engines that are not vLLM, and what all of them state."""

from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import LlamaCpp, Ollama
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

PoolSettings = Sglang | TensorrtLlm | LlamaCpp | Ollama
POOL_ENGINES = {
    EngineName.SGLANG: Sglang,
    EngineName.TENSORRT_LLM: TensorrtLlm,
    EngineName.LLAMA_CPP: LlamaCpp,
    EngineName.OLLAMA: Ollama,
}


def stated_length(settings: PoolSettings) -> int | None:
    """The longest request that the engine's own flags state; None where they state none."""
    if isinstance(settings, Sglang):
        return settings.context_length
    if isinstance(settings, TensorrtLlm):
        return settings.max_seq_len
    if isinstance(settings, Ollama):
        return settings.num_ctx
    slots = 1 if settings.kv_unified else settings.parallel or 1
    return settings.ctx_size // slots if settings.ctx_size else None
