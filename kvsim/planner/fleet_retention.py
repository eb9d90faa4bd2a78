"""What keeping every cache for a while takes of a fleet: its host and disk tiers."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from kvsim.errors import SpecError
from kvsim.planner.plan import Evaluation
from kvsim.planner.retention import split, store_of
from kvsim.sim.histories import histories, with_answer
from kvsim.sim.prefix_reuse import prefix_reuse
from kvsim.specs.workload import Workload

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The tier that keeps what requests of a window leave, in a steady state, over all replicas.

    `host_bytes` is what of it the machines' memory takes, where that was stated; the rest is
    for a disk.
    """

    window_s: float
    new_tokens_per_s: float  # that no earlier request had cached
    bytes_per_s: float  # that become idle
    total_bytes: int
    host_bytes: int
    disk_bytes: int

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


def retention(
    evaluation: Evaluation,
    workload: Workload,
    *,
    window_s: float | None,
    machines: int,
    ends_s: Sequence[float] | None = None,
) -> Retention | None:
    """The tier of a window for a fleet, by Little's law over what its requests leave.

    Args:
        evaluation: one replica; its host memory, where stated, is that of one machine.
        workload: requests at the rate that counts.
        window_s: seconds for which a cache is kept; None: nothing is asked.
        machines: replicas, each on a machine of its own.
        ends_s: when each request's answer was complete.

    Raises:
        SpecError: if requests have no rate.
        UnsupportedError: for a version whose offload is not known.
    """
    if window_s is None:
        return None
    rate_per_s = workload.rate_per_s
    if rate_per_s is None:
        msg = f"retention_s={window_s:g} needs requests that arrive over time"
        raise SpecError(msg)
    store = store_of(evaluation)
    kept = histories(workload, store, ends_s=ends_s)
    total = round(kept.steady_chunks(window_s) * store.chunk_bytes)
    host = evaluation.deployment.host_memory_bytes
    in_host, on_disk, _ = split(total, [None if host is None else host * machines, None])
    whole = tuple(with_answer(request, i) for i, request in enumerate(workload))
    reuse = prefix_reuse(replace(workload, requests=whole), block_size=evaluation.layout.block_size)
    new = reuse.prompt_tokens * (1.0 - reuse.token_rate) / len(workload)
    return Retention(
        window_s=window_s,
        new_tokens_per_s=rate_per_s * new,
        bytes_per_s=rate_per_s * kept.chunks_per_turn * store.chunk_bytes,
        total_bytes=total,
        host_bytes=in_host,
        disk_bytes=on_disk,
    )
