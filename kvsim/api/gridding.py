"""Closed forms over arrays: io, analytic and planner wired together."""

from collections.abc import Sequence

from kvsim.analytic.grid import CacheGrid, Ints
from kvsim.io.overheads import overhead_model
from kvsim.planner.grid import cache_grid
from kvsim.planner.plan import Evaluation, evaluate
from kvsim.planner.plan_grid import PlanGrid, plan_axes
from kvsim.planner.plan_grid import plan_grid as grid_of_plans
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.parallel import Parallelism
from kvsim.specs.pool_settings import PoolSettings
from kvsim.specs.transformers import Transformers


def cache_bytes_grid(
    model: ModelSpec,
    *,
    num_tokens: Sequence[int] | Ints,
    batch_sizes: Sequence[int] | Ints = (1,),
    engine: str | Vllm | Transformers | PoolSettings = EngineName.IDEAL,
    kv_cache_dtypes: Sequence[str] = ("auto",),
    dtype: str = "auto",
    tensor_parallel_sizes: Sequence[int] = (1,),
    num_encoder_tokens: int | None = None,
) -> CacheGrid:
    """`cache_bytes` at every combination of formats, ranks, lengths and batch sizes.

    Millions of points a second under ideal, vllm, sglang and tensorrt-llm layouts; the other
    engines are asked once per distinct length.

    Args:
        model: what `load_model` returned.
        num_tokens: cached tokens of each sequence (>= 1).
        batch_sizes: sequences (>= 1).
        engine: whose layout, as `cache_bytes` takes it.
        kv_cache_dtypes: storage formats of keys and values; "auto" is the model's.
        dtype: format of the model's own values; "auto" is the config's.
        tensor_parallel_sizes: ranks that share the heads.
        num_encoder_tokens: encoder output that cross attention caches, where the model does not
            fix it.

    Raises:
        SpecError: for an axis without values, or a figure that int64 does not hold. What an
            engine refuses is not raised but left out, with its reason.

    Example:
        >>> from kvsim.api import load_model
        >>> grid = cache_bytes_grid(load_model("llama-3.1-8b"), num_tokens=[1024, 8192],
        ...     batch_sizes=[1, 4], kv_cache_dtypes=["auto", "fp8"])
        >>> grid.total_bytes[1, 0].tolist()
        [[67108864, 268435456], [536870912, 2147483648]]
    """
    if num_encoder_tokens is not None:
        model = model.with_encoder_tokens(num_encoder_tokens)
    return cache_grid(
        model,
        num_tokens=num_tokens,
        batch_sizes=batch_sizes,
        engine=engine,
        kv_cache_dtypes=kv_cache_dtypes,
        dtype=dtype,
        tensor_parallel_sizes=tensor_parallel_sizes,
    )


def plan_grid(
    deployment: Deployment,
    *,
    max_model_len: Sequence[int] | Ints,
    concurrent_requests: Sequence[int] | Ints = (1,),
    kv_cache_dtypes: Sequence[str] | None = None,
    parallels: Sequence[Parallelism] | None = None,
    accelerators: Sequence[Accelerator] | None = None,
    overheads: OverheadModel | None = None,
) -> PlanGrid:
    """`plan` at every combination of devices, degrees, formats, lengths and numbers of requests.

    A budget is computed once for all lengths that share it; the rest is array arithmetic, millions
    of points a second. There is no advice.

    Args:
        deployment: what does not vary; its engine chooses no length of its own.
        max_model_len: longest prompt plus output, tokens (>= 1).
        concurrent_requests: requests of that length that must fit at once (>= 1).
        kv_cache_dtypes: storage formats of the cache; None: the deployment's.
        parallels: degrees; None: the deployment's.
        accelerators: devices; None: the deployment's.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        SpecError: for an axis without values, or a figure that int64 does not hold. What the
            engine refuses is not raised but left out, with its reason.

    Example:
        >>> from kvsim.api import accelerator, load_model
        >>> llama = Deployment(
        ...     model=load_model("llama-3.1-8b"), accelerator=accelerator("H100-SXM5-80GB"))
        >>> grid = plan_grid(llama, max_model_len=[8192, 32768], concurrent_requests=[1, 20])
        >>> grid.max_requests[0, 0, 0].tolist(), grid.fits[0, 0, 0].tolist()
        ([55, 13], [[True, True], [True, False]])
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)

    def judged(changed: Deployment, requests: int) -> Evaluation:
        return evaluate(changed, coefficients, concurrent_requests=requests)

    axes = plan_axes(
        deployment,
        accelerators=accelerators,
        parallels=parallels,
        kv_cache_dtypes=kv_cache_dtypes,
        max_model_len=max_model_len,
        concurrent_requests=concurrent_requests,
    )
    return grid_of_plans(deployment, axes, judged)
