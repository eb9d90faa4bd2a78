"""The curve of a cache over context lengths, and where it passes a threshold."""

import pytest

import kvsim

LLAMA = kvsim.load_model("llama-3.1-8b")


def test_a_batch_costs_as_much_as_its_sequences():
    """Equal sequences share nothing without prefix caching."""
    lengths = kvsim.context_lengths(131_072)
    one = kvsim.cache_curve(LLAMA, lengths=lengths)
    four = kvsim.cache_curve(LLAMA, lengths=lengths, batch_size=4)
    assert four.total_bytes == tuple(4 * num_bytes for num_bytes in one.total_bytes)


def test_a_batch_passes_the_threshold_sooner():
    """4 x 8,192 tokens take what 32,768 tokens take."""
    threshold = kvsim.cache_bytes(LLAMA, num_tokens=32_768).total_bytes
    curve = kvsim.cache_curve(LLAMA, lengths=[131_072], batch_size=4, threshold_bytes=threshold)
    assert curve.crossing_tokens == 8192


def test_no_sequence_has_no_curve():
    """A size below one is refused by name."""
    with pytest.raises(kvsim.SpecError, match="batch_size=0 must be"):
        kvsim.cache_curve(LLAMA, lengths=[1], batch_size=0)


def test_a_short_context_is_a_curve_of_one_point():
    """A model with 128 positions has no power of two from 256 on."""
    assert kvsim.context_lengths(128) == (128,)


def test_no_length_has_no_curve():
    """An empty list is refused as a length below one is."""
    for lengths, words in (((), "at least one context length"), ((0, 5), "lengths=0 must be")):
        with pytest.raises(kvsim.SpecError, match=words):
            kvsim.cache_curve(LLAMA, lengths=lengths)
