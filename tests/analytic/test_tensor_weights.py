"""Exact weights per rank from tensors: what divides, what does not, what is refused."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim import Tensor
from kvsim.analytic.tensor_weights import tensor_weights
from kvsim.analytic.weights import weights_bytes
from kvsim.specs.parallel import Parallelism

BF16 = kvsim.model_dtype("bfloat16")
LLAMA = kvsim.load_model("llama-3.1-8b")


def bf16(name, *shape):
    """A tensor as a checkpoint has it."""
    size = 2
    for dim in shape:
        size *= dim
    return Tensor(name, "BF16", shape, size)


def llama_tensors(num_layers=32):
    """Llama-3.1-8B's own names and shapes."""
    tensors = [
        bf16("model.embed_tokens.weight", 128256, 4096),
        bf16("lm_head.weight", 128256, 4096),
        bf16("model.norm.weight", 4096),
    ]
    for i in range(num_layers):
        layer = f"model.layers.{i}"
        tensors += [
            bf16(f"{layer}.self_attn.q_proj.weight", 4096, 4096),
            bf16(f"{layer}.self_attn.k_proj.weight", 1024, 4096),
            bf16(f"{layer}.self_attn.v_proj.weight", 1024, 4096),
            bf16(f"{layer}.self_attn.o_proj.weight", 4096, 4096),
            bf16(f"{layer}.mlp.gate_proj.weight", 14336, 4096),
            bf16(f"{layer}.mlp.up_proj.weight", 14336, 4096),
            bf16(f"{layer}.mlp.down_proj.weight", 4096, 14336),
            bf16(f"{layer}.input_layernorm.weight", 4096),
            bf16(f"{layer}.post_attention_layernorm.weight", 4096),
        ]
    return tuple(tensors)


def held(tensors, **degrees):
    parallel = Parallelism(**degrees)
    return tensor_weights(
        tensors, parallel=parallel, num_layers=32, num_kv_heads=8, dtype=BF16
    ).total_bytes


def test_one_rank_holds_the_files():
    """To the byte."""
    tensors = llama_tensors()
    assert held(tensors) == sum(tensor.num_bytes for tensor in tensors)


@pytest.mark.parametrize("tp", [1, 2, 4, 8, 16])
def test_headers_and_architecture_agree(tp):
    """The same model counted from its shapes and from its files, on every number of ranks.

    The formula leaves the last norm out.
    """
    parallel = Parallelism(tensor_parallel_size=tp)
    formula = weights_bytes(LLAMA, parallel=parallel, dtype=BF16, quantization=None)
    last_norm = 4096 * BF16.nbytes(1)
    assert held(llama_tensors(), tensor_parallel_size=tp) == formula.total_bytes + last_norm


def test_pipeline_stages_share_the_layers():
    """The heaviest stage counts: layers of its own, and a table at its end of the model."""
    tensors = llama_tensors()
    one = sum(t.num_bytes for t in tensors if ".layers.0." in t.name)
    table, norm = 128256 * 4096 * 2, 4096 * 2
    assert held(tensors, pipeline_parallel_size=2) == 16 * one + table + norm


def test_values_are_loaded_in_the_models_format():
    """A checkpoint in float32 takes half as much once it runs in bfloat16."""
    tensor = Tensor("model.norm.weight", "F32", (4096,), 4 * 4096)
    assert held((tensor,)) == 2 * 4096


def test_packed_formats_stay_as_they_are():
    """Quantised values are not converted."""
    tensor = Tensor("model.layers.0.mlp.down_proj.weight", "F8_E4M3", (64, 64), 64 * 64)
    assert held((tensor,)) == 64 * 64


def test_experts_are_whole_where_they_are_spread():
    """Expert parallelism gives a rank whole experts; without it, a share of each."""
    tensors = tuple(
        bf16(f"model.layers.0.mlp.experts.{i}.up_proj.weight", 512, 64) for i in range(8)
    )
    everything = sum(tensor.num_bytes for tensor in tensors)
    assert held(tensors, tensor_parallel_size=4) == everything // 4
    spread = held(
        tensors, tensor_parallel_size=2, data_parallel_size=2, enable_expert_parallel=True
    )
    assert spread == everything // 4


def test_tensors_whose_sharding_is_not_known():
    """One rank needs no rule; more do."""
    unknown = (bf16("model.layers.0.mystery.weight", 64, 64),)
    assert held(unknown) == 2 * 64 * 64
    with pytest.raises(kvsim.UnsupportedError, match=r"model\.layers\.0\.mystery\.weight"):
        held(unknown, tensor_parallel_size=2)


def test_a_plan_uses_the_headers():
    """A model with tensors has exact weights; without them, those of its architecture."""
    model = replace(LLAMA, tensors=llama_tensors()[:3])
    plain = weights_bytes(model, parallel=Parallelism(), dtype=BF16, quantization=None)
    assert plain.total_bytes == sum(t.num_bytes for t in llama_tensors()[:3])


def test_a_plan_falls_back_on_the_architecture():
    """Where a tensor's share is not known, the formula's is better than none."""
    model = replace(LLAMA, tensors=(bf16("model.layers.0.mystery.weight", 64, 64),))
    parallel = Parallelism(tensor_parallel_size=2)
    ours = weights_bytes(model, parallel=parallel, dtype=BF16, quantization=None)
    assert ours == weights_bytes(LLAMA, parallel=parallel, dtype=BF16, quantization=None)


@given(st.sampled_from([1, 2, 4, 8]))
def test_ranks_hold_at_least_their_share(tp):
    """Replication only adds."""
    tensors = llama_tensors(4)
    assert held(tensors, tensor_parallel_size=tp) * tp >= held(tensors)
