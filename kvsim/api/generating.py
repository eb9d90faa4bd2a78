"""Workloads: generated from a description and a seed, and summarised."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kvsim.io.workloads import named_workload
from kvsim.planner.workload_summary import WorkloadSummary, summarize
from kvsim.specs.traffic import Traffic
from kvsim.specs.workload import PoissonTraffic, Workload

if TYPE_CHECKING:
    from numpy.random import Generator


def generator(seed: int) -> "Generator":
    """What draws by chance: the same numbers for the same seed."""
    from numpy.random import PCG64, Generator  # noqa: PLC0415 - numpy costs what a plan costs

    return Generator(PCG64(seed))


def poisson_workload(traffic: PoissonTraffic, *, seed: int = 0) -> Workload:
    """Requests that arrive independently of each other; one seed, one workload.

    Example:
        >>> from kvsim.specs.workload import PoissonTraffic
        >>> workload = poisson_workload(PoissonTraffic(num_requests=3, rate_per_s=1.0))
        >>> [r.num_prompt_tokens for r in workload]
        [1025, 974, 1128]
    """
    from kvsim.sim.workloads import poisson_workload  # noqa: PLC0415 - numpy, see generator

    return poisson_workload(traffic, generator(seed))


def generate_workload(
    traffic: str | Traffic,
    *,
    num_requests: int = 1000,
    seed: int = 0,
    arrivals: Mapping[str, object] | None = None,
) -> Workload:
    """Requests of a named workload, or of a description; one seed, one workload.

    Args:
        traffic: a name that `kvsim workload` lists, or a description.
        num_requests: requests, later turns of conversations among them.
        seed: of all that is by chance.
        arrivals: fields of the arrival process to change.

    Raises:
        UnknownNameError: for a name that there is not.
        SpecError: for an impossible number.

    Example:
        >>> chat = generate_workload("chat", num_requests=100)
        >>> chat == generate_workload("chat", num_requests=100), len(chat)
        (True, 100)
    """
    from kvsim.sim.traffic import generate  # noqa: PLC0415 - numpy, see generator

    described = named_workload(traffic) if isinstance(traffic, str) else traffic
    changed = described.arriving(**(arrivals or {}))
    return generate(changed, generator(seed), num_requests=num_requests)


def summarize_workload(
    workload: Workload, *, block_size: int = 16, capacities: Sequence[int] = ()
) -> WorkloadSummary:
    """Lengths, arrivals and what prompts share; what prefix caches of some sizes would find.

    Raises:
        SpecError: for a size below 1.
    """
    return summarize(workload, block_size=block_size, capacities=capacities)
