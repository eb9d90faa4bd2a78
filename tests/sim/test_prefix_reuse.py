"""Prefix reuse: by hand, against a plain count, and the published figures where traces are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.sim.prefix_reuse import DEFAULT_CAPACITIES, prefix_reuse
from kvsim.specs.workload import PromptSegment, Request, Workload

TRACES = Path(__file__).parents[3] / "shared/data/traces"


def prompts(*texts):
    """Requests whose prompts are these words: a letter is a segment of four tokens."""
    return Workload(
        requests=tuple(
            Request(
                num_prompt_tokens=4 * len(text),
                num_output_tokens=1,
                prompt=tuple(PromptSegment(ord(letter), 4) for letter in text),
            )
            for text in texts
        )
    )


def test_the_two_rates_by_hand():
    """
    "abc" finds "ab" of "abd": 2 of 3; "x" nothing; the tokens are 8 of 28.
    """
    reuse = prefix_reuse(prompts("abd", "abc", "x"), block_size=4)

    assert reuse.token_rate == pytest.approx(8 / 28)
    assert reuse.request_rate == pytest.approx((0 + 2 / 3 + 0) / 3)
    assert reuse.hit_requests == pytest.approx(1 / 3)
    assert (reuse.num_blocks, reuse.once_blocks) == (5, 3 / 5)


def test_equal_blocks_after_other_prefixes_are_not_equal():
    """
    Attention saw other tokens: "b" after "a" is not "b" after "c".
    """
    assert prefix_reuse(prompts("ab", "cb"), block_size=4).token_rate == 0


def test_a_block_may_span_segments():
    """
    Blocks of 8 tokens hold two letters; the half block at the end counts as one.
    """
    assert prefix_reuse(prompts("abc", "abc"), block_size=8).token_rate == 0.5
    assert prefix_reuse(prompts("abc", "abd"), block_size=8).token_rate == 8 / 24


@given(st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=12))
def test_reuse_is_the_longest_common_prefix_with_any_before(texts):
    """
    Against the definition, with blocks of one letter.
    """
    found = 0
    for i, text in enumerate(texts):
        common = (len(text[:n]) for n in range(len(text) + 1))
        found += max((n for n in common if any(t[:n] == text[:n] for t in texts[:i])), default=0)
    total = sum(map(len, texts))

    reuse = prefix_reuse(prompts(*texts), block_size=4, capacities=[4, 16, 4 * total])

    assert reuse.token_rate == pytest.approx(found / total)
    rates = [point.token_rate for point in reuse.curve]
    assert rates[-1] == pytest.approx(reuse.token_rate)
    assert max(rates) == rates[-1]


def lru_hits(texts, capacity):
    """Letters found in a list of prefixes, the longest unused first out; by the definition."""
    used, found = [], 0
    for text in texts:
        prefixes = [text[: n + 1] for n in range(len(text))]
        found += next((n for n, prefix in enumerate(prefixes) if prefix not in used), len(text))
        used = [*(prefix for prefix in used if prefix not in prefixes), *reversed(prefixes)]
        used = used[-capacity:]
    return found


@given(st.lists(st.text("abcdefghij", min_size=1, max_size=6), min_size=1, max_size=12))
def test_what_one_prompt_alone_has_takes_its_room(texts):
    """
    Letters that one prompt alone has are never found, but count as blocks and push others out.
    """
    prefixes = [text[:n] for text in texts for n in range(1, len(text) + 1)]
    sizes = range(1, len(prefixes) + 2)

    reuse = prefix_reuse(prompts(*texts), block_size=4, capacities=[4 * n for n in sizes])

    assert reuse.num_blocks == len(set(prefixes))
    once = sum(prefixes.count(prefix) == 1 for prefix in set(prefixes))
    assert reuse.once_blocks == pytest.approx(once / reuse.num_blocks)
    for point, size in zip(reuse.curve, sizes, strict=True):
        assert point.token_rate == pytest.approx(lru_hits(texts, size) / len(prefixes))


def test_prompts_that_share_nothing_are_not_cut_into_blocks():
    """
    Twelve thousand million blocks, of which nobody has one twice: no room for each of them.
    """
    long = Request(num_prompt_tokens=10**8, num_output_tokens=1)

    reuse = prefix_reuse(Workload(requests=(long,) * 2000), capacities=[10**9])

    assert (reuse.token_rate, reuse.curve[0].token_rate, reuse.once_blocks) == (0, 0, 1)
    assert reuse.num_blocks == 2000 * 10**8 // 16


PUBLISHED = {
    "conversation": (0.374, 0.409, (0.054, 0.139, 0.291, None, 0.371)),
    "synthetic": (0.651, 0.432, (0.145, 0.315, 0.577, 0.651, None)),
}


@pytest.mark.slow  # two traces of together 230,000 blocks, at five sizes: 4 s
@pytest.mark.parametrize("name", PUBLISHED)
def test_mooncakes_reuse_is_what_was_counted(name):
    """
    Token-weighted, per request, and at each size of a cache, within half a point.
    """
    path = TRACES / f"mooncake_{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the Mooncake traces are not here")
    token_rate, request_rate, curve = PUBLISHED[name]

    reuse = prefix_reuse(kvsim.read_trace(path), block_size=512, capacities=DEFAULT_CAPACITIES)

    assert round(reuse.token_rate, 3) == token_rate
    assert round(reuse.request_rate, 3) in (request_rate, pytest.approx(request_rate, abs=1e-3))
    for point, rate in zip(reuse.curve, curve, strict=True):
        assert rate is None or point.token_rate == pytest.approx(rate, abs=0.005)
