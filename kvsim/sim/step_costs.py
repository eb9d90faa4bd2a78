"""A step's seconds in numbers, for a kernel that cannot call back."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class CostForm(IntEnum):
    """What a step's seconds follow from.

    They are `base_s`; or a sum over what it computes, on a line; or what takes longer, operations
    or memory traffic. The last two take no time for a step without tokens.
    """

    CONSTANT = 0
    LINE = 1
    ROOFLINE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCosts:
    """What a step costs for each request, token, pair of tokens, and token of the cache."""

    form: CostForm
    base_s: float = 0.0
    per_request_s: float = 0.0
    per_token_s: float = 0.0
    per_cached_token_s: float = 0.0
    pair_flops: float = 0.0  # of one token that attends to one
    token_flops: float = 0.0
    sample_flops: float = 0.0  # of one sequence
    flops_per_s: float = 1.0
    weights_bytes: float = 0.0
    context_bytes: float = 0.0  # of one token of the cache
    bytes_per_s: float = 1.0
    shares: Sequence[float] = (1.0,)  # entry n: of the weights that a step of n tokens reads
