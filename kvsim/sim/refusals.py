"""Requests that an engine refuses, or could never serve."""

from kvsim.errors import SpecError
from kvsim.sim.setup import EngineSetup
from kvsim.specs.workload import Request


def never_scheduled(setup: EngineSetup, place: int) -> SpecError:
    """What is wrong where the first in line runs no more, whatever comes.

    Args:
        setup: blocks and limits.
        place: of the request in the workload.
    """
    msg = (
        f"request {place} can never be scheduled: "
        f"max_num_batched_tokens={setup.config.max_num_batched_tokens} or "
        f"num_gpu_blocks={setup.num_gpu_blocks} is too small for its next chunk"
    )
    return SpecError(msg)


def check_request(setup: EngineSetup, request: Request, place: int, *, needed: int) -> None:
    """SpecError if the engine would refuse a request, or could never serve it.

    Args:
        setup: blocks and limits.
        request: what is asked.
        place: of the request in the workload.
        needed: most blocks that it holds at once.
    """
    longest = setup.config.max_model_len
    if request.num_prompt_tokens >= longest:
        msg = (
            f"request {place}: num_prompt_tokens={request.num_prompt_tokens} must be < "
            f"max_model_len={longest}"
        )
        raise SpecError(msg)
    usable = setup.num_gpu_blocks - 1
    if needed > usable:
        msg = (
            f"request {place} needs {needed} blocks for {setup.final_tokens(request)} tokens, but "
            f"num_gpu_blocks={setup.num_gpu_blocks} leaves {usable} beside the null block"
        )
        raise SpecError(msg)
