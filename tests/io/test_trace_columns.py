"""Traces read as columns: the same arrays as the reader of rows makes, or left to it."""

import gzip
import json
import tracemalloc

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.io.limits import MAX_TRACE_LINE
from kvsim.io.trace_columns import trace_columns
from kvsim.io.trace_frames import IrregularTrace
from kvsim.sim.request_arrays import as_arrays
from tests.io import test_trace_formats as texts

COLUMNS = [
    *("arrival_s", "num_prompt_tokens", "num_output_tokens", "first_segment", "segment_id"),
    *("segment_tokens", "output_segment", "place", "sample"),
]
NAMED = (
    "arrival_s,num_prompt_tokens,num_output_tokens,prompt,output_segment\n"
    "0.25,12,4,7:5 9:7,\n1e1,5,1,,77\n10,9,2,7:9,\n"
)
PLAIN = {
    "azure.csv": texts.AZURE_2023,
    "azure2024.csv": texts.AZURE_2024,
    "burst.csv": texts.BURSTGPT,
    "share.csv": texts.SHAREGPT,
    "timed.csv": "arrival_s,prompt_tokens,output_tokens\n0.1,374,44\n0.30000000000000004,396,109\n",
    "own.csv": texts.OWN,
    "named.csv": NAMED,
    "moon.jsonl": texts.lines(texts.MOONCAKE),
    "qwen.jsonl": texts.lines(texts.BAILIAN),
}


def assert_same(path):
    """Columns and rows agree to the last bit; the columns."""
    read = kvsim.read_requests(path)
    rows = as_arrays(kvsim.read_trace(path))
    assert isinstance(read, kvsim.RequestArrays)
    assert read.source == rows.source
    for name in COLUMNS:
        assert np.array_equal(getattr(read, name), getattr(rows, name)), name
        assert getattr(read, name).dtype == getattr(rows, name).dtype, name
    return read


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_each_format_gives_the_arrays_of_its_rows(name, zipped, ending, tmp_path):
    """Times, lengths, segments and names, to the last bit."""
    path = tmp_path / (name + ".gz" * zipped)
    text = PLAIN[name].replace("\n", ending).encode()
    path.write_bytes(gzip.compress(text) if zipped else text)

    assert_same(path)


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet", ".csv.gz"])
def test_own_files_are_read_as_written(ending, tmp_path):
    """Every ending that `write_trace` knows."""
    path = tmp_path / f"own{ending}"
    requests = [
        kvsim.Request(arrival_s=i / 7, num_prompt_tokens=3 + i, num_output_tokens=1 + i)
        for i in range(20)
    ]
    shared = kvsim.Request(
        arrival_s=5,
        num_prompt_tokens=9,
        num_output_tokens=2,
        prompt=(kvsim.PromptSegment(3, 4), kvsim.PromptSegment(10, 5)),
        output_segment=44,
    )
    kvsim.write_trace([*requests, shared], path)

    assert len(assert_same(path)) == 21


@pytest.mark.parametrize("name", PLAIN)
def test_blocks_of_lines_are_joined(name, tmp_path):
    """A file in many small blocks gives what it gives in one."""
    path = tmp_path / name
    path.write_text(PLAIN[name])
    whole = next(iter(trace_columns(path)))

    parts = list(trace_columns(path, block_bytes=200))

    for column in ("arrival_s", "num_prompt_tokens", "segment_id", "output_segment"):
        joined = np.concatenate([getattr(part, column) for part in parts])
        assert np.array_equal(joined, getattr(whole, column))


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.integers(1, 2**24), st.integers(1, 2**24)), min_size=1)
)
@settings(max_examples=30)
def test_numbers_are_read_to_the_last_bit(tmp_path_factory, rows):
    """Any time that a float can be, as CSV and as JSON."""
    rows = sorted(rows)
    folder = tmp_path_factory.mktemp("bits")
    names = ("arrival_s", "num_prompt_tokens", "num_output_tokens")
    csv = [",".join(names), *(",".join(map(repr, row)) for row in rows)]
    (folder / "own.csv").write_text("\n".join(csv))
    (folder / "own.jsonl").write_text(
        texts.lines(dict(zip(names, row, strict=True)) for row in rows)
    )

    assert_same(folder / "own.csv")
    assert_same(folder / "own.jsonl")


ODD = {
    "quoted.csv": texts.OWN + '"5",7,1\n',
    "ragged.csv": texts.OWN + "5,7\n6,7,1,2\n",
    "text.csv": texts.OWN + "5,x,1\n",
    "float.csv": texts.OWN + "5,7.0,1\n",
    "spaced.csv": texts.OWN + "5, 7,1\n",
    "early.csv": texts.OWN + "1,7,1\n",
    "negative.csv": texts.OWN.replace("\n0,", "\n-1,"),
    "zero.csv": texts.OWN + "5,7,0\n",
    "huge.csv": texts.OWN + "5,16777217,1\n",
    "endless.csv": texts.OWN + "inf,7,1\n",
    "blank.csv": texts.OWN + "\n5,7,1\n",
    "return.csv": texts.OWN + "5,7,1\r6,7,1\n",
    "twice.csv": "arrival_s,arrival_s,num_prompt_tokens,num_output_tokens\n0,1,2,3\n",
    "empty.csv": "",
    "header.csv": "arrival_s,num_prompt_tokens,num_output_tokens\n",
    "unknown.csv": "a,b\n1,2\n",
    "waits.csv": "arrival_s,num_prompt_tokens,num_output_tokens,after\n0,5,1,\n1,5,1,0\n",
    "samples.csv": "arrival_s,num_prompt_tokens,num_output_tokens,num_samples\n0,5,1,2\n",
    "urgent.csv": "arrival_s,num_prompt_tokens,num_output_tokens,priority\n0,5,1,-1\n",
    "sum.csv": NAMED + "11,9,1,7:8,\n",
    "pair.csv": NAMED + "11,9,1,7:8:1,\n",
    "private.csv": NAMED + "11,9,1,1000000000001:9,\n",
    "talk.csv": "conversation,prompt_tokens,output_tokens\na,10,5\na,18,4\n",
    "leap.csv": texts.AZURE_2023 + "2023-11-16 18:15:60.0,3,4\n",
    "noday.csv": texts.AZURE_2023 + "2023-11-31 18:15:59.0,3,4\n",
    "zone.csv": texts.AZURE_2023 + "2023-11-17 18:15:59.0+00:00,3,4\n",
    "offset.csv": texts.AZURE_2024.replace("+00:00", "+01:00"),
    "failed.csv": texts.BURSTGPT + "5,,2,GPT-4,3,0,3,API log\n",
    "list.jsonl": texts.lines(texts.MOONCAKE) + "[1]\n",
    "true.jsonl": texts.lines([texts.MOONCAKE[0] | {"output_length": True}]),
    "missing.jsonl": texts.lines([*texts.MOONCAKE, {"timestamp": 1e6}]),
    "few.jsonl": texts.lines([texts.MOONCAKE[0] | {"hash_ids": [1]}]),
    "null.jsonl": texts.lines([texts.MOONCAKE[0] | {"hash_ids": [1, None]}]),
    "large.jsonl": texts.lines([texts.MOONCAKE[0] | {"hash_ids": [1, 10**12]}]),
    "beyond.jsonl": texts.lines([texts.MOONCAKE[0] | {"hash_ids": [1, 10**30]}]),
    "double.jsonl": '{"arrival_s": 0, "arrival_s": 1, "num_prompt_tokens": 2, '
    '"num_output_tokens": 3}\n',
    "deep.jsonl": '{"arrival_s": 0, "x": ' + "[" * 5000 + "]" * 5000 + "}\n",
    "escaped.jsonl": '{"\\u0061rrival_s": 0, "num_prompt_tokens": 2, "num_output_tokens": 3}\n',
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_left_to_the_reader_of_rows(name, tmp_path):
    """Which reads it, or says in which line it is wrong."""
    path = tmp_path / name
    path.write_bytes(ODD[name].encode())
    with pytest.raises((IrregularTrace, StopIteration)):
        raise StopIteration if not list(trace_columns(path)) else AssertionError

    assert told(kvsim.read_requests, path) == told(kvsim.read_trace, path)


def told(read, path):
    """The requests, or the error in its words."""
    try:
        return read(path)
    except kvsim.KvsimError as error:
        return type(error), str(error)


@pytest.mark.parametrize("content", [b"\x1f\x8bno gzip", b"\xff\xfe\n", b"arrival_s\xff,\n1,2\n"])
def test_bytes_that_are_no_text_are_told_as_ever(content, tmp_path):
    """By the reader of rows."""
    path = tmp_path / "t.csv"
    path.write_bytes(content)

    assert told(kvsim.read_requests, path) == told(kvsim.read_trace, path)


def test_a_parquet_file_of_another_kind_is_told_as_ever(tmp_path):
    """Not only endings decide."""
    path = tmp_path / "t.parquet"
    path.write_bytes(b"no parquet")
    assert told(kvsim.read_requests, path) == told(kvsim.read_trace, path)
    pl.DataFrame(
        {"arrival_s": [True], "num_prompt_tokens": [3], "num_output_tokens": [1.0]}
    ).write_parquet(path)
    assert told(kvsim.read_requests, path) == told(kvsim.read_trace, path)


def test_bad_lines_are_left_out_where_asked(tmp_path):
    """And counted in the source."""
    path = tmp_path / "t.csv"
    path.write_text(texts.OWN + "5,x,1\n6,7,1\n")

    read = kvsim.read_requests(path, skip_bad=True)

    assert len(read) == 3
    assert "1 bad lines left out" in read.source


def test_another_rate_is_that_of_request_objects(tmp_path):
    """To the last bit."""
    path = tmp_path / "t.csv"
    path.write_text(texts.OWN + json.dumps(9.7) + ",7,1\n")
    rows = as_arrays(kvsim.read_trace(path).at_rate(3.0))

    assert np.array_equal(kvsim.read_requests(path).at_rate(3.0).arrival_s, rows.arrival_s)


@pytest.mark.parametrize("name", ["one.jsonl.gz", "one.csv.gz"])
@pytest.mark.parametrize("read", [kvsim.read_trace, kvsim.read_requests])
def test_a_line_without_end_is_refused_before_it_fills_memory(name, read, tmp_path):
    """
    A small file that unpacks to one line of 256 MiB: the error names the file and the line.
    """
    path = tmp_path / name
    first = texts.OWN.encode() if ".csv" in name else texts.lines(texts.MOONCAKE).encode()
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(first.rstrip(b"\n") + b"\n")
        for _ in range(256):
            file.write(b"1" * 2**20)
    line = first.rstrip(b"\n").count(b"\n") + 2

    tracemalloc.start()
    try:
        with pytest.raises(kvsim.FileError, match=rf"{name}, line {line}: longer than 33,554,432"):
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 160 * 2**20
    finally:
        tracemalloc.stop()


def test_columns_leave_a_line_past_the_limit_to_the_reader_of_rows(tmp_path):
    """
    A line that two blocks hold together is as long as one that a single block holds.
    """
    path = tmp_path / "two.jsonl"
    row = json.dumps({"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]})
    long = row[:-1] + ', "note": "' + "a" * (MAX_TRACE_LINE - 10) + '"}'
    path.write_text(row + "\n" + long + "\n" + row + "\n")

    with pytest.raises(kvsim.FileError, match=r"two.jsonl, line 2: longer than 33,554,432"):
        kvsim.read_requests(path)
