"""Inverse questions: io, engines, analytic and planner wired together."""

from collections.abc import Sequence

from kvsim.io.catalog import catalog_accelerators
from kvsim.io.commands import vllm_serve
from kvsim.io.overheads import overhead_model
from kvsim.planner import solve as inverse
from kvsim.planner.axes import Question
from kvsim.planner.plan import Evaluation, evaluate
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
        (37280, 'kv cache memory', 37281)
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)

    def judge(changed: Deployment, requests: int) -> Evaluation:
        return evaluate(changed, coefficients, concurrent_requests=requests)

    question = Question(
        deployment=deployment,
        concurrent_requests=concurrent_requests,
        judge=judge,
        accelerators=_like(deployment.accelerator) if accelerators is None else accelerators,
    )
    return inverse.solve(target, question, command=vllm_serve)


def _like(device: Accelerator) -> tuple[Accelerator, ...]:
    """The catalogue's devices of the same vendor: others may not run the engine."""
    return tuple(a for a in catalog_accelerators() if a.vendor == device.vendor)
