"""Hypothesis strategies: configs of every mechanism, small enough to count by hand."""

from hypothesis import strategies as st

HEADS = st.sampled_from([(4, 1), (4, 2), (4, 4), (8, 2), (6, 3)])
WORDS = st.sampled_from(["full_attention", "sliding_attention"])


@st.composite
def sizes(draw):
    """Heads, KV heads, head size and hidden size, the last of no consequence to the others."""
    heads, kv_heads = draw(HEADS)
    return {
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw(st.sampled_from([8, 16, 64])),
        "hidden_size": 48 * heads,
        "vocab_size": 128,
        "torch_dtype": "bfloat16",
    }


@st.composite
def dense_configs(draw):
    """Full attention in every layer."""
    layers = draw(st.integers(1, 12))
    return draw(sizes()) | {"model_type": "llama", "num_hidden_layers": layers}


@st.composite
def windowed_configs(draw):
    """Full and window layers in any order."""
    words = draw(st.lists(WORDS, min_size=1, max_size=12))
    return draw(sizes()) | {
        "model_type": "gemma3_text",
        "num_hidden_layers": len(words),
        "layer_types": words,
        "sliding_window": draw(st.integers(1, 64)),
    }


@st.composite
def hybrid_configs(draw):
    """Attention and the gated delta rule."""
    words = draw(
        st.lists(st.sampled_from(["full_attention", "linear_attention"]), min_size=1, max_size=8)
    )
    linear = {
        "linear_num_value_heads": draw(st.sampled_from([4, 8])),
        "linear_num_key_heads": 4,
        "linear_key_head_dim": draw(st.sampled_from([8, 16])),
        "linear_value_head_dim": 16,
        "linear_conv_kernel_dim": 4,
    }
    return (
        draw(sizes())
        | linear
        | {"model_type": "qwen3_next", "num_hidden_layers": len(words), "layer_types": words}
    )


@st.composite
def latent_configs(draw):
    """Latent attention, with or without an indexer."""
    config = draw(sizes()) | {
        "model_type": "deepseek_v3",
        "num_hidden_layers": draw(st.integers(1, 8)),
        "kv_lora_rank": draw(st.sampled_from([16, 24])),
        "qk_rope_head_dim": 8,
    }
    if draw(st.booleans()):
        config |= {"index_head_dim": 16, "index_n_heads": 2, "index_topk": 8}
    return config


def configs():
    """A config of any of the mechanisms."""
    return st.one_of(dense_configs(), windowed_configs(), hybrid_configs(), latent_configs())


LENGTHS = st.integers(1, 4096)
