"""What a token leaves behind, by hand."""

import pytest

import kvsim

LLAMA = kvsim.load_model("llama-3.1-8b")


def test_notes_are_thousands_of_times_their_text():
    """
    Four characters of English; 32 layers of 8 heads of 128 keys and values, two bytes each.
    """
    notes = kvsim.token_notes(LLAMA)

    assert notes.kept_bytes == 32 * 8 * (128 + 128) * 2
    assert notes.kept_per_text == notes.kept_bytes / 4 == 32_768
    assert kvsim.token_notes(LLAMA, kv_cache_dtype="fp8").kept_per_text == 16_384


def test_a_step_computes_one_token_or_all_of_them():
    """
    The third step: one new token beside two that are looked up; 1 + 2 + 3 without a cache.
    """
    third = kvsim.note_steps(LLAMA, num_steps=3)[-1]

    assert (third.num_tokens, third.num_looked_up) == (3, 2)
    assert (third.total_cached, third.total_uncached) == (3, 6)
    assert third.kept_bytes == 3 * 131_072


def test_a_sentence_has_a_step():
    with pytest.raises(kvsim.SpecError, match="num_steps=0 must be"):
        kvsim.note_steps(LLAMA, num_steps=0)
