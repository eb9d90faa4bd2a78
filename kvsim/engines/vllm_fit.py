"""The longest request that a number of vLLM's blocks can hold."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_cache_group import KVCacheGroup


def longest_request(
    groups: Sequence[KVCacheGroup], config: VllmCacheConfig, *, num_blocks: int
) -> int:
    """Longest request up to `max_model_len` tokens that the blocks hold; 0 if not one token fits.

    Args:
        groups: the model's groups; each takes its own blocks.
        config: settings as resolved.
        num_blocks: blocks that requests can take; none at all if negative.

    Source:
        vLLM `_estimate_max_model_len_from_groups`, vllm/v1/core/kv_cache_utils.py, 0.32.0.
    """
    alike = Counter(group.specs for group in groups)

    def fits(num_tokens: int) -> bool:
        tried = replace(config, max_model_len=num_tokens)
        blocks = (
            count * max(spec.max_blocks(tried) for spec in specs) for specs, count in alike.items()
        )
        return sum(blocks) <= num_blocks

    return _last_true(fits, config.max_model_len) if num_blocks > 0 else 0


def _last_true(holds: Callable[[int], bool], most: int) -> int:
    """The largest number in 1..most for which a condition that only gets harder holds, or 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
