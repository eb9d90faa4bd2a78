"""What visitors send: bounded, read from text alone."""

from dataclasses import replace

import pytest

import kvsim
from app import scenario
from app.traffic import MAX_REQUESTS, TRACE, Traffic

GENERATED = Traffic(trace=None, **{field.name: field.default for field in scenario.TRAFFIC})
HEADER = "arrival_s,num_prompt_tokens,num_output_tokens\n"


def trace(text):
    return replace(GENERATED, workload=TRACE, trace=text)


def test_a_trace_is_read():
    """Own format, a request per line."""
    workload = trace(f"{HEADER}0,100,10\n1.5,200,20\n").requests()
    assert [r.num_prompt_tokens for r in workload] == [100, 200]
    assert workload.requests[1].arrival_s == 1.5


def test_a_long_trace_is_cut_and_says_so():
    """The limit of the page, in the result too."""
    workload = trace(HEADER + "0,100,10\n" * (MAX_REQUESTS + 5)).requests()
    assert len(workload) == MAX_REQUESTS
    assert "first 1,000 requests" in workload.source


BAD_TRACES = {
    "no columns": "a,b\n1,2\n",
    "no requests": HEADER,
    "no number": f"{HEADER}0,many,10\n",
    "out of order": f"{HEADER}5,100,10\n1,100,10\n",
    "an archive": "\x1f\ufffd\x08binary",
    "too many tokens": f"{HEADER}0,100,99999999\n",
    "many answers": "arrival_s,num_prompt_tokens,num_output_tokens,num_samples\n0,9000,900,999\n",
}


@pytest.mark.parametrize("case", BAD_TRACES)
def test_a_bad_trace_is_refused(case):
    """One line that says why; no path of this machine in it."""
    with pytest.raises(kvsim.KvsimError) as caught:
        trace(BAD_TRACES[case]).requests()
    assert "/" not in str(caught.value)


def test_one_seed_is_one_workload():
    """A link gives a colleague the same requests."""
    again = replace(GENERATED)
    assert again.requests() == GENERATED.requests()
    assert replace(GENERATED, seed=1).requests() != GENERATED.requests()
