"""A request that is alone in the cache, preempts itself, and gets nowhere."""

from kvsim.errors import SpecError
from kvsim.sim.request import RunningRequest

MAX_STARVED = 100
"""Self-preemptions without a new token after which a run counts as stuck.

Aligned states may need a second attempt, with more of the prompt cached; in some thousand random
runs against the engine's own scheduler none that ended took more than a few.
"""


def check_starving(request: RunningRequest, *, num_gpu_blocks: int) -> None:
    """Count that a request, alone, preempts itself; SpecError where it does so for ever.

    Args:
        request: it got no further since the last time, or did.
        num_gpu_blocks: of the pool.
    """
    if request.num_tokens > request.num_tokens_starved:
        request.num_starved, request.num_tokens_starved = 0, request.num_tokens
    request.num_starved += 1
    if request.num_starved > MAX_STARVED:
        msg = (
            f"num_gpu_blocks={num_gpu_blocks} is too small for request "
            f"{request.index}: alone in the cache it preempts itself for ever"
        )
        raise SpecError(msg)
