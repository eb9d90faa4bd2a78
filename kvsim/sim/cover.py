"""Which runs the compiled twin covers, and why it does not cover the others."""

from enum import StrEnum

from kvsim.engines.vllm_specs import FullAttentionSpec
from kvsim.sim.config import Policy
from kvsim.sim.setup import EngineSetup


class SchedulerName(StrEnum):
    """Which statement of the scheduler's rules serves a workload."""

    AUTO = "auto"  # the compiled twin where it covers the run
    COMPILED = "compiled"
    REFERENCE = "reference"


def why_not_compiled(setup: EngineSetup) -> str | None:
    """Why the compiled twin can't serve on this engine; None if it can.

    It covers layers that keep every token under one block table, first come, first served.
    """
    config, spec = setup.config, setup.groups[0].spec
    reasons = {
        f"{len(setup.groups)} groups of layers share the blocks": len(setup.groups) > 1,
        f"layers of type {type(spec).__name__} do not keep every token": (
            not isinstance(spec, FullAttentionSpec)
        ),
        "the layers' prefixes cannot be cached": (
            config.enable_prefix_caching and not spec.prefix_cacheable
        ),
        f"the scheduler aligns to {setup.block_size} tokens, blocks do not": (
            setup.block_size != spec.tokens_per_block(setup.cache_config)
        ),
        f"policy={config.policy}": config.policy is not Policy.FCFS,
        "tiers below the device's cache hold blocks": setup.tiers is not None,
        "tokens are drafted": config.num_speculative_tokens + config.lookahead_tokens > 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)
