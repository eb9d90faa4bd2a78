"""Memory that is shared, partly taken, unequal or in the host."""

import dataclasses

import pytest

import kvsim
from kvsim.analytic.host_memory import host_memory
from kvsim.errors import SpecError
from kvsim.units import GiB

MODEL = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")
A100 = kvsim.accelerator("A100-SXM4-40GB")
SPARK = kvsim.accelerator("GB10 (DGX Spark)")


def deployment(accelerator=H100, **changes):
    engine = kvsim.Vllm(max_model_len=8192, **changes.pop("engine", {}))
    return kvsim.Deployment(model=MODEL, accelerator=accelerator, engine=engine, **changes)


def budget(*args, **changes):
    return kvsim.plan(deployment(*args, **changes)).evaluation.budget


def test_the_smallest_device_decides_for_all_ranks():
    """
    Every rank has as many blocks as the one with the fewest.
    """
    two = kvsim.Parallelism(tensor_parallel_size=2)
    unequal = budget(H100, parallel=two, other_accelerators=(A100,))

    assert unequal.total_bytes == budget(A100, parallel=two).total_bytes
    with pytest.raises(SpecError, match="other_accelerators=1"):
        deployment(H100, other_accelerators=(A100,))


def test_weights_on_the_host_leave_the_device():
    """
    As many bytes more for the cache as stay in host memory.
    """
    moved = budget(weights_on_host_bytes=4 * GiB)

    assert moved.kv_cache_bytes.best == budget().kv_cache_bytes.best + 4 * GiB
    assert budget(weights_on_host_bytes=99 * GiB).weights_bytes.low == 0


def test_the_host_must_have_what_is_moved_there():
    """
    Four ranks' weights and one pool of cache, beside the system.
    """
    four = kvsim.Parallelism(tensor_parallel_size=4)
    asked = {"weights_on_host_bytes": 8 * GiB, "cache_on_host_bytes": 20 * GiB, "parallel": four}
    small = host_memory(deployment(host_memory_bytes=48 * GiB, **asked))
    large = host_memory(deployment(host_memory_bytes=64 * GiB, **asked))

    assert small.asked_bytes == 52 * GiB
    assert (small.fits, large.fits) == (False, True)
    with pytest.raises(SpecError, match="host_memory"):
        host_memory(deployment())


def test_a_system_takes_its_part_of_memory_that_it_shares():
    """
    A DGX Spark sees 121.7 GiB, of which the system keeps some; stated figures win.
    """
    shared = budget(SPARK)

    assert shared.free_bytes.best < shared.total_bytes.best
    assert shared.free_bytes.low < shared.free_bytes.high - 4 * GiB
    assert budget(SPARK, free_bytes=100 * GiB).free_bytes.is_exact
    assert budget(SPARK, host_memory_bytes=64 * GiB).total_bytes.high == 64 * GiB


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("Apple M4 Max 128GB", 128 * 2 / 3, 128 * 0.9), ("Strix Halo", 64, 128)],
)
def test_devices_without_memory_of_their_own_may_use_a_share(name, low, high):
    """
    macOS and amdgpu set a limit; where no reading is known it is a wide interval.
    """
    total = budget(kvsim.accelerator(name)).total_bytes

    assert low * GiB - GiB <= total.low < total.best < total.high <= high * GiB + 1


def test_a_reading_of_the_device_wins_over_the_share():
    """
    M1 Pro 16 GB: the log's own limit.
    """
    device = kvsim.accelerator("Apple M1 Pro 16GB")

    assert budget(device, engine={"kv_cache_memory_bytes": GiB}).total_bytes == device.total_bytes


def test_partly_taken_devices_are_checked():
    """
    Nobody can hold more than there is.
    """
    for change in ({"free_bytes": 99 * GiB}, {"other_processes_bytes": 99 * GiB}):
        with pytest.raises(SpecError, match="must be <= total memory"):
            budget(**change)


def test_figures_of_the_host_are_not_negative():
    """
    A negative amount is no amount.
    """
    for name in ("weights_on_host_bytes", "cache_on_host_bytes"):
        with pytest.raises(SpecError, match=name):
            dataclasses.replace(deployment(), **{name: -1})
