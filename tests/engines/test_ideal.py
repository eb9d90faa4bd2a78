"""The ideal layout: what a mechanism needs, before any engine rounds it up."""

import kvsim
from kvsim.dtypes import BF16, FP8
from kvsim.engines.ideal import IdealLayout

SIZES = {
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "sliding_window": 8,
    "model_type": "gemma2",
    "head_dim": 16,
    "torch_dtype": "bfloat16",
}
TOKEN = 2 * 2 * 16 * 2


def layout(kv_dtype=BF16, **fields):
    """The layout of two window layers and two full ones."""
    return IdealLayout(model=kvsim.load_model(SIZES | fields), kv_dtype=kv_dtype, dtype=BF16)


def test_a_window_holds_at_most_itself():
    """
    min(n, W) tokens, the current one included.
    """
    held = {n: layout().sequence(n).kv_bytes for n in (3, 8, 100)}

    assert held == {n: (2 * n + 2 * min(n, 8)) * TOKEN for n in held}


def test_the_next_token_costs_what_still_grows():
    """
    Past the window only the full layers grow.
    """
    assert layout().sequence(7).marginal_bytes == 4 * TOKEN
    assert layout().sequence(8).marginal_bytes == 2 * TOKEN


def test_the_caches_format_leaves_states_alone():
    """
    Convolutions follow the model, states are float32: fp8 keys change neither.
    """
    delta = {
        "model_type": "qwen3_next",
        "sliding_window": None,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 4,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_conv_kernel_dim": 4,
    }
    plain, narrow = layout(**delta).sequence(10), layout(FP8, **delta).sequence(10)

    assert plain.state_bytes == narrow.state_bytes == 3 * (96 * 3 * 2 + 4 * 64 * 4)
    assert plain.kv_bytes == 2 * narrow.kv_bytes


def test_layers_without_a_cache_are_listed():
    """
    A breakdown accounts for every layer.
    """
    letters = {
        "model_type": "nemotron_h",
        "hybrid_override_pattern": "*-*-",
        "sliding_window": None,
    }
    layers = layout(**letters).sequence(10).layers

    assert [(layer.kind, layer.count) for layer in layers] == [
        ("full attention", 2),
        ("no cache", 2),
    ]
