"""What an answer costs as it grows: token by token and in all, with a cache and without."""

from collections.abc import Iterable
from dataclasses import dataclass

from kvsim.analytic.compute import position_flops
from kvsim.errors import SpecError
from kvsim.specs.attention import check_positive
from kvsim.specs.model import ModelSpec

MAX_OUTPUT_TOKENS = 8192
"""Longest answer whose cost without a cache is summed token by token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerCost:
    """Operations of the last token of an answer, and of the whole answer."""

    num_output_tokens: int
    cached_token_flops: int
    uncached_token_flops: int
    cached_total_flops: int
    uncached_total_flops: int


def answer_costs(
    model: ModelSpec, *, num_prompt_tokens: int, lengths: Iterable[int]
) -> tuple[AnswerCost, ...]:
    """The cost of answers of these lengths to one prompt, its own prefill left out.

    A token costs one position with a cache, and all positions up to its own without; the totals
    are `decode_total_flops` and `uncached_total_flops`, summed once for all lengths.

    Args:
        model: its weights must be known.
        num_prompt_tokens: tokens of the prompt (>= 1).
        lengths: tokens of the answers (>= 1, <= 8192).

    Raises:
        SpecError: for an impossible length, or unknown weights.

    Example:
        A token after a hundred costs as much as all of them, without a cache.

        >>> from kvsim import load_model
        >>> cost, = answer_costs(load_model("gpt2"), num_prompt_tokens=100, lengths=[2])
        >>> round(cost.uncached_token_flops / cost.cached_token_flops, 1)
        70.2
    """
    wanted = sorted(set(lengths))
    check_positive(num_prompt_tokens=num_prompt_tokens)
    for length in wanted:
        if not 1 <= length <= MAX_OUTPUT_TOKENS:
            msg = f"num_output_tokens={length} must be 1 to {MAX_OUTPUT_TOKENS}"
            raise SpecError(msg)
    costs, kept, again = [], 0, 0
    for length in range(1, max(wanted, default=0) + 1):
        stop = num_prompt_tokens + length
        token = position_flops(model, stop - 1, stop).flops
        whole = position_flops(model, 0, stop).flops
        kept, again = kept + token, again + whole
        if length in wanted:
            costs.append(
                AnswerCost(
                    num_output_tokens=length,
                    cached_token_flops=token,
                    uncached_token_flops=whole,
                    cached_total_flops=kept,
                    uncached_total_flops=again,
                )
            )
    return tuple(costs)
