"""What two pools did: their records as those of one run, waits, transfers, and what binds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kvsim.sim.figures import Json, plain
from kvsim.sim.latency import queue_times
from kvsim.sim.metrics import PrefixCacheUse, Spread, prefix_cache_use, spread
from kvsim.sim.replicas import ReplicatedSimulation, merged, merged_records, replica_figures
from kvsim.sim.series import RequestSeries
from kvsim.sim.simulation import Simulation
from kvsim.sim.totals import step_sums
from kvsim.sim.transfers import Prefilled
from kvsim.specs.disaggregation import Disaggregation
from kvsim.specs.routing import Routing

Floats = NDArray[np.float64]


class Stage(StrEnum):
    """What a request waits for."""

    PREFILL = "prefill"
    DECODE = "decode"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """Caches that moved from one pool to the other; bytes are those of all ranks."""

    num_transfers: int
    num_bytes: int
    seconds: Spread | None  # from the blocks that were taken to the cache that was there


@dataclass(frozen=True, slots=True, kw_only=True)
class DisaggregatedSimulation(ReplicatedSimulation):
    """Two pools that served a workload, as one run; `prefill` and `decode` are their replicas.

    `waits_s` are seconds that a request waits on average: for its prompt's turn, for blocks in
    the decode pool, and for its cache to move. A wait counts for what causes it: that of prompts
    for the later stages while their blocks are held, that for blocks for the link while they
    wait for caches.
    """

    rules: Disaggregation
    prefill: tuple[Simulation, ...]
    decode: tuple[Simulation, ...]
    transferred: Transferred
    waits_s: Mapping[Stage, float]

    @property
    def binding(self) -> Stage | None:
        """What requests wait for longest; None if for nothing."""
        longest = max(self.waits_s, key=self.waits_s.__getitem__)
        return longest if self.waits_s[longest] > 0 else None

    @property
    def prefix_cache(self) -> PrefixCacheUse:
        """What prompts found in the prefill pool."""
        records = merged_records(self.prefill)
        return prefix_cache_use(step_sums(records.steps), records.requests.hit_shares)

    @property
    def second_token_s(self) -> Spread | None:
        """Time to the first token that the decode pool gives."""
        stalls, rows = self.requests.stalls, self.requests.rows
        first = stalls["from_s"] == rows["first_token_s"][stalls["row"]]
        found = stalls["until_s"][first] - rows["arrival_s"][stalls["row"][first]]
        return spread(found)

    def as_dict(self, *, cpu_s: float | None = None) -> Json:
        """The figures of both pools together, and of each."""
        figures = Simulation.as_dict(self, cpu_s=cpu_s)
        return figures | {
            "prefix_cache": asdict(self.prefix_cache),
            "routing": self.routing.routing,
            "disaggregation": {
                **asdict(self.rules),
                "prefill": [replica_figures(one) for one in self.prefill],
                "decode": [replica_figures(one) for one in self.decode],
                "transfers": asdict(self.transferred),
                "second_token_s": plain(self.second_token_s),
                "waits_s": {str(stage): wait_s for stage, wait_s in self.waits_s.items()},
                "binding": self.binding,
            },
        }


def disaggregated_run(
    parts: Sequence[Simulation],
    handed: Sequence[Prefilled],
    *,
    rules: Disaggregation,
    routing: Routing,
    num_asked: int,
) -> DisaggregatedSimulation:
    """The run of both pools.

    Args:
        parts: each engine's run, those of the prefill pool first.
        handed: answers that went from one to the other.
        rules: how many engines there are of each.
        routing: by what prompts were sent.
        num_asked: answers that the workload asks for.
    """
    prefill, decode = parts[: rules.prefill_replicas], parts[rules.prefill_replicas :]
    records = merged_records(parts)
    moved = [one for one in handed if one.begin_s is not None]
    pulled = [one for one in moved if one.num_bytes]
    ended = [*(_complete(one, handed) for one in prefill), *decode]
    whole = merged(ended, routing, num_asked=num_asked)
    values = {f.name: getattr(whole, f.name) for f in fields(whole)}
    return DisaggregatedSimulation(
        **(values | {"requests": joined(records.requests, handed)}),
        rules=rules,
        prefill=tuple(prefill),
        decode=tuple(decode),
        transferred=Transferred(
            num_transfers=len(pulled),
            num_bytes=sum(one.num_bytes for one in pulled),
            seconds=spread(one.seconds for one in pulled),
        ),
        waits_s=_waits_s(prefill, parts, moved),
    )


def joined(requests: RequestSeries, handed: Sequence[Prefilled]) -> RequestSeries:
    """One record per answer, from its first step in one pool to its end in the other.

    Args:
        requests: the records of both pools in the workload's order, the prefill pool's first.
        handed: answers that went on; one whose end is not there is left out.
    """
    rows = requests.rows
    keys = np.stack([rows["index"], rows["sample"]])
    is_first = np.append(True, (np.diff(keys) != 0).any(axis=0))[: len(rows)]
    firsts = np.flatnonzero(is_first)
    lasts = np.append(firsts[1:], len(rows)) - 1
    going_on = {(one.place, one.sample) for one in handed}
    ends = np.array(
        [
            last > first or (int(rows["index"][first]), int(rows["sample"][first])) not in going_on
            for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
        ],
        bool,
    )
    firsts, lasts = firsts[ends], lasts[ends]
    whole, begun = rows[lasts].copy(), rows[firsts]
    for name in ("first_step", "first_token_step", "num_cached_tokens"):
        whole[name] = begun[name]
    for name in ("num_preemptions", "num_recomputed_tokens"):
        whole[name] += np.where(lasts > firsts, begun[name], 0)
    stalls = requests.stalls[np.isin(requests.stalls["row"], lasts)]
    stalls["row"] = np.searchsorted(lasts, stalls["row"])
    return RequestSeries(whole, stalls)


def _complete(one: Simulation, handed: Sequence[Prefilled]) -> Simulation:
    """A prefill engine's run with those requests alone whose first token was the last."""
    going_on = {(each.place, each.sample) for each in handed}
    kept = [r for r in one.requests if (r.index, r.sample) not in going_on]
    return replace(one, requests=RequestSeries.of(kept), num_requests=len(kept))


def _waits_s(
    prefill: Sequence[Simulation], engines: Sequence[Simulation], moved: Sequence[Prefilled]
) -> Mapping[Stage, float]:
    """Mean seconds that answers waited, by what for.

    While a decode engine stands still it waits for caches on their way, and whoever waits for its
    blocks waits for the link. While a prefill engine stands still its blocks are held, for as
    long as caches wait for the one or the other.
    """
    queued = sum(float(queue_times(one.steps, one.requests).sum()) for one in prefill)
    blocked = sum(float(_blocked_s(one).sum()) for one in prefill)
    prompts = max(1, sum(len(one.requests) for one in prefill))
    answers = max(1, len(moved))
    linked = sum(one.seconds for one in moved) / answers
    placed = sum((one.begin_s or 0.0) - one.handed_s for one in moved) / answers
    stood = sum(
        float(_standing_s(engine, *_spans(moved, i)).sum()) for i, engine in enumerate(engines)
    )
    linked, placed = linked + stood / answers, placed - stood / answers
    share = placed / (placed + linked) if placed + linked else 1.0
    held = blocked / prompts
    return {
        Stage.PREFILL: queued / prompts - held,
        Stage.DECODE: placed + held * share,
        Stage.TRANSFER: linked + held * (1.0 - share),
    }


def _spans(moved: Sequence[Prefilled], engine: int) -> tuple[Floats, Floats]:
    """From when until when answers waited for blocks of an engine."""
    own = [one for one in moved if one.taken_by == engine]
    handed = np.array([one.handed_s for one in own], np.float64)
    return handed, np.array([one.begin_s for one in own], np.float64)


def _blocked_s(one: Simulation) -> Floats:
    """Seconds of each prompt's wait in which nothing could begin: held blocks were in the way."""
    begun = one.steps.floats("start_s")[one.requests.rows["first_step"]]
    return _standing_s(one, np.minimum(one.requests.floats("arrival_s"), begun), begun)


def _standing_s(one: Simulation, from_s: Floats, until_s: Floats) -> Floats:
    """Seconds between two times, entry by entry, in which an engine waits and computes nothing."""
    steps = one.steps
    if not len(steps):
        return np.zeros(len(from_s))
    stands = (steps.ints("num_tokens") == 0) & (steps.ints("num_waiting") > 0)
    so_far = np.cumsum(np.where(stands, steps.seconds, 0.0))
    times = np.stack([steps.floats("start_s"), steps.floats("end_s")], axis=1).ravel()
    total = np.stack([np.append(0.0, so_far[:-1]), so_far], axis=1).ravel()
    stood: Floats = np.interp(until_s, times, total) - np.interp(from_s, times, total)
    return stood
