"""SGLang's pools from its budget, and what no budget counts."""

import pytest

from kvsim.engines.sglang import sglang_layout
from kvsim.engines.sglang_budget import cache_bytes
from kvsim.engines.sglang_pools import sglang_pools
from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.units import GiB, MiB
from tests.engines.behaviours import GATED, heads, model, window


def layout(spec, tp=1, **settings):
    return sglang_layout(spec, Sglang(**settings), Parallelism(tensor_parallel_size=tp))


def gib(num_bytes):
    """As the log prints it."""
    return round(num_bytes / GiB, 2)


BUDGETS = [  # GiB free at start and after loading, fraction, layout, tokens printed and slack
    ((3.23, 2.03, 0.88), layout(model((28, heads(8, 128)))), 15387, 60),
    ((21.63, 6.09, 0.85), layout(model((64, heads(8, 128))), tp=4), 46611, 110),
    ((287.26, 286.05, 0.5 * 0.85), layout(model((28, heads(8, 128)))), 1131687, 101),
]


@pytest.mark.parametrize(("memory", "lay", "tokens", "slack"), BUDGETS)
def test_the_budget_gives_the_tokens_that_the_log_prints(memory, lay, tokens, slack):
    """
    free after loading - (1 - fraction) x free at start, both printed to 0.01 GB.
    """
    start, loaded, share = memory
    available = cache_bytes(
        free_at_start_bytes=round(start * GiB),
        free_after_load_bytes=round(loaded * GiB),
        mem_fraction_static=share,
    )

    assert sglang_pools(lay, available).tokens == pytest.approx(tokens, abs=slack)


def test_what_is_free_after_the_pools():
    """
    Each of 128 buffers of 22.76 MiB takes 24, and the request table 1 GiB: 2.09 GB are left.
    """
    lay = layout(model((64, heads(8, 128))), tp=4)
    pools = sglang_pools(lay, 46611 * lay.full_token_bytes)
    left = 6.09 * GiB - lay.allocated_bytes(tokens=46611) - pools.request_table_bytes(131072)

    assert gib(lay.allocated_bytes(tokens=46611)) == 3.0
    assert left / GiB == pytest.approx(2.09, abs=0.006)


def test_a_byte_short_of_a_token_holds_one_less():
    """
    Without states nothing else is taken from the budget.
    """
    lay = layout(model((2, heads(8, 128))), page_size=1)

    assert sglang_pools(lay, 100 * lay.full_token_bytes).tokens == 100
    assert sglang_pools(lay, 100 * lay.full_token_bytes - 1).tokens == 99


def test_the_request_table_resolves_a_near_match():
    """
    Llama-3-8B on 192 GB: avail falls by the pool and by 4,096 rows of 8,196 tokens.
    """
    lay = layout(model((32, heads(8, 128))))
    pools = sglang_pools(lay, 1256440 * lay.full_token_bytes)
    left = 176.33 * GiB - lay.allocated_bytes(tokens=1256440) - pools.request_table_bytes(8192)

    assert left / GiB == pytest.approx(22.83, abs=0.01)


def test_without_prefix_cache_the_window_pool_is_sized_by_requests():
    """
    requests x (window + two pages) + two chunks + a page.
    """
    spec = model((2, heads(8, 128)), (2, window(8, 128, 1024)))
    lay = layout(spec, disable_radix_cache=True, max_running_requests=16)
    pools = sglang_pools(lay, GiB, chunked_prefill_size=2048)

    assert pools.window_tokens == 16 * (1024 + 2) + 2 * 2048 + 1


def test_a_window_pool_that_cannot_hold_the_window_does_not_start():
    """
    The engine raises; so the pools say why.
    """
    spec = model((2, heads(8, 128)), (2, window(8, 128, 1024)))

    assert "window" in sglang_pools(layout(spec), 4 * MiB).refusal


def test_the_host_pool_is_a_ratio_of_the_devices_or_a_size():
    """
    Off by default; twice the device's pool, or as many GB as are asked for.
    """
    spec = model((2, heads(8, 128)))
    off, on = layout(spec), layout(spec, enable_hierarchical_cache=True)
    sized = layout(spec, enable_hierarchical_cache=True, hicache_size=30)

    assert sglang_pools(off, GiB).host_bytes == 0
    assert sglang_pools(on, GiB).host_bytes == 2 * sglang_pools(on, GiB).buffers.token_bytes
    assert sglang_pools(sized, GiB).host_bytes == 30 * 10**9


def test_a_model_of_windows_alone_has_one_pool():
    """
    No ratio: every layer is in the pool that keeps all tokens.
    """
    pools = sglang_pools(layout(model((4, window(8, 128, 4096)))), GiB)

    assert pools.window_tokens == 0
    assert pools.tokens == GiB // (4 * 8 * 256 * 2)


HYBRID = model((2, heads(8, 128)), (2, window(8, 128, 1024)))
STATES = model((2, heads(8, 128)), (2, GATED))


@pytest.mark.parametrize(
    ("asked", "dp", "tokens", "limit"),
    [
        (None, 1, 10**7, 4096),  # 512 contexts' worth would be far more
        (None, 1, 20_000, 2048),
        (None, 1, 3000, 1500),  # never more than one for two tokens
        (64, 1, 10**7, 64),
        (64, 4, 10**7, 16),
        (2, 4, 10**7, 1),
        (64, 1, 100, 50),
    ],
)
def test_running_requests_are_bounded(asked, dp, tokens, limit):
    """
    min(clip(512 x tokens / context, 2048, 4096), tokens / 2), or what was asked for per group.
    """
    lay = layout(model((2, heads(8, 128))), max_running_requests=asked, dp_size=dp)
    pools = sglang_pools(lay, tokens * lay.full_token_bytes)

    assert pools.max_running_requests(8192) == limit


def test_more_than_the_bounds_are_a_share_of_the_context():
    """
    512 for each context length's worth of tokens, between the bounds.
    """
    lay = layout(model((2, heads(8, 128))))
    pools = sglang_pools(lay, 48_000 * lay.full_token_bytes)

    assert pools.max_running_requests(8192) == 512 * 48_000 // 8192 == 3000


def test_states_bound_running_requests():
    """
    Five slots for each with prefixes and overlap, four without overlap, one without prefixes.
    """
    for settings, slots in [
        ({}, 5),
        ({"disable_overlap_schedule": True}, 4),
        ({"disable_radix_cache": True}, 1),
    ]:
        lay = layout(STATES, max_mamba_cache_size=100, **settings)
        pools = sglang_pools(lay, 64 * GiB)
        assert pools.max_running_requests(8192) == 100 // slots
        assert pools.max_requests(1) == 100 // slots


def test_state_slots_come_from_the_ratio_the_flag_or_the_requests():
    """
    b = budget x 0.9 / 1.9, floor((b - p) / p) of it from 0.5.17 on, floor(b / p) before.
    """
    slot = layout(STATES).slot.total_bytes
    budget = 190 * slot
    told = {"disable_radix_cache": True, "max_running_requests": 12, "dp_size": 2}

    assert sglang_pools(layout(STATES), budget).state_slots == 89
    assert sglang_pools(layout(STATES, engine_version="0.5.16"), budget).state_slots == 90
    assert sglang_pools(layout(STATES, **told), budget).state_slots == 6
    capped = layout(STATES, max_mamba_cache_size=30, dp_size=2)
    assert sglang_pools(capped, budget).state_slots == 15


def test_the_slot_on_top_is_counted_from_0517_on():
    """
    What is left to the tokens is the budget less the slots, one more of them in newer versions.
    """
    for version, extra in (("0.5.16", 0), ("0.5.17", 1)):
        lay = layout(STATES, max_mamba_cache_size=10, engine_version=version)
        left = 20 * lay.slot.total_bytes - (10 + extra) * lay.slot.total_bytes
        pools = sglang_pools(lay, 20 * lay.slot.total_bytes)
        assert pools.tokens == left // lay.full_token_bytes


def test_a_limit_on_tokens_is_one_on_the_window_too():
    """
    Whole pages, and the ratio of them for the window.
    """
    lay = layout(HYBRID, max_total_tokens=10_007, page_size=16)
    pools = sglang_pools(lay, 8 * GiB)

    assert pools.tokens == 10_000
    assert pools.window_tokens == 8_000
    assert sglang_pools(layout(HYBRID, max_total_tokens=10**9), GiB).tokens < 10**9


def test_two_pools_share_the_budget_by_bytes_now_and_by_layers_before():
    """
    budget / (full bytes x layers + ratio x window bytes x layers); until 0.5.8 the tokens of
    equal layers, T x all / (ratio x windows + full).
    """
    budget = GiB
    cell = 8 * 256 * 2
    new = sglang_pools(layout(HYBRID), budget)
    old = sglang_pools(layout(HYBRID, engine_version="0.5.8"), budget)
    alike = budget // (4 * cell)

    assert new.tokens == int(budget / (2 * cell + 0.8 * 2 * cell))
    assert old.tokens == int(alike * 4 / (0.8 * 2 + 2))
    assert new.window_tokens == int(new.tokens * 0.8)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"num_draft_layers": 1}, UnsupportedError, "num_draft_layers beside a window pool"),
        ({"engine_version": "0.5.10"}, UnsupportedError, "engine_version=0.5.10: its rule for two"),
        (
            {"disable_radix_cache": True, "max_running_requests": 4},
            SpecError,
            "chunked_prefill_size must be given",
        ),
    ],
)
def test_pools_of_which_the_rule_is_not_known_are_refused(settings, error, words):
    """
    A guess would look like a figure.
    """
    with pytest.raises(error, match=words):
        sglang_pools(layout(HYBRID, **settings), GiB)


def test_requests_that_fit_are_counted_by_the_scarcest_pool():
    """
    Whole pages in the full pool; a window and a page in the other.
    """
    lay = layout(HYBRID, page_size=16)
    pools = sglang_pools(lay, GiB)

    assert pools.max_requests(100) == min(pools.tokens // 112, pools.window_tokens // (112 + 16))
    assert pools.max_requests(5000) == min(pools.tokens // 5008, pools.window_tokens // (1024 + 16))


def test_too_little_memory_is_said():
    """
    The engine's own advice.
    """
    lay = layout(model((2, heads(8, 128))))

    assert "mem_fraction_static must be higher" in sglang_pools(lay, 0).refusal
    assert sglang_pools(lay, lay.full_token_bytes).refusal is None


def test_a_model_of_states_alone_is_bounded_by_its_slots():
    """
    No tokens to count: 12 slots, of which a request takes itself and its checkpoints.
    """
    spec = model((2, GATED))
    lay = layout(spec, disable_radix_cache=True)
    pools = sglang_pools(lay, 12 * lay.slot.total_bytes)

    assert (pools.tokens, pools.refusal) == (0, None)
    assert pools.max_requests(1000) == pools.max_requests(1) == pools.state_slots
