"""Inverse questions: io, engines, analytic and planner wired together."""

from collections.abc import Sequence
from dataclasses import replace

from kvsim.io.catalog import catalog_accelerators
from kvsim.io.commands import vllm_serve
from kvsim.io.overheads import overhead_model
from kvsim.planner import solve as inverse
from kvsim.planner.axes import Question
from kvsim.planner.frontier import REFERENCE_TOKENS, Frontier, grid_lengths, grid_requests
from kvsim.planner.frontier import frontier as edge
from kvsim.planner.plan import Evaluation, Judge, evaluate
from kvsim.planner.solution import Solution
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.hardware import Accelerator
from kvsim.specs.overheads import OverheadModel


def solve(
    deployment: Deployment,
    target: str,
    *,
    concurrent_requests: int | None = None,
    accelerators: Sequence[Accelerator] | None = None,
    overheads: OverheadModel | None = None,
) -> Solution:
    """The extreme value of one quantity with which a deployment still fits, and what binds it.

    What the deployment says of that quantity itself is not looked at. `max_num_seqs` asks for as
    many requests of `max_model_len` as may run at once, `num_gpu_blocks` for the fewest blocks,
    `num_gpus` for the smallest multiple of the stated degrees, stages of layers included.

    Args:
        deployment: model, accelerator, engine settings, parallelism: all else is held fixed.
        target: a `kvsim.Target`, such as "max_model_len", "num_gpus" or "accelerator".
        concurrent_requests: requests of `max_model_len` tokens that must fit at once; None: one.
        accelerators: devices that there are; None means the catalogue's of the same vendor.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        SpecError: for an unknown quantity, one that the deployment decides already, or settings
            that the engine refuses whatever the value.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("qwen3-32b"), accelerator=h100)
        >>> answer = solve(deployment, "max_model_len")
        >>> answer.value, str(answer.binding), answer.beyond.value
        (37792, 'kv cache memory', 37793)
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    question = Question(
        deployment=deployment,
        concurrent_requests=concurrent_requests,
        judge=Judge(coefficients),
        accelerators=_like(deployment.accelerator) if accelerators is None else accelerators,
    )
    return inverse.solve(target, question, command=vllm_serve)


def _like(device: Accelerator) -> tuple[Accelerator, ...]:
    """The catalogue's devices of the same vendor: others may not run the engine."""
    return tuple(a for a in catalog_accelerators() if a.vendor == device.vendor)


def frontier(
    deployment: Deployment,
    *,
    concurrent_requests: int = 1,
    lengths: Sequence[int] | None = None,
    requests: Sequence[int] | None = None,
    overheads: OverheadModel | None = None,
) -> Frontier:
    """What share of the cache memory each pair of context and concurrency asks for.

    Every context is planned as `plan` plans it, so the edge is the plan's.

    Args:
        deployment: model, accelerator, parallelism; its `max_model_len` alone is varied.
        concurrent_requests: what is asked, for the size of the grid.
        lengths: contexts; None: half powers of two up to the model's longest.
        requests: requests at once; None: half powers of two to past what is asked and what fits.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        SpecError: for settings that no real system can have, or a length that the engine refuses.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> from kvsim import accelerator, load_model
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> deployment = Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)
        >>> edge = frontier(deployment, lengths=[4096, 8192], requests=[32, 64])
        >>> edge.max_requests, [round(share, 2) for share in edge.shares[1]]
        ((111, 55), [0.58, 1.15])
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)

    def judge(length: int) -> Evaluation:
        changed = replace(deployment, engine=replace(deployment.engine, max_model_len=length))
        return evaluate(changed, coefficients, concurrent_requests=1)

    asked = evaluate(deployment, coefficients, concurrent_requests=concurrent_requests)
    if lengths is None:
        lengths = grid_lengths(asked.resolved.max_model_len, deployment.model.max_model_len)
    if requests is None:
        short = judge(min(REFERENCE_TOKENS, max(lengths)))
        requests = grid_requests(concurrent_requests, short.fit.max_requests)
    return edge(judge, lengths=lengths, requests=requests)
