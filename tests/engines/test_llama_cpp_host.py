"""What llama-server keeps in host memory beside a context."""

from kvsim.engines.llama_cpp_devices import HostPools


def test_every_checkpoint_of_every_slot_counts():
    """
    The most that one takes, times how many there may be.
    """
    pools = HostPools(
        prompt_cache_bytes=None, checkpoint_bytes=3000, max_checkpoints=8, output_bytes=0
    )

    assert pools.max_checkpoints_bytes == 24_000
