"""What the compiled twin logged, as the tables of a run."""

import numpy as np
from numpy.typing import NDArray

from kvsim.sim._kernels.state import EVICTION, NONE, REQUEST, STALL, Ints, Memory
from kvsim.sim.request_arrays import RequestArrays
from kvsim.sim.series import (
    PREEMPTION_COLUMNS,
    REQUEST_COLUMNS,
    STALL_COLUMNS,
    STEP_COLUMNS,
    PreemptionSeries,
    RequestSeries,
    StepSeries,
    stacked,
)

Rows = NDArray[np.void]


class Log:
    """Rows that the kernel filled, kept until the run is over."""

    def __init__(self, requests: RequestArrays, *, stalls: Rows | None = None) -> None:
        self._requests = requests
        self._steps = [np.zeros(0, STEP_COLUMNS)]
        self._evictions = [np.zeros(0, EVICTION)]
        self._stalls = [np.zeros(0, STALL) if stalls is None else stalls]

    def take(self, state: Rows, memory: Memory) -> None:
        """Keep the rows that are filled, and count from 0 again: the kernel gets new ones."""
        for kept, rows, count in (
            (self._steps, memory.steps, "num_series"),
            (self._evictions, memory.evictions, "num_evictions"),
            (self._stalls, memory.stalls, "num_stalls"),
        ):
            kept.append(rows[: state[count][0]])
            state[count] = 0

    @property
    def stalls(self) -> Rows:
        """Those of all requests, in their order."""
        return stacked(self._stalls)

    def stalls_of_others(self, new_place: Ints) -> Rows:
        """Those of requests that are not finished, which now have other places."""
        stalls = self.stalls.copy()
        stalls["request"] = new_place[stalls["request"]]
        others: Rows = stalls[stalls["request"] != NONE]
        return others

    @property
    def steps(self) -> StepSeries:
        """The steps."""
        return StepSeries(stacked(self._steps))

    @property
    def preemptions(self) -> PreemptionSeries:
        """Who lost blocks to whom."""
        evictions = stacked(self._evictions)
        rows = np.zeros(len(evictions), PREEMPTION_COLUMNS)
        for name in ("step", "time_s", "num_lost_tokens"):
            rows[name] = evictions[name]
        for who, prefix in (("request", ""), ("by", "by_")):
            rows[f"{prefix}index"] = self._requests.place[evictions[who]]
            rows[f"{prefix}sample"] = self._requests.sample[evictions[who]]
        return PreemptionSeries(rows)

    def finished(self, served: Rows) -> RequestSeries:
        """What became of the requests that were served to their end."""
        requests, done = self._requests, served["last_step"] >= 0
        chosen = slice(None) if done.all() else np.flatnonzero(done)
        rows = np.zeros(np.count_nonzero(done), REQUEST_COLUMNS)
        rows["index"], rows["sample"] = requests.place[chosen], requests.sample[chosen]
        rows["num_prompt_tokens"] = requests.num_prompt_tokens[chosen]
        rows["num_output_tokens"] = (served["end"] - requests.num_prompt_tokens)[chosen]
        rows["arrival_s"] = requests.arrival_s[chosen]
        for name in set(REQUEST_COLUMNS.names or ()) & set(REQUEST.names or ()):
            rows[name] = served[name][chosen]
        return RequestSeries(rows, self._stalls_of(done))

    def _stalls_of(self, done: NDArray[np.bool_]) -> Rows:
        logged = self.stalls
        row: Ints = np.where(done, np.cumsum(done) - 1, NONE)
        stalls = np.zeros(len(logged), STALL_COLUMNS)
        stalls["row"] = row[logged["request"]]
        stalls["from_s"], stalls["until_s"] = logged["from_s"], logged["until_s"]
        stalls = stalls[stalls["row"] != NONE]
        return np.sort(stalls, order="row", kind="stable")
