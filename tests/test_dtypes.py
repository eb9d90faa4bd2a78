"""Storage formats against bytes that their sources state, and what one refuses."""

import pytest

from kvsim.dtypes import (
    CACHE_DTYPES,
    CACHE_FORMATS,
    FP8_DS_MLA,
    INDEX_FP8,
    cache_dtype,
    cache_format,
)
from kvsim.errors import SpecError

HEAD_DIM = 128
STATED = {  # bytes of one key head and one value head of 128, as the format's source has them
    "bfloat16": (256, 256),
    "float32": (512, 512),
    "fp8": (128, 128),
    "fp8_per_token_head": (132, 132),
    "int8_per_token_head": (132, 132),
    "int4_per_token_head": (68, 68),
    "tq4": (68, 68),
    "nvfp4": (72, 72),
    "mxfp4": (68, 68),
    "ggml_nvfp4": (72, 72),
    "q8_0": (136, 136),
    "q5_1": (96, 96),
    "q5_0": (88, 88),
    "q4_1": (80, 80),
    "q4_0": (72, 72),
    "iq4_nl": (72, 72),
    "turboquant_k8v4": (128, 68),
    "turboquant_4bit_nc": (66, 68),
    "turboquant_k3v4_nc": (50, 68),
    "turboquant_3bit_nc": (50, 52),
    "tq3_0": (56, 56),
    "tq3": (52, 52),
    "kivi_int2_g32_r128": (48, 48),
    "kivi_int2_g32_r32": (48, 48),
    "kivi_int2_g64_r128": (40, 40),
    "kivi_int4_g32_r128": (80, 80),
    "kivi_int4_g32_r32": (80, 80),
    "kivi_int4_g64_r128": (72, 72),
}
UNVERIFIED = {
    "turboquant_2.5bit": 38,
    "turboquant_3.5bit": 54,
    "quanto_int2": 40,
    "quanto_int4": 72,
    "hqq_int2": 40,
    "hqq_int4": 72,
    "hqq_int8": 136,
    "kvquant_nuq3_1pct": 54,  # 53.28 on the mean, whole bytes per head
    "coupled_1bit": 16,
}


@pytest.mark.parametrize(("name", "stated"), STATED.items())
def test_verified_formats_take_what_their_source_states(name, stated):
    """
    Scales and zero points count: a format is its bytes, not its bits.
    """
    fmt = cache_format(name)

    assert (fmt.keys.nbytes(HEAD_DIM), fmt.values.nbytes(HEAD_DIM)) == stated
    assert fmt.verified


@pytest.mark.parametrize(("name", "best"), UNVERIFIED.items())
def test_unverified_formats_are_intervals(name, best):
    """
    A label such as 2.5-bit is not bytes: what nobody read in code comes as a range.
    """
    fmt = cache_format(name)
    low, high = fmt.spread

    assert not fmt.verified
    assert low.nbytes(HEAD_DIM) <= best == fmt.keys.nbytes(HEAD_DIM) <= high.nbytes(HEAD_DIM)
    assert low.nbytes(HEAD_DIM) < high.nbytes(HEAD_DIM)


def test_every_format_is_in_one_of_the_tables():
    """
    A format that this test does not hold against a source could say anything.
    """
    assert set(CACHE_FORMATS) == set(STATED) | set(UNVERIFIED)


def test_a_head_is_padded_as_a_whole():
    """
    TurboQuant's slot holds a head's key and value together, rounded up to even bytes.
    """
    fmt = cache_format("turboquant_k8v4")

    assert fmt.head_bytes(128) == 196
    assert fmt.head_bytes(72) == 112  # 72 + 40
    assert fmt.head_bytes(73) % 2 == 0


def test_formats_that_engines_name_are_plain_dtypes_where_keys_and_values_agree():
    """
    The engines' cache flag takes one name; K and V apart need a format.
    """
    assert cache_dtype("fp8_per_token_head").nbytes(128) == 132
    assert cache_dtype("int8_per_token_head").nbytes(64) == 68
    assert "turboquant_k8v4" not in CACHE_DTYPES


def test_sparse_latents_have_their_own_width():
    """
    512 fp8 values, four float32 scales and 64 bf16 rotary values; an fp8 key and its scale.
    """
    assert FP8_DS_MLA.nbytes(576) == 512 + 4 * 4 + 64 * 2
    assert INDEX_FP8.nbytes(128) == 132


def test_unknown_names_are_refused_with_the_choices():
    """
    A typing error is no format.
    """
    with pytest.raises(SpecError, match="must be one of"):
        cache_format("q9_9")
