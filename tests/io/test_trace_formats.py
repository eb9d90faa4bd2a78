"""Trace files: every format, plain and zipped, and what is wrong with a line."""

import gzip
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvsim.errors import FileError, KvsimError
from kvsim.io.trace_rows import FIRST_HASH_SEGMENT
from kvsim.io.traces import TraceReader, read_trace, write_trace
from kvsim.specs.workload import PromptSegment, Request, Workload

AZURE_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,374,44
2024-05-10 00:00:04.324509+00:00,396,109
"""
BURSTGPT = """\
Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
0,,2.5,ChatGPT,374,44,418,API log
4.314579,,3.5,GPT-4,396,109,505,Conversation log
"""
SHAREGPT = "prompt_tokens,output_tokens\n374,44\n396,109\n"
OWN = "arrival_s,num_prompt_tokens,num_output_tokens\n0,374,44\n4.314579,396,109\n"
MOONCAKE = [
    {"timestamp": 0, "input_length": 600, "output_length": 44, "hash_ids": [0, 1]},
    {"timestamp": 3000, "input_length": 1024, "output_length": 9, "hash_ids": [0, 2]},
]
BAILIAN = [
    {
        "chat_id": i,
        "parent_chat_id": -1,
        "timestamp": 61.5 * i,
        "input_length": 20,
        "output_length": 44,
        "type": "text",
        "turn": 1,
        "hash_ids": [7, 8],
    }
    for i in range(2)
]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def sizes(workload):
    return [(round(r.arrival_s, 3), r.num_prompt_tokens, r.num_output_tokens) for r in workload]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("azure.csv", AZURE_2023, [(0.0, 374, 44), (4.315, 396, 109)]),
        ("azure.csv", AZURE_2024, [(0.0, 374, 44), (4.315, 396, 109)]),
        ("burst.csv", BURSTGPT, [(0.0, 374, 44), (4.315, 396, 109)]),
        ("share.csv", SHAREGPT, [(0.0, 374, 44), (0.0, 396, 109)]),
        ("own.csv", OWN, [(0.0, 374, 44), (4.315, 396, 109)]),
        ("moon.jsonl", lines(MOONCAKE), [(0.0, 600, 44), (3.0, 1024, 9)]),
        ("qwen.jsonl", lines(BAILIAN), [(0.0, 20, 44), (61.5, 20, 44)]),
    ],
)
def test_each_format_reads_to_times_and_lengths(name, text, expected, zipped, tmp_path):
    """
    Times are seconds from the start whatever the trace's clock counts.
    """
    path = tmp_path / (name + ".gz" * zipped)
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())

    assert sizes(read_trace(path)) == expected


def test_hash_ids_become_shared_segments(tmp_path):
    """
    Equal ids are equal blocks; the last one may be partial.
    """
    path = tmp_path / "moon.jsonl"
    path.write_text(lines(MOONCAKE))

    first, second = read_trace(path)

    assert first.prompt == (
        PromptSegment(FIRST_HASH_SEGMENT, 512),
        PromptSegment(FIRST_HASH_SEGMENT + 1, 88),
    )
    assert second.prompt[0] == first.prompt[0]
    assert second.prompt[1].segment_id == FIRST_HASH_SEGMENT + 2


def test_a_conversation_repeats_what_was_said(tmp_path):
    """
    A later turn's prompt is the earlier prompt, the answer, and what is new.
    """
    path = tmp_path / "share.csv"
    path.write_text("conversation,prompt_tokens,output_tokens\na,10,5\nb,7,3\na,18,4\na,6,1\n")

    first, _, second, anew = read_trace(path)

    said = (*first.prompt, PromptSegment(first.output_segment, 5))
    assert second.prompt[:2] == said
    assert [s.num_tokens for s in second.prompt] == [10, 5, 3]
    assert len(anew.prompt) == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", OWN + "5,x,3\n", "t.csv, line 4: num_prompt_tokens='x' must be a whole number"),
        ("t.csv", OWN + "5,7\n", "t.csv, line 4: the number of columns must be 3"),
        ("t.csv", OWN + "5,7,0\n", "t.csv, line 4: num_output_tokens=0 must be"),
        ("t.csv", OWN + "nan,7,1\n", "t.csv, line 4: arrival_s=nan must be >= 0"),
        (
            "t.csv",
            OWN + "1,7,1\n",
            "t.csv, line 4: arrival_s=1 must be >= 4.31458, the line before",
        ),
        ("t.csv", AZURE_2023 + "yesterday,7,1\n", "t.csv, line 4: TIMESTAMP='yesterday' must be"),
        ("t.csv", AZURE_2024 + "2024-05-11 00:00:00,7,1\n", "line 4: TIMESTAMP=.* time zone"),
        ("t.csv", BURSTGPT + "9,,1,GPT-4,3,0,3,API log\n", "line 4: Response tokens=0 is a failed"),
        ("t.csv", f"{OWN.splitlines()[0]},priority\n0,7,1,x\n", "line 2: priority='x' must be"),
        ("t.jsonl", lines(MOONCAKE) + "{\n", "t.jsonl, line 3: no JSON"),
        ("t.jsonl", lines(MOONCAKE) + "[]\n", "t.jsonl, line 3: must be a JSON object"),
        ("t.jsonl", lines([MOONCAKE[0] | {"hash_ids": [1]}]), "line 1: hash_ids: 1 ids must be"),
        ("t.jsonl", lines([MOONCAKE[0] | {"hash_ids": [1, -2]}]), "line 1: hash_ids: '-2' must"),
        ("t.jsonl", lines(MOONCAKE) + '{"timestamp": 9}\n', "line 3: input_length='None'"),
        ("t.csv", "", "t.csv: the trace holds no request"),
        ("t.csv", OWN[: OWN.index("\n") + 1], "t.csv: the trace holds no request"),
        ("t.csv", "when,how_long\n1,2\n", "t.csv: columns how_long, when are of no known trace"),
        ("t.csv", "\x00\xff", "t.csv: the trace holds no request"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(name, text, message, tmp_path):
    """
    Who has to mend a file of a million lines needs the number of the line.
    """
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(KvsimError, match=message):
        read_trace(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.gz", gzip.compress(OWN.encode(), mtime=0)[:-9]),
        ("t.csv", b"arrival_s\xff\xfe\n"),
        ("t.parquet", b"PAR1 not really"),
    ],
)
def test_a_broken_file_is_refused(name, content, tmp_path):
    """
    A cut download, another encoding, a wrong ending: one line, no traceback.
    """
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(FileError, match=name):
        read_trace(path)


def test_a_missing_file_is_refused(tmp_path):
    """
    The path is named.
    """
    with pytest.raises(FileError, match=r"none\.csv: No such file"):
        read_trace(tmp_path / "none.csv")


def test_bad_lines_are_counted_on_request(tmp_path):
    """
    Left out, counted, the first of them kept; good lines all stay.
    """
    path = tmp_path / "t.csv"
    path.write_text(OWN + "".join(f"{i},x,1\n" for i in range(9)) + "9,7,1\n")
    reader = TraceReader(path=path, skip_bad=True)

    assert len(list(reader.requests())) == 3
    assert reader.num_bad == 9
    assert [bad.line for bad in reader.bad_lines] == [4, 5, 6, 7, 8]
    assert read_trace(path, skip_bad=True).source.endswith("9 bad lines left out")


def test_a_trace_is_a_stream(tmp_path):
    """
    The first requests come before a later line is looked at, so size does not matter.
    """
    path = tmp_path / "t.csv"
    path.write_text(OWN + "never read\n")

    assert len(read_trace(path, limit=2)) == 2


REQUESTS = st.lists(
    st.builds(
        lambda gap, segments, out, named, priority, samples: (
            gap,
            Request(
                num_prompt_tokens=sum(s.num_tokens for s in segments),
                num_output_tokens=out,
                prompt=tuple(segments),
                output_segment=named,
                priority=priority,
                num_samples=samples,
            ),
        ),
        st.floats(0, 1e6),
        st.lists(
            st.builds(PromptSegment, st.integers(0, 10**12), st.integers(1, 10**6)),
            min_size=1,
            max_size=4,
        ),
        st.integers(1, 10**6),
        st.none() | st.integers(0, 10**12),
        st.integers(-3, 3),
        st.integers(1, 8),
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, max_examples=40)
@given(given_requests=REQUESTS, ending=st.sampled_from([".csv", ".jsonl", ".jsonl.gz", ".parquet"]))
def test_what_is_written_reads_back(given_requests, ending, tmp_path_factory):
    """
    Times to the last bit, segments, priorities and samples.
    """
    from dataclasses import replace  # noqa: PLC0415

    now, requests = 0.0, []
    for gap, request in given_requests:
        now += gap
        requests.append(replace(request, arrival_s=now))
    path = tmp_path_factory.mktemp("own") / f"own{ending}"

    write_trace(requests, path)

    assert read_trace(path) == Workload(requests=tuple(requests), name=path.name)


def test_a_large_parquet_file_reads_in_parts(tmp_path):
    """
    Rows past the first part keep their order.
    """
    path = tmp_path / "big.parquet"
    n = 70_000
    columns = {"arrival_s": range(n), "num_prompt_tokens": range(1, n + 1)}
    pl.DataFrame(columns | {"num_output_tokens": [1] * n}).write_parquet(path)

    workload = read_trace(path)

    assert [r.num_prompt_tokens for r in workload] == list(range(1, n + 1))


def test_another_ending_is_refused(tmp_path):
    """
    What to write is told by the name.
    """
    with pytest.raises(FileError, match="must end with"):
        write_trace([], tmp_path / "t.txt")
