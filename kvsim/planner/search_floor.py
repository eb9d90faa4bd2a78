"""What no schedule can beat: least seconds of each request alone, and the most that a device does.

A step's seconds grow with what it computes, so a request that is alone in each step is served as
fast as can be; and a device that is never idle does as much as can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kvsim.analytic.compute import read_share
from kvsim.errors import UnsupportedError
from kvsim.planner.replica import Replica
from kvsim.sim.request_arrays import Floats, Ints, RequestArrays
from kvsim.sim.step_times import RooflineStepTime, StepTime
from kvsim.specs.limits import ServiceLimits

ROUNDING = 1e-9
"""Relative difference that sums of many steps' seconds make in floating point, at most."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """What requests ask of any replica; int64, shape (num_requests,)."""

    num_prompt_tokens: Ints
    num_new_tokens: Ints  # of the prompt, in no prompt or answer before: somebody computes them
    num_output_tokens: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Floor:
    """Least seconds, shape (num_requests,), and the highest rate at which work does not pile up."""

    first_token_s: Floats
    later_token_s: Floats
    end_to_end_s: Floats
    most_rate_per_s: float

    def most_share(self, limits: ServiceLimits) -> float:
        """Largest share of the requests that can keep the limits."""
        kept = np.ones(len(self.first_token_s), np.bool_)
        for limit, seconds in self._limited(limits):
            kept &= seconds <= limit
        return float(kept.mean())

    def least_excess(self, limits: ServiceLimits) -> float:
        """Least factor by which a limit must grow, each alone, for its share of the requests."""
        return max(
            float(np.quantile(seconds, limits.slo_share, method="inverted_cdf")) / limit
            for limit, seconds in self._limited(limits)
        )

    def _limited(self, limits: ServiceLimits) -> Iterator[tuple[float, Floats]]:
        for limit, seconds in (
            (limits.slo_ttft_s, self.first_token_s),
            (limits.slo_tpot_s, self.later_token_s),
            (limits.slo_itl_s, self.later_token_s),
            (limits.slo_e2e_s, self.end_to_end_s),
        ):
            if limit is not None:
                yield limit, seconds


def load_of(requests: RequestArrays, replica: Replica) -> Load:
    """What requests ask of a replica; answers end where its context does.

    Of texts that several requests have, those count that come first in the workload: whatever is
    found cached was computed for somebody.
    """
    config = replica.setup.config
    prompts = requests.num_prompt_tokens
    answers: Ints = np.minimum(requests.num_output_tokens, config.max_model_len - prompts)
    new = prompts
    if config.enable_prefix_caching:
        new = _new_tokens(requests)
    return Load(num_prompt_tokens=prompts, num_new_tokens=new, num_output_tokens=answers)


def _new_tokens(requests: RequestArrays) -> Ints:
    """Prompt tokens in segments that no request before has, neither asked nor answered."""
    ids, first = np.unique(requests.segment_id, return_index=True)
    comes_first = np.zeros(len(requests.segment_id), np.bool_)
    comes_first[first] = ~np.isin(ids, requests.output_segment)
    tokens = np.where(comes_first, requests.segment_tokens, 0)
    ends = np.concatenate([[0], np.cumsum(tokens)])[requests.first_segment]
    has_any = np.diff(requests.first_segment) > 0
    new: Ints = np.where(has_any, np.diff(ends), requests.num_prompt_tokens)
    return np.maximum(new, 1)  # one is computed even of a prompt that is cached whole


def floor_of(load: Load, replica: Replica) -> Floor:
    """The floor of a replica under a load."""
    config = replica.setup.config
    later_s = _alone_s(replica.step_time, load.num_prompt_tokens + 1)
    first_s = _alone_s(replica.step_time, load.num_prompt_tokens)
    num_later = load.num_output_tokens - 1
    num_steps = max(
        -(-int(load.num_output_tokens.sum()) // config.active_seqs),
        -(-int((load.num_new_tokens + num_later).sum()) // config.max_num_batched_tokens),
    )
    busy_s = _busy_s(load, replica.step_time, num_steps=num_steps)
    return Floor(
        first_token_s=first_s,
        later_token_s=np.where(num_later > 0, later_s, 0.0),
        end_to_end_s=first_s + num_later * later_s,
        most_rate_per_s=len(later_s) / busy_s,
    )


def _alone_s(step_time: StepTime, context: Ints) -> Floats:
    """Seconds of a step that computes the last token of one sequence of so many."""
    table = _roofline(step_time).roofline
    flops, held = np.asarray(table.attention_flops), np.asarray(table.cache_bytes)
    last = np.minimum(context, len(flops) - 1)
    share = read_share(table.model, table.weights, num_tokens=1)
    computed = flops[last] - flops[last - 1] + table.token_flops + table.sample_flops
    read = table.weights_bytes * share + held[last]
    seconds: Floats = np.maximum(computed / table.flops_per_s, read / table.bytes_per_s)
    return seconds * (1 - ROUNDING)


def _busy_s(load: Load, step_time: StepTime, *, num_steps: int) -> float:
    """Least seconds in which a device does all the work, every step as full as can be."""
    table = _roofline(step_time).roofline
    flops, held = np.asarray(table.attention_flops), np.asarray(table.cache_bytes, np.float64)
    longest = len(flops) - 1
    prompts = np.minimum(load.num_prompt_tokens, longest)
    ends = np.minimum(load.num_prompt_tokens + load.num_output_tokens - 1, longest)
    num_later = float((load.num_output_tokens - 1).sum())
    attention = flops[np.minimum(load.num_new_tokens, longest)] + flops[ends] - flops[prompts]
    computed = (
        table.token_flops * (float(load.num_new_tokens.sum()) + num_later)
        + table.sample_flops * float(load.num_output_tokens.sum())
        + float(attention.sum())
    )
    sums = np.cumsum(held)
    share = read_share(table.model, table.weights, num_tokens=1)
    read = table.weights_bytes * share * num_steps + float((sums[ends] - sums[prompts]).sum())
    return max(computed / table.flops_per_s, read / table.bytes_per_s) * (1 - ROUNDING)


def _roofline(step_time: StepTime) -> RooflineStepTime:
    if not isinstance(step_time, RooflineStepTime):
        msg = f"step_time={step_time.source[:60]} has no floor that is known"
        raise UnsupportedError(msg)
    return step_time
