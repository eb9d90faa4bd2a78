"""The frontier: every cell is a plan's, and its edge is the plan's edge."""

import pytest

import kvsim
from kvsim.planner.frontier import grid_lengths, grid_requests

H100 = kvsim.accelerator("H100-SXM5-80GB")


def deployment(model="llama-3.1-8b", *, length=8192, **parallel):
    return kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=H100,
        engine=kvsim.Vllm(max_model_len=length),
        parallel=kvsim.Parallelism(**parallel),
    )


@pytest.mark.parametrize("parallel", [{}, {"data_parallel_size": 2}, {"tensor_parallel_size": 2}])
def test_every_cell_is_the_plans(parallel):
    """The share is what the plan needs of what it has."""
    edge = kvsim.frontier(deployment(**parallel), lengths=[1000, 8192], requests=[1, 55, 56])
    for i, length in enumerate(edge.lengths):
        for j, requests in enumerate(edge.requests):
            fit = kvsim.plan(
                deployment(length=length, **parallel), concurrent_requests=requests
            ).evaluation.fit
            assert edge.max_requests[i] == fit.max_requests
            assert edge.shares[i][j] == fit.needed_bytes / fit.available_bytes
            assert (edge.shares[i][j] <= 1) == (requests <= edge.max_requests[i])


def test_more_context_fits_fewer_requests():
    """The edge falls, the shares rise in both directions."""
    edge = kvsim.frontier(deployment(), concurrent_requests=32)
    assert edge.lengths[-1] == 131_072
    assert list(edge.max_requests) == sorted(edge.max_requests, reverse=True)
    assert all(list(row) == sorted(row) for row in edge.shares)
    assert all(list(row) == sorted(row) for row in zip(*edge.shares, strict=True))


def test_the_longest_context_is_where_solve_says():
    """Two ways to the same edge."""
    longest = kvsim.solve(deployment(), "max_model_len", concurrent_requests=32).value
    edge = kvsim.frontier(deployment(), lengths=[longest, longest + 1], requests=[32])
    assert edge.shares[0][0] <= 1 < edge.shares[1][0]


def test_no_cache_has_no_share():
    """Weights that pass the budget leave nothing to take a share of."""
    edge = kvsim.frontier(deployment("llama-3.1-70b"), lengths=[8192], requests=[1])
    assert edge.shares == ((None,),)
    assert edge.max_requests == (0,)


@pytest.mark.parametrize("grid", [{"lengths": [0]}, {"requests": [0]}, {"lengths": [10**9]}])
def test_impossible_cells_are_refused(grid):
    """The error names what is wrong."""
    with pytest.raises(kvsim.SpecError, match=r"max_model_len|concurrent_requests"):
        kvsim.frontier(deployment(), **grid)


def test_a_grid_reaches_what_is_asked():
    """The visitor's point is on the map."""
    assert grid_lengths(8192, 131_072)[::2] == tuple(2**i for i in range(8, 18))
    assert grid_lengths(100, None) == (100,)
    assert grid_requests(32, 55)[-1] == 220
    assert grid_requests(10**6, 1)[-1] == 10**6
    assert grid_requests(1, 10**6)[-1] == 4096
