"""Which engine's checks a log gets."""

from collections.abc import Callable, Mapping

from kvsim.planner.reconcile_llama_cpp import reconcile_llama_cpp
from kvsim.planner.reconcile_sglang import reconcile_sglang
from kvsim.planner.reconcile_tensorrt_llm import reconcile_tensorrt_llm
from kvsim.planner.reconcile_vllm import reconcile_vllm
from kvsim.planner.reconciliation import Findings
from kvsim.planner.vllm_log import VllmFacts
from kvsim.specs.engine_log import EngineLog, LogEngine

Reconcile = Callable[[EngineLog, VllmFacts], Findings]

ENGINES: Mapping[LogEngine, Reconcile] = {
    LogEngine.VLLM: reconcile_vllm,
    LogEngine.SGLANG: lambda log, facts: reconcile_sglang(log, facts.model),
    LogEngine.TENSORRT_LLM: lambda log, facts: reconcile_tensorrt_llm(log, facts.model),
    LogEngine.LLAMA_CPP: lambda log, _: reconcile_llama_cpp(log),
    LogEngine.IK_LLAMA_CPP: lambda log, _: reconcile_llama_cpp(log),
    LogEngine.OLLAMA: lambda log, _: reconcile_llama_cpp(log),
}


def reconcile(log: EngineLog, facts: VllmFacts) -> Findings:
    """Every check that the log's figures and what is known beside it allow."""
    return ENGINES[log.engine](log, facts)
