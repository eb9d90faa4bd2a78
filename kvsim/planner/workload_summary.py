"""A workload at a glance: lengths, arrivals, and what its prompts share."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, pstdev

from kvsim.sim.metrics import Spread, spread
from kvsim.sim.prefix_reuse import PrefixReuse, prefix_reuse
from kvsim.specs.workload import Workload

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSummary:
    """Means and percentiles; the gaps' variation is their standard deviation over their mean.

    `rate_per_s` and `gap_variation` are None where all requests come at once.
    """

    name: str
    source: str
    num_requests: int
    duration_s: float
    rate_per_s: float | None
    gap_variation: float | None
    prompt_tokens: Spread
    output_tokens: Spread
    longest_tokens: int
    prefix: PrefixReuse

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


def summarize(
    workload: Workload, *, block_size: int = 16, capacities: Sequence[int] = ()
) -> WorkloadSummary:
    """What a workload looks like.

    Args:
        workload: requests in order of arrival.
        block_size: tokens per block, for what prompts share.
        capacities: sizes of a prefix cache, tokens, for what each would find.

    Raises:
        SpecError: for a size below 1.
    """
    requests = workload.requests
    duration_s = requests[-1].arrival_s - requests[0].arrival_s
    gaps = [b.arrival_s - a.arrival_s for a, b in itertools.pairwise(requests)]
    prompts = spread(r.num_prompt_tokens for r in requests)
    outputs = spread(r.num_output_tokens for r in requests)
    assert prompts is not None  # a workload holds at least one request
    assert outputs is not None
    return WorkloadSummary(
        name=workload.name,
        source=workload.source,
        num_requests=len(requests),
        duration_s=duration_s,
        rate_per_s=len(gaps) / duration_s if duration_s else None,
        gap_variation=pstdev(gaps) / fmean(gaps) if duration_s else None,
        prompt_tokens=prompts,
        output_tokens=outputs,
        longest_tokens=max(r.num_prompt_tokens + r.num_output_tokens for r in requests),
        prefix=prefix_reuse(workload, block_size=block_size, capacities=capacities),
    )
