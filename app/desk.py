"""Where the visitors' jobs are done: a few worker processes, and the results of late."""

import pickle
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event, Lock, Thread, Timer
from typing import IO

import streamlit as st

from app.job import MAX_STEPS, Job, Result
from app.search_job import Found, SearchJob
from app.worker import READY

MAX_RUNS = 2
"""Jobs done at once on this server; the next ones wait."""

MAX_WAITING = 6
"""Jobs that may wait; more are refused."""

MAX_RUN_S = 60
"""Most seconds that a job may take."""

MAX_READY_S = 300
"""Most seconds until a new worker can begin: the simulator is compiled once per machine."""

AnyJob = Job | SearchJob
AnyResult = Result | Found

KEPT_STEPS = 2 * MAX_STEPS
"""Steps of the results that are kept: some 100 MB."""

ROOT = Path(__file__).resolve().parents[1]


class State(StrEnum):
    """Of a ticket."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"  # by the library, with its reason
    CANCELLED = "cancelled"
    TOO_LONG = "too_long"
    DIED = "died"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended: with its result, or the library's reason, or neither."""

    state: State
    result: AnyResult | None = None
    reason: str = ""


class Ticket:
    """A job on its way. Invariant: once it is over, `outcome` is there and nothing changes."""

    def __init__(self, job: AnyJob) -> None:
        self.job = job
        self.served, self.total = 0, 0
        self.outcome: Outcome | None = None
        self.is_cancelled = False
        self._stop: Callable[[], None] | None = None
        self._over = Event()

    @property
    def state(self) -> State:
        """Where it is."""
        if self.outcome is not None:
            return self.outcome.state
        return State.WAITING if self._stop is None else State.RUNNING

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self._over.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Whether it is over, after at most so many seconds."""
        return self._over.wait(timeout_s)

    def cancel(self) -> None:
        """Stop the job, whether it runs or waits."""
        self.is_cancelled = True
        if self._stop is not None and not self.is_over:
            self._stop()

    def begin(self, stop: Callable[[], None]) -> None:
        """It runs from now on, and this stops it."""
        self._stop = stop
        if self.is_cancelled:
            stop()

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        self.outcome = outcome
        self._over.set()


class Worker:
    """A process that does one job at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "app.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._is_ready = self._is_late = False

    @property
    def lives(self) -> bool:
        """Whether the process can still be asked."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process, whatever it does; who waits for it notices."""
        self._process.kill()

    def close(self) -> None:
        """End the process, which nobody waits for."""
        self.stop()
        self._process.wait()
        _pipe(self._process.stdout).close()
        with suppress(BrokenPipeError):  # of what was left to write
            _pipe(self._process.stdin).close()

    def do(self, ticket: Ticket) -> Outcome:
        """How a ticket's job ended; the process ends with it where that was not by itself."""
        try:
            ticket.begin(self.stop)
            if not self._is_ready:
                with self._at_most(MAX_READY_S):
                    self._is_ready = pickle.load(_pipe(self._process.stdout)) == READY
            with self._at_most(MAX_RUN_S):
                jobs = _pipe(self._process.stdin)
                pickle.dump(ticket.job, jobs)
                jobs.flush()
                return self._follow(ticket)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            if ticket.is_cancelled:
                return Outcome(state=State.CANCELLED)
            return Outcome(state=State.TOO_LONG if self._is_late else State.DIED)

    @contextmanager
    def _at_most(self, seconds: float) -> Iterator[None]:
        """End the process if what is done inside takes longer."""
        limit = Timer(seconds, self._end_late)
        limit.daemon = True
        limit.start()
        try:
            yield
        finally:
            limit.cancel()

    def _end_late(self) -> None:
        self._is_late = True
        self.stop()

    def _follow(self, ticket: Ticket) -> Outcome:
        """Take the worker's messages up to the last."""
        replies = _pipe(self._process.stdout)
        while True:
            match pickle.load(replies):
                case (int(served), int(total)):
                    ticket.served, ticket.total = served, total
                case Result() | Found() as result:
                    return Outcome(state=State.DONE, result=result)
                case reason:
                    return Outcome(state=State.REFUSED, reason=str(reason))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


class Desk:
    """Takes jobs. Invariant: at most `MAX_RUNS` run and `MAX_WAITING` wait; idle workers stay."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[Ticket] = deque()
        self._num_running = 0
        self._idle: list[Worker] = []
        self._results: OrderedDict[AnyJob, AnyResult] = OrderedDict()

    def known(self, job: AnyJob) -> AnyResult | None:
        """The job's result, if it was done lately."""
        with self._lock:
            if job in self._results:
                self._results.move_to_end(job)
            return self._results.get(job)

    def start(self, job: AnyJob) -> Ticket:
        """A ticket for the job: over at once if its result is known or too many wait."""
        ticket = Ticket(job)
        known = self.known(job)
        if known is not None:
            ticket.end(Outcome(state=State.DONE, result=known))
            return ticket
        with self._lock:
            if self._num_running < MAX_RUNS:
                self._num_running += 1
                Thread(target=self._work, args=(ticket,), daemon=True).start()
            elif len(self._waiting) < MAX_WAITING:
                self._waiting.append(ticket)
            else:
                ticket.end(Outcome(state=State.BUSY))
        return ticket

    def close(self) -> None:
        """End the idle workers."""
        with self._lock:
            workers, self._idle = self._idle, []
        for worker in workers:
            worker.close()

    def _work(self, first: Ticket) -> None:
        """Do this one, and then what waits, until nothing does."""
        ticket: Ticket | None = first
        while ticket is not None:
            ticket.end(self._done(ticket))
            ticket = self._next()

    def _done(self, ticket: Ticket) -> Outcome:
        if ticket.is_cancelled:
            return Outcome(state=State.CANCELLED)
        worker = self._worker()
        outcome = worker.do(ticket)
        with self._lock:
            if outcome.state in (State.DONE, State.REFUSED):
                self._idle.append(worker)
            if outcome.result is not None:
                self._keep(ticket.job, outcome.result)
        return outcome

    def _next(self) -> Ticket | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._num_running -= 1
            return None

    def _worker(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.lives:
                    return worker
                worker.close()
        return Worker()

    def _keep(self, job: AnyJob, result: AnyResult) -> None:
        self._results[job] = result
        while sum(kept.num_steps for kept in self._results.values()) > KEPT_STEPS:
            self._results.popitem(last=False)


@st.cache_resource(show_spinner=False)
def desk() -> Desk:
    """This server's desk."""
    return Desk()
