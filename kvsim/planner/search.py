"""Search: closed forms leave out what cannot win, simulations decide among the rest."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from kvsim.message import Message
from kvsim.planner.search_candidate import Candidate, SearchGoal, SearchOutcome, ranked_cost
from kvsim.planner.search_front import Objectives, dominator, front, throughput_level
from kvsim.planner.search_rows import Found, cells_of, number
from kvsim.planner.sweep_rows import Row

ROUND = 8
"""Candidates that are simulated before it is looked again who can still win; it depends on nobody's
number of processes, so that all leave out the same."""

NEAREST = 4
"""Candidates out of reach that are simulated where none keeps the goal, to say what would have to
give."""

Run = Callable[[Sequence[int]], Iterator[Row]]
"""Simulates candidates, given their indices: a row each, in any order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """What can be simulated: the capacity, or one run of the fewest replicas."""

    capacities: Run
    trials: Run


Progress = Callable[[int], None]


class Search:
    """The state of one search.

    Invariant: a candidate with an outcome is settled and never looked at again, one with a row was
    simulated.
    """

    def __init__(self, candidates: Sequence[Candidate], goal: SearchGoal) -> None:
        self.candidates = {one.index: one for one in candidates}
        self.goal = goal
        self.found: dict[int, Found] = {}
        self.trials: dict[int, Found] = {}
        self.objectives: dict[int, Objectives] = {}
        self.interrupted = False

    @property
    def open(self) -> list[int]:
        """Candidates of which nothing is known yet but their bounds."""
        return [i for i, one in self.candidates.items() if one.outcome is None]

    @property
    def num_settled(self) -> int:
        """Candidates that need no simulation any more."""
        return len(self.candidates) - sum(i not in self.found for i in self.open)

    def run(self, runs: Runs, *, prunes: bool, on_progress: Progress) -> None:
        """Simulate, round by round, whoever can still win.

        Raises:
            KeyboardInterrupt: as it comes; what was done is kept, and `conclude` still works.
        """
        if prunes:
            self._leave_out_the_slow()
        on_progress(self.num_settled)
        while waiting := [i for i in self.open if i not in self.found]:
            chosen = self._promising(waiting) if prunes else waiting
            untried = [i for i in chosen if prunes and self._can_be_tried(i)]
            for row in runs.trials(untried):
                self._try(cells_of(row))
            known = [i for i in chosen if i not in untried]
            self._simulate(known, runs.capacities, on_progress)
            if prunes:
                self._leave_out_the_overtaken()
                on_progress(self.num_settled)
        if not self.objectives:
            self._simulate(self._nearest(), runs.capacities, on_progress)

    def _can_be_tried(self, index: int) -> bool:
        return self.goal.rate_per_s is not None and index not in self.trials

    def _simulate(self, chosen: Sequence[int], simulate: Run, on_progress: Progress) -> None:
        for row in simulate(chosen):
            self._take(cells_of(row))
            on_progress(self.num_settled)

    def _try(self, found: Found) -> None:
        index = int(found["candidate"] or 0)
        self.trials[index] = found
        if found["refusal"] is not None:
            self._settle(index, SearchOutcome.REFUSED, str(found["refusal"]))

    def best_case(self, index: int) -> Objectives:
        """What a candidate could be at best, by all that is known."""
        return self.candidates[index].best_case(self.goal, self.trials.get(index))

    def _take(self, found: Found) -> None:
        index = int(found["candidate"] or 0)
        self.found[index] = found
        if found["refusal"] is not None:
            self._settle(index, SearchOutcome.REFUSED, str(found["refusal"]))
        elif found["capacity_per_s"] is None or (
            self.goal.rate_per_s is not None and found["replicas"] is None
        ):
            self._settle(index, SearchOutcome.MISSES, missed(found, self.goal))
        else:
            self.objectives[index] = objectives_of(self.candidates[index], found, self.goal)

    def _settle(self, index: int, outcome: SearchOutcome, reason: str) -> None:
        self.candidates[index] = replace(self.candidates[index], outcome=outcome, reason=reason)

    def _leave_out_the_slow(self) -> None:
        limits = self.goal.limits
        for index in self.open:
            bounds = self.candidates[index].bounds
            if bounds is not None and bounds.most_share < limits.slo_share:
                reason = Message(
                    "at most {most} of the requests can keep the limits, {asked} must, even if "
                    "each is alone",
                    most=f"{bounds.most_share:.2%}",
                    asked=f"{limits.slo_share:.2%}",
                )
                self._settle(index, SearchOutcome.TOO_SLOW, reason)

    def _promising(self, waiting: Sequence[int]) -> list[int]:
        """Of those that nobody beats at their best, the cheapest."""
        best = {i: self.best_case(i) for i in waiting}
        return front(best, best)[:ROUND]

    def _leave_out_the_overtaken(self) -> None:
        for index in self.open:
            if index in self.found:
                continue
            winner = dominator(self.best_case(index), self.objectives)
            if winner is not None:
                reason = Message("candidate {index} is better than this one can be", index=winner)
                self._settle(index, SearchOutcome.OVERTAKEN, reason)

    def _nearest(self) -> list[int]:
        """Those out of reach of which the limits ask least, by closed forms."""
        asked = [
            (one.bounds.least_excess, i)
            for i, one in self.candidates.items()
            if one.bounds is not None and i not in self.found
        ]
        return [i for _, i in sorted(asked)[:NEAREST]]

    def conclude(self) -> list[int]:
        """Say of all what became of them; the front's members, the cheapest first."""
        members = front(self.objectives, self.objectives)
        for index, objectives in self.objectives.items():
            winner = dominator(objectives, self.objectives)
            if winner is None:
                self._settle(
                    index, SearchOutcome.FRONT, "none is as good in all and better in something"
                )
            else:
                reason = Message(
                    "candidate {index} is as good in all and better in something", index=winner
                )
                self._settle(index, SearchOutcome.DOMINATED, reason)
        for index in self.open:
            self._settle(index, SearchOutcome.NOT_REACHED, "the search was stopped before")
        return members


def missed(found: Found, goal: SearchGoal) -> str:
    """How a candidate missed the goal, in words."""
    share, most = float(found["share"] or 0), goal.limits.slo_share
    return (
        f"{share:.2%} kept the limits at {float(found['rate_per_s'] or 0):.3g} requests per s, "
        f"{most:.2%} must"
    )


def objectives_of(candidate: Candidate, found: Found, goal: SearchGoal) -> Objectives:
    """What a simulated candidate is weighed by."""
    rate, replicas = number(found, "capacity_per_s"), found["replicas"]
    cost = candidate.cost(
        goal, replicas=None if replicas is None else int(replicas), rate_per_s=rate
    )
    return Objectives(
        cost=ranked_cost(cost, goal),
        throughput_level=throughput_level(rate * goal.output_tokens_per_request),
        latency_s=number(found, f"e2e_s_{goal.percentile}"),
    )
