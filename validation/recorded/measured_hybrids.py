"""vLLM's rows of hybrids: states padded to a block, and the copies that drafting keeps."""

from collections.abc import Mapping
from typing import Any

import kvsim
from validation.recorded.measured_deployments import catalogue_id
from validation.recorded.measured_prediction import stated

Row = Mapping[str, Any]

BLOCK_UNIT = 16  # tokens by which a hybrid's block grows until its page holds a state
LATENT_UNIT = 128
CACHED = (kvsim.FullAttention, kvsim.LatentAttention)
STEP_TOKENS = 2048  # no figure here depends on it
BF16 = kvsim.model_dtype("bfloat16")


def catalogue_hybrid(row: Row) -> kvsim.ModelSpec:
    """The catalogue's model that the row names: models.json has no states in elements.

    Raises:
        kvsim.UnsupportedError: if the row's model is not in the catalogue.
    """
    found = catalogue_id(row["model"])
    if found is None:
        msg = f"{row['model']}: its recurrent states are described nowhere"
        raise kvsim.UnsupportedError(msg)
    return kvsim.load_model(found)


def hybrid_layout(row: Row, available_bytes: int) -> kvsim.VllmLayout:
    """The row's layout: prefix caching off, which was the default for hybrids then.

    A draft of multi-token prediction adds its attention layers, and to every state a column of
    convolution and a copy for the token that it drafts.
    """
    model, drafts = catalogue_hybrid(row), (row.get("extra") or {}).get("mtp_layers", 0)
    drafted = 1 if drafts else 0
    ranks, length = row.get("tp") or 1, stated(row, "max_model_len")
    attention = [b for y in model.layers for b in y if isinstance(b, CACHED)]
    states = [b for y in model.layers for b in y if isinstance(b, kvsim.RecurrentState)]
    token = attention[0].token_bytes(BF16, tensor_parallel_size=ranks)
    convolution = _conv_elems(states[0], ranks, drafted)
    temporal = states[0].state_elems // ranks
    page = convolution * 2 + temporal * 4
    unit = LATENT_UNIT if isinstance(attention[0], kvsim.LatentAttention) else BLOCK_UNIT
    block_size = -(-page // (unit * token)) * unit
    full = _attention_spec(attention[0], block_size, ranks)
    state = kvsim.vllm_layer_spec(
        "MambaSpec",
        block_size=length,
        shapes=[(convolution,), (temporal,)],
        dtypes=["bfloat16", "float32"],
        page_size_padded=block_size * token,
        num_speculative_blocks=drafted,
    )
    config = kvsim.VllmCacheConfig(
        max_model_len=length,
        max_num_batched_tokens=STEP_TOKENS,
        block_size=block_size,
        enable_prefix_caching=False,
        tensor_parallel_size=ranks,
    )
    layers = [full] * (len(attention) + drafts) + [state] * len(states)
    return kvsim.vllm_layout(layers, config, available_bytes=available_bytes)


def _attention_spec(attention: Any, block_size: int, ranks: int) -> Any:  # noqa: ANN401
    """One attention layer's spec on one rank."""
    if isinstance(attention, kvsim.LatentAttention):
        width = attention.kv_lora_rank + attention.qk_rope_head_dim
        name, heads = "MLAAttentionSpec", 1
    else:
        width, heads = attention.head_dim, max(1, attention.num_kv_heads // ranks)
        name = "FullAttentionSpec"
    return kvsim.vllm_layer_spec(
        name, block_size=block_size, num_kv_heads=heads, head_size=width, dtype="bfloat16"
    )


def _conv_elems(state: kvsim.RecurrentState, ranks: int, drafted: int) -> int:
    """Columns of the convolution: one less than its kernel, one more for each drafted token."""
    columns = state.conv_kernel - 1
    return state.conv_elems(ranks) // columns * (columns + drafted)
