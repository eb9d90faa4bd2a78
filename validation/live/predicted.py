"""What kvsim says a rung's cache takes."""

from dataclasses import replace

import kvsim
from validation.live.rung import Rung

DECODER_START = 1
"""Tokens from which the decoder of an encoder-decoder starts."""


def predict(
    spec: kvsim.ModelSpec, rung: Rung, *, dtype: str, is_encoder_decoder: bool
) -> dict[str, int]:
    """Live and storage bytes after the prefill and after decoding, and the append's transient.

    Raises:
        KvsimError: where kvsim refuses.
    """
    prompt = DECODER_START if is_encoder_decoder else rung.num_prompt_tokens
    figures = {}
    for phase, decoded in (("prefill", 0), ("decode", rung.num_decoded_tokens)):
        for what in ("live", "storage"):
            settings = replace(rung.cache, num_decoded_tokens=decoded, live_only=what == "live")
            figures[f"{phase}_{what}_bytes"] = kvsim.cache_bytes(
                spec,
                num_tokens=prompt + decoded,
                batch_size=rung.batch_size,
                engine=settings,
                dtype=dtype,
                num_encoder_tokens=rung.num_prompt_tokens if is_encoder_decoder else None,
            ).total_bytes
    if rung.cache.cache_implementation is kvsim.CacheImplementation.DYNAMIC:
        figures["append_transient_bytes"] = predict_transient(
            spec,
            num_tokens=prompt + rung.num_decoded_tokens - 1,
            batch_size=rung.batch_size,
            dtype=dtype,
        )
    return figures


def predict_transient(
    spec: kvsim.ModelSpec, *, num_tokens: int, batch_size: int, dtype: str
) -> int:
    """Bytes of one append to the worst layer, before it `num_tokens` are stored.

    A layer that keeps everything copies keys, frees, then copies values: one tensor lives
    twice. A layer with a window builds both before it lets go of either.

    Source:
        transformers `DynamicLayer.update` and `DynamicSlidingWindowLayer.update`,
        cache_utils.py, 5.23.0.
    """
    width = kvsim.model_dtype(dtype).nbytes
    repeats = spec.transformers.repeats_kv_heads
    worst = 0
    for group in spec.layer_groups:
        for behaviour in group.layer:
            match behaviour:
                case kvsim.SlidingWindow():
                    heads, window = behaviour.num_kv_heads, behaviour.sliding_window
                    token = heads * width(behaviour.head_dim + behaviour.value_head_dim)
                    taken = min(num_tokens, window) * token
                case kvsim.FullAttention():
                    heads = behaviour.num_attention_heads if repeats else behaviour.num_kv_heads
                    keys, values = width(behaviour.head_dim), width(behaviour.value_head_dim)
                    taken = heads * max(num_tokens * values, num_tokens * keys - values)
                case kvsim.SlidingLatentAttention():
                    stored = min(num_tokens, behaviour.sliding_window)
                    taken = stored * behaviour.token_bytes(kvsim.model_dtype(dtype))
                case kvsim.LatentAttention():
                    keys, values = (
                        width(behaviour.kv_lora_rank),
                        width(behaviour.qk_rope_head_dim),
                    )
                    taken = max(num_tokens * values, num_tokens * keys - values)
                case _:
                    continue
            worst = max(worst, taken)
    return worst * batch_size
