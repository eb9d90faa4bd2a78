"""Small runs for tests: one layer, few blocks, requests by their lengths."""

import kvsim

BLOCK_SIZE = 4


def layer(kind="FullAttentionSpec", block_size=BLOCK_SIZE, **fields):
    """One tiny layer."""
    return kvsim.vllm_layer_spec(
        kind, block_size=block_size, num_kv_heads=1, head_size=8, dtype="bfloat16", **fields
    )


def state_layer(*, cached, max_model_len):
    """One tiny recurrent layer, its page as wide as an attention layer's."""
    return kvsim.vllm_layer_spec(
        "MambaSpec",
        block_size=BLOCK_SIZE if cached else max_model_len,
        shapes=[[layer().page_size_bytes // 2]],
        dtypes=["bfloat16"],
        mamba_cache_mode="align" if cached else "none",
    )


def workload(*lengths, **fields):
    """Requests of (prompt, answer) tokens, all there at the start."""
    return kvsim.Workload(
        requests=tuple(
            kvsim.Request(num_prompt_tokens=prompt, num_output_tokens=output, **fields)
            for prompt, output in lengths
        )
    )


def settings(*, max_model_len=64, max_num_batched_tokens=16, caching=False, **scheduling):
    """The settings of the cache and of the scheduler, in agreement."""
    both = {
        "max_model_len": max_model_len,
        "max_num_batched_tokens": max_num_batched_tokens,
        "enable_prefix_caching": caching,
        "async_scheduling": scheduling.pop("async_scheduling", False),
    }
    cache_config = kvsim.VllmCacheConfig(**both, block_size=BLOCK_SIZE)
    return cache_config, kvsim.SchedulerConfig(**both, **scheduling)


def serve(requests, *, num_gpu_blocks, layers=None, scheduler="reference", **given):
    """The run of a workload through one full-attention layer, or through the given ones."""
    cache_config, config = settings(**given)
    return kvsim.simulate_schedule(
        layers or [layer()],
        cache_config,
        config,
        requests,
        num_gpu_blocks=num_gpu_blocks,
        scheduler=scheduler,
    )
