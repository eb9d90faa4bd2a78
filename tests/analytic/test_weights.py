"""Weights per rank."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.analytic.weights import resolve_quantization, weights_bytes
from kvsim.dtypes import BF16, WEIGHT_FORMATS

LLAMA = kvsim.load_model("llama-3.1-8b")
DEEPSEEK = kvsim.load_model("deepseek-v3")


def size(model, *, quantization=None, **degrees):
    return weights_bytes(
        model,
        parallel=kvsim.Parallelism(**degrees),
        dtype=BF16,
        quantization=resolve_quantization(quantization, model),
    )


def test_one_rank_holds_every_parameter():
    """
    Two bytes each, and the parts sum to the whole.
    """
    weights = size(LLAMA)

    assert weights.total_bytes == 2 * LLAMA.num_parameters == 2 * 8_030_257_152
    assert sum(part.num_bytes for part in weights.parts) == weights.total_bytes


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_ranks_divide_all_but_the_norms(tp):
    """
    Every matrix divides, so only the replicated norms keep a rank above its share.
    """
    norms = next(w for w in LLAMA.weights if w.name == "norms")
    replicated = 2 * norms.num_params * norms.count

    assert tp * size(LLAMA, tensor_parallel_size=tp).total_bytes == (
        size(LLAMA).total_bytes + (tp - 1) * replicated
    )


def test_keys_and_values_are_replicated_beyond_the_kv_heads():
    """
    16 ranks over 8 KV heads: the projections stop dividing at 8.
    """
    at_8, at_16 = (size(LLAMA, tensor_parallel_size=tp) for tp in (8, 16))
    kv = 2 * 32 * 4096 * 2 * 1024  # keys and values of all layers, bytes

    assert at_16.total_bytes > at_8.total_bytes / 2 + kv / 8 / 2 * 0.99


def test_latent_down_projections_are_whole_on_every_rank():
    """
    MLA shards the heads, not the latents.
    """
    down = next(
        w for w in DEEPSEEK.weights if w.name == "attention" and w.shard.value == "replicated"
    )

    assert down.num_params == 7168 * (512 + 64) + 7168 * 1536


def test_a_checkpoints_quantisation_covers_its_matrices():
    """
    fp8 with a float32 scale per 128 x 128 block; embeddings, norms and routers stay bfloat16.
    """
    plain, fp8 = size(DEEPSEEK, quantization="none"), size(DEEPSEEK)

    assert DEEPSEEK.quantization.method == "fp8"
    assert 0.50 < fp8.total_bytes / plain.total_bytes < 0.51
    assert {p.name: p.num_bytes for p in fp8.parts}["embedding"] == 2 * 129280 * 7168


def test_mxfp4_covers_the_experts_alone():
    """
    gpt-oss keeps attention, router and embeddings in bfloat16.
    """
    model = kvsim.load_model("gpt-oss-20b")
    parts = {part.name: part.num_bytes for part in size(model).parts}
    plain = {part.name: part.num_bytes for part in size(model, quantization="none").parts}

    assert parts["attention"] == plain["attention"]
    assert parts["experts"] * 32 == plain["experts"] // 2 * 17


def test_pipeline_stages_share_the_layers_and_the_largest_counts():
    """
    A tied table is on the first and on the last stage.
    """
    tied = kvsim.load_model("gemma-3-1b")
    table = 2 * tied.vocab_size * tied.hidden_size
    stages = size(tied, pipeline_parallel_size=2)

    assert {p.name: p.num_bytes for p in stages.parts}["embedding"] == table
    assert stages.total_bytes < size(tied).total_bytes
    assert stages.total_bytes > (size(tied).total_bytes - table) // 2 + table - 1


def test_every_stage_of_a_tied_model_but_the_middle_has_its_table():
    """
    Llama 3.2 1B on three stages: 5, 6 and 5 layers of 60.82 million parameters, and the table.
    """
    tied = kvsim.load_model("llama-3.2-1b")
    layer = 8_388_608 + 2_097_152 + 50_331_648 + 4096
    table = tied.vocab_size * tied.hidden_size

    first, middle, last = size(tied, pipeline_parallel_size=3).stage_bytes
    assert middle in (2 * 5 * layer, 2 * 6 * layer)
    assert first + middle + last == pytest.approx(2 * (16 * layer + 2 * table), abs=2 * 2048)


def test_an_untied_table_is_on_the_first_stage_alone():
    """
    Llama 3.1 8B on two stages: 16 layers each, the table before them, as large a head after.
    """
    llama = kvsim.load_model("llama-3.1-8b")
    table = 2 * llama.vocab_size * llama.hidden_size

    first, last = size(llama, pipeline_parallel_size=2).stage_bytes
    assert first == last > table
    assert first + last == size(llama).total_bytes


def test_experts_are_spread_over_tensor_and_data_ranks():
    """
    Expert parallelism divides whole experts by all ranks of both kinds.
    """
    spread = size(
        DEEPSEEK, tensor_parallel_size=8, data_parallel_size=2, enable_expert_parallel=True
    )
    sliced = size(DEEPSEEK, tensor_parallel_size=8, data_parallel_size=2)
    experts = [{p.name: p.num_bytes for p in w.parts}["experts"] for w in (spread, sliced)]

    assert experts[0] == pytest.approx(experts[1] / 2, rel=1e-6)


def test_unknown_weights_are_asked_for():
    """
    A config without a feed-forward width gives a cache, but no weights.
    """
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
        "max_position_embeddings": 128,
    }
    model = kvsim.load_model(config)

    assert kvsim.cache_bytes(model, num_tokens=1).total_bytes == 2 * 2 * 64 * 2
    with pytest.raises(kvsim.SpecError, match="weights_bytes must be given: intermediate_size"):
        size(model)


@given(st.integers(1, 10**12), st.sampled_from(sorted(WEIGHT_FORMATS)))
def test_formats_never_shrink_when_values_are_added(num_elems, name):
    """
    Bytes grow with elements, and never below the format's own bits.
    """
    fmt = WEIGHT_FORMATS[name]

    assert fmt.nbytes(num_elems) <= fmt.nbytes(num_elems + 1)
    assert fmt.nbytes(num_elems) * fmt.group_elems >= num_elems * fmt.group_bytes


def test_specs_can_be_varied():
    """
    A model is a value: a replaced layer count gives other weights.
    """
    half = dataclasses.replace(LLAMA, layers=LLAMA.layers[:16])

    assert half.num_layers == 16
    assert LLAMA.num_layers == 32
