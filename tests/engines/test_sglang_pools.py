"""SGLang's pools from its budget, and what no budget counts."""

import pytest

from kvsim.engines.sglang import sglang_layout
from kvsim.engines.sglang_budget import cache_bytes
from kvsim.engines.sglang_pools import sglang_pools
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.units import GiB, MiB
from tests.engines.behaviours import heads, model, window


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
