"""Every engine side by side for one deployment."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kvsim.io.overheads import engine_reserves, overhead_model
from kvsim.planner import compare as side_by_side
from kvsim.planner.compare import Comparison
from kvsim.planner.engine_memory import Facts
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName

if TYPE_CHECKING:
    pass


def compare(
    deployment: Deployment,
    *,
    engines: Sequence[str] | None = None,
    num_tokens: int | None = None,
) -> Comparison:
    """Every engine's bytes, capacity and concurrency for one model, device and length.

    Engines run under their own defaults; formats, degrees and memory are the deployment's. An
    engine that refuses says why; a figure whose rule is not known is None.

    Args:
        deployment: model, accelerator, parallelism; its engine settings are vLLM's.
        engines: names; None means all.
        num_tokens: tokens of each request; None means `max_model_len`.

    Raises:
        SpecError: for an unknown engine, or where no length is known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)
        >>> [answer.cost.bytes_per_token for answer in compare(
        ...     deployment, engines=["vllm", "sglang"], num_tokens=8192).engines]
        [131072, 131072]
    """
    facts = Facts(
        overheads=overhead_model(EngineName.VLLM, deployment.engine.engine_version),
        reserves=engine_reserves(),
    )
    return side_by_side.compare(deployment, facts, engines=engines, num_tokens=num_tokens)
