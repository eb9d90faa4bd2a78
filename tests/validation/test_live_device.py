"""The adapters of devices, on a fake that follows the allocator's documented rules."""

import os

import pytest

import kvsim
from tests.validation.fake_cuda import MIB, FakeCuda
from validation.live.appends import PeakMeter, peak_over_end
from validation.live.device import Cpu, Cuda, rss_bytes, select
from validation.live.driver import Others

torch = pytest.importorskip("torch")


def test_a_tensor_is_rounded_up_to_512_bytes():
    """
    What `memory_allocated` counts is not what a tensor holds.
    """
    fake = FakeCuda()
    device = Cuda(fake)
    fake.allocate(1)
    fake.allocate(513)

    assert device.allocated_bytes() == 512 + 1024


@pytest.mark.parametrize(
    ("size", "segment"), [(1, 2 * MIB), (5 * MIB, 20 * MIB), (30 * MIB + 1, 32 * MIB)]
)
def test_reserved_counts_segments(size, segment):
    """
    The reason that `nvidia-smi` shows more than tensors add up to.
    """
    fake = FakeCuda()
    fake.allocate(size)

    assert Cuda(fake).reserved_bytes() == segment


def grow(fake, steps, size):
    """A cache that is copied to grow, as `torch.cat` does."""
    held = fake.allocate(size)
    for step in range(1, steps):
        larger = fake.allocate(size + step * MIB)
        fake.free(held)
        held = larger


def test_a_growing_cache_reserves_more_than_it_holds():
    """
    No old segment fits the next copy, so each leaves one behind until the allocator gives it back.
    """
    fake = FakeCuda()
    device = Cuda(fake)
    grow(fake, steps=20, size=20 * MIB)

    assert device.reserved_bytes() > 5 * device.allocated_bytes()
    device.settle()
    assert device.reserved_bytes() < device.allocated_bytes() + 2 * MIB


def test_an_expandable_range_reserves_less_for_a_growing_cache():
    """
    Free neighbours become one hole, which the next copy but one fits into.
    """
    plain, expandable = FakeCuda(), FakeCuda(expandable=True)
    for fake in (plain, expandable):
        grow(fake, steps=20, size=20 * MIB)

    assert Cuda(plain).allocated_bytes() == Cuda(expandable).allocated_bytes()
    assert 2 * Cuda(expandable).reserved_bytes() < Cuda(plain).reserved_bytes()


def test_the_record_says_how_the_allocator_was_set(monkeypatch):
    """
    Reserved memory means little without it.
    """
    assert Cuda(FakeCuda()).describe()["allocator"] is None
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")

    assert Cuda(FakeCuda()).describe()["allocator"] == "expandable_segments:True"


def test_each_of_several_devices_is_measured_by_itself():
    """
    Figures are of the device that the index names.
    """
    fake = FakeCuda(count=2)
    fake.allocate(4 * MIB, index=1)
    first, second = Cuda(fake, 0), Cuda(fake, 1)

    assert (first.allocated_bytes(), second.allocated_bytes()) == (0, 4 * MIB)
    assert (first.describe()["index"], second.describe()["index"]) == (0, 1)
    assert (first.torch_name, second.torch_name) == ("cuda:0", "cuda:1")


def test_a_static_cache_reserves_what_it_holds():
    """
    It is allocated once.
    """
    fake = FakeCuda()
    fake.allocate(40 * MIB)
    device = Cuda(fake)

    assert device.reserved_bytes() == device.allocated_bytes()


def test_context_is_what_the_allocator_does_not_hold():
    """
    Free memory falls by context and segments; the difference is the context.
    """
    fake = FakeCuda(context=300 * MIB)
    device = Cuda(fake)
    fake.allocate(30 * MIB)

    assert device.context_bytes() == 300 * MIB


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Makes the driver's tool print rows of processes."""

    def say(*rows):
        tool = tmp_path / "nvidia-smi"
        tool.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(rows) + "\nEND\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return say


def test_a_busy_device_says_what_is_taken(smi):
    """
    A baseline that hides other work makes every figure after it wrong.
    """
    smi(f"GPU-fake-0, {os.getpid()}, 400 MiB", "GPU-fake-0, 5, 3 MiB", "GPU-fake-0, 6, 4 MiB")
    device = Cuda(FakeCuda(context=400 * MIB, others=7 * MIB))

    assert device.others() == Others(used_bytes=7 * MIB, count=2)
    assert device.context_bytes() == 400 * MIB
    assert device.others().line == ("7,340,032 bytes are taken before this run, other processes: 2")


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ["GPU-fake-0, 5, 3 MiB"],
        ["GPU-fake-0, {own}, [N/A]", "GPU-fake-0, 5, [N/A]"],
        ["GPU-other, {own}, 400 MiB"],
        ["No devices were found"],
    ],
)
def test_a_tool_that_does_not_name_this_process_tells_nothing_apart(rows, smi):
    """
    As in a container: what is taken may be this process's own context.
    """
    smi(*(row.format(own=os.getpid()) for row in rows))
    others = Cuda(FakeCuda(context=400 * MIB, others=7 * MIB)).others()

    assert others == Others(used_bytes=407 * MIB, count=None)
    assert others.line.endswith("this process's context among them, other processes: not known")


def test_an_idle_device_has_no_others(smi):
    """
    This process is none of them.
    """
    smi(f"GPU-fake-0, {os.getpid()}, 400 MiB", "GPU-fake-1, 9, 3 MiB")

    assert Cuda(FakeCuda()).others() == Others(used_bytes=0, count=0)


def test_available_memory_includes_free_segments():
    """
    The allocator uses them again.
    """
    fake = FakeCuda(total=1024 * MIB, context=0)
    device = Cuda(fake)
    fake.free(fake.allocate(100 * MIB))

    assert device.available_bytes() == 1024 * MIB


def test_the_peak_shows_an_append():
    """
    While keys are copied, old and new live; then the old ones go.
    """
    fake = FakeCuda()
    meter = PeakMeter(Cuda(fake))
    old = fake.allocate(4 * MIB)

    def update():
        fake.allocate(4 * MIB)
        fake.free(old)

    meter.watch(update)()

    assert meter.transients == [4 * MIB]


def test_every_reading_of_a_peak_waits_for_the_device():
    """
    Kernels run after the call that starts them.
    """
    fake = FakeCuda()
    device = Cuda(fake)
    device.reset_peak()
    device.peak_bytes()

    assert fake.calls == ["synchronize", "synchronize"]


def test_a_sum_that_only_grows_has_no_transient():
    """
    What stays is the cache, not the append.
    """
    assert peak_over_end([5, 5]) == 0


def test_auto_takes_the_cpu_where_there_is_no_gpu(monkeypatch):
    """
    And a GPU asked for by name is refused there.
    """
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert isinstance(select("auto"), Cpu)
    with pytest.raises(kvsim.SpecError, match="torch sees 0 CUDA devices"):
        select("cuda")


def test_the_cpu_counts_what_malloc_gave_out():
    """
    `mallinfo2` sees an allocation to within its page; RSS need not.
    """
    device = Cpu()
    if not device.has_witness:
        pytest.skip("this C library does not count")
    torch.ones(MIB)  # what torch makes once, it has made
    before = device.allocated_bytes()
    held = torch.ones(MIB)

    grown = device.allocated_bytes() - before
    assert abs(grown - held.nbytes) < 0.005 * held.nbytes
    assert device.available_bytes() > 0
    assert rss_bytes() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_real_gpu_rounds_as_the_fake_does():
    """
    The fake is only worth what it has in common with the device.
    """
    device = select("cuda")
    device.settle()
    before = device.allocated_bytes()
    held = torch.ones(1, dtype=torch.uint8, device=device.torch_name)

    assert device.allocated_bytes() - before == 512
    assert held.numel() == 1
    assert device.context_bytes() > 0
