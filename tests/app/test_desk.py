"""Where jobs are done: bounded in number and time, each with an end that is said."""

import pytest

from app import desk
from app.desk import MAX_RUNS, MAX_WAITING, Desk, State
from app.job import Job

SMALL = {"num_requests": 10, "output_tokens": 10, "seeds": 1}
LONG = {"workload": "chat", "arrivals": "closed", "num_requests": 2000, "seeds": 20}
PATIENCE_S = 60


@pytest.fixture
def open_desk():
    opened = Desk()
    yield opened
    opened.close()


def test_a_job_is_done_once(open_desk):
    """The same inputs again have the same result, at once."""
    ticket = open_desk.start(Job.of(SMALL))
    assert ticket.wait(PATIENCE_S)
    assert ticket.state is State.DONE
    again = open_desk.start(Job.of(SMALL))
    assert again.is_over
    assert again.outcome.result is ticket.outcome.result


def test_what_the_library_refuses_says_why(open_desk):
    """And the worker lives on."""
    ticket = open_desk.start(Job.of(SMALL | {"prompt_tokens": 9000}))
    assert ticket.wait(PATIENCE_S)
    assert ticket.state is State.REFUSED
    assert "max_model_len=8192" in ticket.outcome.reason
    assert open_desk.start(Job.of(SMALL)).wait(PATIENCE_S)


def test_so_many_run_and_so_many_wait(open_desk):
    """The next one is refused; who waits can cancel, and so can who runs."""
    tickets = [open_desk.start(Job.of(LONG | {"seed": i})) for i in range(MAX_RUNS + MAX_WAITING)]
    assert open_desk.start(Job.of(LONG | {"seed": 99})).state is State.BUSY
    for ticket in tickets:
        ticket.cancel()
    assert all(ticket.wait(PATIENCE_S) for ticket in tickets)
    assert {ticket.state for ticket in tickets} == {State.CANCELLED}
    after = open_desk.start(Job.of(SMALL))
    assert after.wait(PATIENCE_S)
    assert after.state is State.DONE


def test_a_job_that_takes_too_long_ends(open_desk, monkeypatch):
    """As the page says."""
    monkeypatch.setattr(desk, "MAX_RUN_S", 1)
    ticket = open_desk.start(Job.of(LONG))
    assert ticket.wait(PATIENCE_S)
    assert ticket.state is State.TOO_LONG


def test_compiling_is_no_part_of_a_jobs_time(open_desk, monkeypatch):
    """
    On a slow machine the first job waits for the compiler, and still has its time.
    """
    monkeypatch.setattr(desk, "MAX_RUN_S", 5)
    ticket = open_desk.start(Job.of(SMALL))
    assert ticket.wait(PATIENCE_S)
    assert ticket.state is State.DONE


def test_a_worker_that_never_gets_ready_ends(open_desk, monkeypatch):
    """
    Nobody waits for ever for a worker that does not begin.
    """
    monkeypatch.setattr(desk, "MAX_READY_S", 0.01)
    ticket = open_desk.start(Job.of(SMALL))
    assert ticket.wait(PATIENCE_S)
    assert ticket.state is State.TOO_LONG


def test_inputs_survive_a_link():
    """A job's inputs, written and read, are the job."""
    job = Job.of(SMALL | {"slo_ttft_s": 0.25, "rate_per_s": None, "gpu": "L4"})
    assert Job.of(job.values) == job
    assert not job.has_files
