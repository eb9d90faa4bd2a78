"""vLLM's cache formats by their published bits a value."""

import pytest

from kvsim import load_model
from kvsim.dtypes import BF16, FP16, FP32, INT8
from kvsim.engines.vllm_formats import torch_dtype, vllm_format
from kvsim.engines.vllm_spec_base import TorchDtype
from kvsim.errors import UnsupportedError
from kvsim.specs.cache_dtype import resolve_cache_dtype

PACKED = [  # bits a value for heads of 128, scales counted
    ("fp8_per_token_head", 8.25),
    ("int8_per_token_head", 8.25),
    ("int4_per_token_head", 4.25),
    ("nvfp4", 4.5),
]
DENSE = [("auto", 2), ("float16", 2), ("bfloat16", 2), ("fp8", 1), ("fp8_e5m2", 1), ("fp8_inc", 1)]


@pytest.mark.parametrize(("name", "bits"), PACKED)
def test_packed_formats_keep_their_scales_beside_the_values(name, bits):
    """
    A float32 for each head and token, or one fp8 for sixteen values of four bits.
    """
    fmt = vllm_format(name, BF16)

    assert fmt.state_bytes(128, 128) * 8 == bits * 256
    assert fmt.dtype.nbytes == 1


def test_keys_and_values_may_differ_in_size():
    """
    192 and 128 values of 4.5 bits: 108 and 72 bytes.
    """
    assert vllm_format("nvfp4", BF16).state_bytes(192, 128) == 108 + 72


@pytest.mark.parametrize(("name", "num_bytes"), DENSE)
def test_dense_formats_take_their_elements_bytes(name, num_bytes):
    """
    A scale per tensor costs nothing here.
    """
    fmt = vllm_format(name, BF16)

    assert fmt.dtype.nbytes == num_bytes
    assert fmt.state_bytes(128, 128) is None


def test_an_element_has_as_many_bytes_as_its_name_says():
    """
    The bits stand in the name.
    """
    bits = {
        TorchDtype.FLOAT32: 32,
        TorchDtype.BFLOAT16: 16,
        TorchDtype.FLOAT16: 16,
        TorchDtype.FLOAT8_E4M3: 8,
        TorchDtype.FLOAT8_E5M2: 8,
        TorchDtype.UINT8: 8,
        TorchDtype.INT8: 8,
    }

    assert {dtype: dtype.nbytes * 8 for dtype in TorchDtype} == bits


def test_a_models_own_format_is_a_dense_one():
    """
    Quantised weights do not make a quantised cache.
    """
    assert [torch_dtype(d) for d in (BF16, FP16, FP32)] == ["bfloat16", "float16", "float32"]
    with pytest.raises(UnsupportedError, match="dtype=int8 is no element type of vllm's cache"):
        torch_dtype(INT8)


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("deepseek-v3", "int8_per_token_head", "no attention backend of vllm stores latents so"),
        ("deepseek-v3.2", "nvfp4", "must be fp8 or auto with sparse latent attention"),
    ],
)
def test_latents_take_few_formats(name, asked, words):
    """
    Heads have scales of their own, a latent has no heads; sparse latents have one packed form.
    """
    with pytest.raises(UnsupportedError, match=f"kv_cache_dtype={asked}:? {words}"):
        resolve_cache_dtype(asked, load_model(name))
    assert resolve_cache_dtype("fp8", load_model("deepseek-v3.2")) == "fp8_ds_mla"
    assert resolve_cache_dtype("bfloat16", load_model("deepseek-v3.2")) == "auto"
