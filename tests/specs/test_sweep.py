"""Grids of a sweep: which points, in which order, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim.planner.sweep_run import MOST_TASKS, tasks
from kvsim.specs.sweep_fields import sweep_fields

BASE = {"model": "gpt2", "gpu": "h100"}
AXES = st.dictionaries(
    st.sampled_from(["max_num_seqs", "block_size", "tensor_parallel_size"]),
    st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True),
)


@given(AXES)
def test_points_are_all_combinations_once(axes):
    """The table has a row per combination, and no other."""
    grid = kvsim.sweep_grid({**BASE, **axes})
    points = [tuple(grid.point(i).items()) for i in range(grid.num_points)]

    assert len(set(points)) == len(points) == math.prod(len(values) for values in axes.values())
    assert all(dict(point)[name] in axes[name] for point in points for name in axes)


def test_the_last_field_varies_fastest():
    """The order is that of nested loops, as the file reads."""
    grid = kvsim.sweep_grid({**BASE, "block_size": [16, 32], "max_num_seqs": [1, 2]})
    found = [(grid.point(i)["block_size"], grid.point(i)["max_num_seqs"]) for i in range(4)]
    assert found == [(16, 1), (16, 2), (32, 1), (32, 2)]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "grid=empty must name at least a model"),
        ({"model": "gpt2"}, "grid=model must name a gpu$"),
        ({**BASE, "max_modellen": 8}, "did you mean max_model_len"),
        ({**BASE, "seed": 1}, "must be one of a plan's"),
        ({**BASE, "max_model_len": []}, "must hold at least one value"),
        ({**BASE, "max_model_len": [8, 8]}, "must not be given twice"),
        ({**BASE, "max_model_len": "long"}, "'long' must be a whole number"),
        ({**BASE, "max_model_len": True}, "'True' must be a whole number"),
        ({**BASE, "max_model_len": 8.5}, "'8.5' must be a whole number"),
        ({**BASE, "enforce_eager": 1}, "'1' must be true or false"),
        ({**BASE, "dtype": 16}, "'16' must be text"),
        ({**BASE, "performance_mode": "fast"}, "must be one of balanced"),
        ({**BASE, "weights_bytes": "16 stones"}, "weights_bytes='16 stones' must be a size"),
        ({**BASE, "kv_cache_dtype_skip_layers": ["0"]}, "must be a list of names"),
        (
            {**BASE, "max_num_seqs": range(1, 4000), "block_size": range(1, 4000)},
            "points must be at most",
        ),
    ],
)
def test_what_describes_no_grid_is_refused(fields, words):
    """A typing error must not start hours of work."""
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.sweep_grid(fields)


def test_values_have_the_type_of_their_field():
    """Sizes may be text, whole numbers stand for floats, lists of names are one value each."""
    grid = kvsim.sweep_grid(
        {
            **BASE,
            "weights_bytes": "16GiB",
            "gpu_memory_utilization": 1,
            "kv_cache_dtype_skip_layers": [["0", "1"], []],
            "performance_mode": "throughput",
        }
    )
    point = grid.point(0)
    assert point["weights_bytes"] == 16 * 2**30
    assert isinstance(point["gpu_memory_utilization"], float)
    assert point["kv_cache_dtype_skip_layers"] == ("0", "1")
    assert grid.num_points == 2


def test_a_plan_and_a_simulation_have_fields_of_their_own():
    """What both have is in both: the model, the device, the engine's settings."""
    plans, runs = (set(sweep_fields(simulate=simulate)) for simulate in (False, True))
    assert {"concurrent_requests", "free_bytes"} <= plans - runs
    assert {"workload", "trace", "seed", "step_time_s", "weights_bytes"} <= runs
    assert {"workload", "trace", "seed"}.isdisjoint(plans)
    assert {"model", "gpu", "num_gpus", "block_size", "tensor_parallel_size"} <= plans & runs


def test_a_simulated_grid_may_state_blocks_in_place_of_a_gpu():
    """As `kvsim simulate` does."""
    fields = {"model": "gpt2", "num_gpu_blocks_override": 100, "seed": [0, 1]}
    assert kvsim.sweep_grid(fields, simulate=True).num_points == 2
    with pytest.raises(kvsim.SpecError, match="must name a gpu"):
        kvsim.sweep_grid({"model": "gpt2", "num_gpu_blocks_override": 100})


@given(st.integers(1, 10**6), st.booleans())
def test_tasks_cover_every_point_once(num_points, simulate):
    """However many points there are, the files of a running sweep stay few."""
    every = tasks(num_points, simulate=simulate)
    assert [i for task in every for i in task.points] == list(range(num_points))
    assert [task.index for task in every] == list(range(len(every)))
    assert len(every) <= MOST_TASKS
