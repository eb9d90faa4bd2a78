"""What loading takes beside the tensors: rotary tables, and blocks that torch leaves whole."""

import pytest

import kvsim
from kvsim.analytic.allocation import beside_tensors, padding_bytes, rotary_bytes
from kvsim.dtypes import BF16
from kvsim.io.hf_config import model_from_config
from kvsim.units import MiB

ONE = kvsim.Parallelism()
HALF = MiB // 2
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 2,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}


def tables(**config):
    model = model_from_config(LLAMA | config, name="m")
    return [(t.num_positions, t.width) for t in model.vllm.rotary_tables]


@pytest.mark.parametrize(
    ("sizes", "padding"),
    [
        ([100], 412),  # cut to 512 bytes
        ([129 * MiB + HALF], HALF),  # a block of 130 MiB, half a MiB left: it stays whole
        ([43 * MiB], MiB),  # exactly 1 MiB left is not cut off either
        ([25 * MiB - HALF], 0),  # of 26 MiB, 1.5 are cut off
        ([10 * MiB], 0),
        ([9 * MiB + HALF] * 2, MiB),  # two in a segment of 20 MiB, the second keeps the rest
        ([25 * MiB - HALF, MiB + 512], HALF - 512),  # the second fits into what the first left
    ],
)
def test_blocks_are_cut_only_where_more_than_a_mebibyte_is_left(sizes, padding):
    """
    Sizes worked out by hand from the allocator's rule.
    """
    assert padding_bytes(sizes) == padding


def test_a_posted_figure_is_met_to_its_last_digit():
    """
    Qwen2.5-32B's sizes on four ranks: gate and up 135 MiB in a block of 136, down 67.5 in 68,
    queries, keys and values 17.5 in 18, the output's 12.5 in 14 is cut: 2 MiB a layer; the tables
    of tokens 371.25 MiB in 372, twice.
    """
    model = kvsim.load_model("qwen2.5-32b")
    taken = beside_tensors(
        model,
        parallel=kvsim.Parallelism(tensor_parallel_size=4),
        dtype=BF16,
        quantization=None,
    )[0]

    assert taken.best == rotary_bytes(model, BF16).best + 64 * 2 * MiB + 2 * 3 * MiB // 4


def test_llama_leaves_nothing_over():
    """
    Every matrix of Llama-3's is a multiple of 2 MiB: only the table, 8192 x 128 x 2 bytes.
    """
    model = model_from_config(LLAMA, name="m")
    taken = beside_tensors(model, parallel=ONE, dtype=BF16, quantization=None)[0]

    assert taken.is_exact
    assert taken.best == 2 * MiB


@pytest.mark.parametrize(
    ("rope", "positions"),
    [
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 1024}, 8192),
        ({"type": "linear", "factor": 4.0}, 32768),
        ({"type": "dynamic", "factor": 2.0}, 8192),
        ({"type": "dynamic", "alpha": 1000.0}, 8192),
        ({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384),
        ({"type": "longrope", "original_max_position_embeddings": 4096}, 12288),
        ({"type": "mrope", "mrope_section": [16, 24, 24]}, 32768),
    ],
)
def test_every_scaling_has_its_own_length(rope, positions):
    """
    vLLM multiplies lengths by the factor for linear scaling and YaRN alone, keeps two tables in
    one, or four times the text's.
    """
    assert tables(rope_scaling=rope) == [(positions, 128)]


def test_the_rotated_part_decides_the_width():
    """
    A share of the head, or as many elements as the file says.
    """
    assert tables(partial_rotary_factor=0.25) == [(8192, 32)]
    assert tables(rotary_dim=64) == [(8192, 64)]


@pytest.mark.parametrize(
    ("family", "share"),
    [("chatglm", 64), ("glm4", 64), ("nemotron", 64), ("stablelm", 32), ("llama", 128)],
)
def test_a_class_has_its_own_share_where_the_file_states_none(family, share):
    """
    A file that was saved by transformers leaves out what equals the class's default.
    """
    assert tables(model_type=family) == [(8192, share)]


@pytest.mark.parametrize("field", ["max_seq_len", "seq_length"])
def test_positions_have_other_names(field):
    """
    DBRX and ChatGLM.
    """
    assert tables(max_position_embeddings=None, **{field: 32768}) == [(32768, 128)]


def test_videos_whose_tokens_stay_need_no_longer_table():
    """
    vLLM 0.32 keeps four times the text's positions only where video tokens are pruned.
    """
    sections = {"rope_type": "default", "mrope_section": [16, 24, 24]}
    seen = kvsim.load_model("qwen3.5-9b").vllm.rotary_tables

    assert tables(model_type="qwen3_vl_text", rope_parameters=sections) == [(8192, 128)]
    assert [(t.num_positions, t.width) for t in seen] == [(262144, 64)]


def test_layers_with_other_settings_have_tables_of_their_own():
    """
    Gemma 3: windows rotate unscaled, full attention eight times as long, or as long from another
    base, which its class knows. DeepSeek-V3.2's indexer pairs its elements in another way.
    """
    gemma = kvsim.load_model("gemma-3-4b").vllm.rotary_tables
    small = kvsim.load_model("gemma-3-1b").vllm.rotary_tables
    indexed = kvsim.load_model("deepseek-v3.2").vllm.rotary_tables

    assert [t.num_positions for t in gemma] == [8 * 131072, 131072]
    assert [t.num_positions for t in small] == [32768, 32768]
    assert len(indexed) == 2


@pytest.mark.parametrize("family", ["glm", "hunyuan_v1_dense", "olmo2", "phi", "seed_oss"])
def test_families_that_transformers_runs_have_no_table(family):
    """
    vLLM 0.32 has no class of its own for them, and transformers keeps no cosines.
    """
    assert tables(model_type=family) == []


@pytest.mark.parametrize("name", ["gpt2", "opt-125m", "bloom-7b1", "mamba-2.8b", "t5-large"])
def test_models_without_a_rotation_have_no_table(name):
    """
    Learned positions, a bias, or none.
    """
    assert kvsim.load_model(name).vllm.rotary_tables == ()


def test_deepseeks_table_may_be_in_float32():
    """
    163,840 x 64: 20 MiB in bfloat16, 40 where FlashInfer rotates, which no compiled model does.
    """
    model = kvsim.load_model("deepseek-v3")
    compiled = rotary_bytes(model, BF16)
    eager = rotary_bytes(model, BF16, is_eager_cuda=True)

    assert (compiled.low, compiled.high) == (20 * MiB, 20 * MiB)
    assert (eager.low, eager.best, eager.high) == (20 * MiB, 40 * MiB, 40 * MiB)


def test_flashinfer_rotates_nothing_on_amd():
    """
    Run eagerly, DeepSeek-V2-Lite loads 20 MiB more on an H100, and none more on an MI300X.
    """

    def loaded(gpu, *, eager):
        deployment = kvsim.Deployment(
            model=kvsim.load_model("deepseek-v2-lite"),
            accelerator=kvsim.accelerator(gpu),
            engine=kvsim.Vllm(enforce_eager=eager),
        )
        return kvsim.plan(deployment).evaluation.budget.weights_bytes.best

    cuda, amd = "H100-SXM5-80GB", "MI300X"
    assert loaded(cuda, eager=True) - loaded(cuda, eager=False) == 20 * MiB
    assert loaded(amd, eager=True) == loaded(amd, eager=False)


def test_gpt_oss_asks_for_float32():
    """
    131,072 x 64 x 4 bytes.
    """
    assert rotary_bytes(kvsim.load_model("gpt-oss-20b"), BF16).best == 32 * MiB


def test_the_plan_says_what_was_counted():
    """
    The source of the weights names the tables.
    """
    deployment = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-8b"), accelerator=kvsim.accelerator("H100-SXM5-80GB")
    )

    assert (
        "32.0 MiB of rotary tables" in kvsim.plan(deployment).evaluation.budget.weights_bytes.source
    )


def test_settings_listed_layer_by_layer_have_a_table_each():
    """
    Step-3.5 lists bases and rotated shares: equal entries share a table.
    """
    listed = {"rope_theta": [5e6, 1e4], "partial_rotary_factors": [0.5, 1.0]}
    assert tables(**listed) == [(8192, 128), (8192, 64)]
    assert tables(rope_theta=[1e4, 1e4]) == [(8192, 128)]


@pytest.mark.parametrize(
    "odd",
    [
        {"rope_theta": [5e6]},
        {"rope_theta": "large"},
        {"rope_theta": [None, {}]},
        {"rope_scaling": {"type": "yarn", "factor": -4.0}},
        {"rope_scaling": {"type": "yarn", "factor": 1e14}},
        {"position_embedding_type": 7},
    ],
)
def test_a_rotation_of_unknown_form_refuses_no_model(odd):
    """
    A cache does not depend on it.
    """
    assert tables(**odd) == []


def test_no_share_rotates_more_than_the_head():
    """
    Whatever the file says.
    """
    assert tables(partial_rotary_factor=1e308) == [(8192, 128)]
