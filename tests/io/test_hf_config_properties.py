"""What holds of every config: monotone, the same however it is written, nothing ignored."""

from hypothesis import given
from hypothesis import strategies as st

import kvsim
from tests.strategies import (
    LENGTHS,
    configs,
    dense_configs,
    hybrid_configs,
    latent_configs,
    windowed_configs,
)

SIZES_THAT_GROW = ("head_dim", "kv_lora_rank", "linear_value_head_dim", "index_head_dim")


def total(config, num_tokens, **settings):
    """Bytes of one sequence."""
    model = kvsim.load_model(config)
    return kvsim.cache_bytes(model, num_tokens=num_tokens, **settings).total_bytes


@given(configs(), LENGTHS, st.integers(1, 100))
def test_bytes_never_fall_with_tokens(config, num_tokens, more):
    """
    A longer sequence holds at least what a shorter one holds.
    """
    assert total(config, num_tokens) <= total(config, num_tokens + more)


@given(dense_configs(), LENGTHS)
def test_bytes_never_fall_with_layers(config, num_tokens):
    """
    A layer more is cache more.
    """
    deeper = config | {"num_hidden_layers": config["num_hidden_layers"] + 1}

    assert total(config, num_tokens) < total(deeper, num_tokens)


@given(configs(), LENGTHS)
def test_bytes_never_fall_with_sizes(config, num_tokens):
    """
    Wider heads, latents, states and keys hold more, and so do more KV heads.
    """
    for field in SIZES_THAT_GROW:
        if field in config:
            wider = config | {field: 2 * config[field]}
            assert total(config, num_tokens) <= total(wider, num_tokens)
    all_heads = config | {"num_key_value_heads": config["num_attention_heads"]}
    assert total(config, num_tokens) <= total(all_heads, num_tokens)


@given(configs(), LENGTHS)
def test_bytes_never_fall_with_bytes_per_value(config, num_tokens):
    """
    fp8 holds at most what bfloat16 holds, and that at most what float32 holds.
    """
    formats = ["fp8", "bfloat16", "float32"]
    held = [total(config, num_tokens, kv_cache_dtype=name) for name in formats]

    assert held == sorted(held)


@given(configs(), LENGTHS, st.sampled_from(["ideal", "transformers"]))
def test_layers_sum_to_the_total(config, num_tokens, engine):
    """
    Parts equal the whole, to the byte.
    """
    held = kvsim.cache_bytes(kvsim.load_model(config), num_tokens=num_tokens, engine=engine)

    assert sum(layer.total_bytes for layer in held.layers) == held.total_bytes


@given(configs(), LENGTHS)
def test_nested_form_is_the_same_model(config, num_tokens):
    """
    The same fields inside a composite's `text_config` give the same answer.
    """
    nested = {"model_type": "some_vlm", "vision_config": {"depth": 3}, "text_config": config}

    assert total(nested, num_tokens) == total(config, num_tokens)


@given(windowed_configs(), LENGTHS)
def test_newer_rewrite_is_the_same_model(config, num_tokens):
    """
    5.x writes `dtype` and `layer_types` where older files had `torch_dtype` and nothing.
    """
    pattern = ["sliding_attention"] * 5 + ["full_attention"]
    words = (pattern * 2)[: config["num_hidden_layers"]]
    older = {key: value for key, value in config.items() if key != "layer_types"}
    newer = {key: value for key, value in config.items() if key != "torch_dtype"}
    newer |= {"dtype": "bfloat16", "layer_types": words}

    assert total(older, num_tokens) == total(newer, num_tokens)


@given(st.one_of(windowed_configs(), hybrid_configs(), latent_configs()))
def test_a_deciding_field_is_never_ignored(config):
    """
    Without a field that decided, the answer is another, refused by the field, or implied.
    """
    model = kvsim.load_model(config)
    for name in {name for group in model.layer_groups for name, _ in group.decided_by}:
        left = {key: value for key, value in config.items() if key != name}
        refusal, other = "", None
        try:
            other = kvsim.load_model(left)
        except kvsim.KvsimError as error:
            refusal = str(error)
        if other is None:
            assert name in refusal or "layer_types" in refusal
        else:
            assert other.layers != model.layers or says_the_same(config, left, name)


def says_the_same(config, left, name):
    """Whether what is left implies the deleted field's value."""
    match name:
        case "num_hidden_layers":
            return len(left.get("layer_types", ())) == config[name]
        case "layer_types":
            return kvsim.load_model(left).layers == kvsim.load_model(config).layers
        case "num_key_value_heads":
            return config[name] == config["num_attention_heads"]
        case "head_dim":
            return config[name] * config["num_attention_heads"] == config["hidden_size"]
    return False
