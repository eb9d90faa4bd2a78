"""What visitors send: bounded, read from text alone."""

import gzip
import json
from dataclasses import replace

import pytest

import kvsim
from app.traffic import MAX_REQUESTS, TRACE, Upload
from tests.app.asked import GENERATED, traffic

HEADER = "arrival_s,num_prompt_tokens,num_output_tokens\n"


def trace(text, name="x.csv", **changes):
    content = text if isinstance(text, bytes) else text.encode()
    return traffic(workload=TRACE, trace=Upload.of(name, content), **changes)


def test_a_trace_is_read():
    """Own format, a request per line."""
    workload = trace(f"{HEADER}0,100,10\n1.5,200,20\n").requests(seed=0)
    assert [r.num_prompt_tokens for r in workload] == [100, 200]
    assert workload.requests[1].arrival_s == 1.5


def test_a_long_trace_is_cut_and_says_so():
    """The limit of the page, in the result too."""
    text = HEADER + "0,100,10\n" * (MAX_REQUESTS + 5)
    workload = trace(text, num_requests=MAX_REQUESTS).requests(seed=0)
    assert len(workload) == MAX_REQUESTS
    assert "first 2,000 requests" in workload.source


BAD_TRACES = {
    "no columns": "a,b\n1,2\n",
    "no requests": HEADER,
    "no number": f"{HEADER}0,many,10\n",
    "out of order": f"{HEADER}5,100,10\n1,100,10\n",
    "an archive": b"\x1f\x8b\x08binary",
    "no text": b"\xff\xfe\x00a",
    "too many tokens": f"{HEADER}0,100,99999999\n",
    "many answers": "arrival_s,num_prompt_tokens,num_output_tokens,num_samples\n0,9000,900,9999\n",
}


@pytest.mark.parametrize("case", BAD_TRACES)
def test_a_bad_trace_is_refused(case):
    """One line that says why; no path of this machine in it."""
    with pytest.raises(kvsim.KvsimError) as caught:
        trace(BAD_TRACES[case]).requests(seed=0)
    assert "/" not in str(caught.value)


def test_one_seed_is_one_workload():
    """A link gives a colleague the same requests."""
    again = replace(GENERATED)
    assert again.requests(seed=0) == GENERATED.requests(seed=0)
    assert GENERATED.requests(seed=1) != GENERATED.requests(seed=0)


AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00,100,10\n"
HASHED = {"timestamp": 0, "input_length": 9, "output_length": 3, "hash_ids": [1]}
FORMATS = {
    "x.csv": AZURE,
    "y.jsonl": json.dumps(HASHED),
    "z.ndjson": json.dumps({"prompt_tokens": 9, "output_tokens": 3}),
    "Timestamp.CSV": "Timestamp,Request tokens,Response tokens\n0,9,3\n",
    "bailian.json": json.dumps(HASHED | {"chat_id": 1}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_the_library_is_read(name):
    """By its columns; of the name only the ending counts."""
    assert len(trace(FORMATS[name], name=name).requests(seed=0)) == 1


def test_a_gzipped_and_a_parquet_trace_are_read(tmp_path):
    """Such as people have them."""
    gzipped = trace(gzip.compress(AZURE.encode()), name="../../etc/x.csv.gz")
    assert len(gzipped.requests(seed=0)) == 1
    path = tmp_path / "x.parquet"
    kvsim.write_trace(GENERATED.requests(seed=0), path)
    read = trace(path.read_bytes(), name="x.parquet").requests(seed=0)
    assert read.requests == GENERATED.requests(seed=0).requests


@pytest.mark.parametrize("name", ["../../x.csv", "x", "", "C:\\x.exe", "a/b.json/.."])
def test_nothing_of_a_name_is_kept_but_a_known_ending(name):
    """A name is what a visitor says it is."""
    assert Upload.of(name, b"").ending == ".csv"


def test_a_named_workload_comes_as_asked():
    """Another rate, another process."""
    chat = traffic(workload="chat", num_requests=50)
    assert chat.requests(seed=0) == kvsim.generate_workload("chat", num_requests=50)
    slow = traffic(workload="chat", num_requests=50, pace_per_s=0.1).requests(seed=0)
    assert slow.requests[-1].arrival_s > chat.requests(seed=0).requests[-1].arrival_s
    at_once = traffic(workload="offline-batch", arrivals="at-once").requests(seed=0)
    assert {request.arrival_s for request in at_once} == {0.0}


def test_a_trace_can_be_stretched():
    """The same requests at another rate; and one run says all."""
    asked = trace(f"{HEADER}0,100,10\n1,200,20\n", pace_per_s=0.5)
    assert asked.requests(seed=0).requests[1].arrival_s == 2.0
    assert list(asked.all_seeds) == [0]
