"""Start-up logs: what the text says is read, and nothing else, however it was posted."""

import contextlib
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from tests.io.log_samples import SAMPLES, broken_logs

NAMES = sorted(SAMPLES)
POSTED = Path(__file__).parents[3] / "shared/data/logs"
FUZZED = settings(max_examples=150, deadline=None)


def said(log):
    return {
        "settings": dict(log.settings),
        "engine_config_differs": dict(log.engine_config_differs),
        "measured": dict(log.measured),
    }


def is_sound(log):
    """Plain finite values, each with the line it was read on, and a bounded rest."""
    told = log.as_dict()
    named = {*log.settings, *log.engine_config_differs, *log.measured}
    return (
        json.loads(json.dumps(told, allow_nan=False)) is not None
        and named <= set(log.lines)
        and all(line >= 1 for line in log.lines.values())
        and len(log.not_understood) <= 50
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_a_log_says_is_read_and_nothing_else(name):
    """
    Every setting and figure with its value; no key that the text does not have.
    """
    engine, version, outcome, text, says = SAMPLES[name]
    log = kvsim.read_engine_log(text)

    assert (log.engine, log.version, log.outcome) == (engine, version, outcome)
    assert said(log) == says


def coloured(text):
    return "\n".join(f"\x1b[1;36m{line[:20]}\x1b[0;0m{line[20:]}" for line in text.split("\n"))


def in_json(text):
    lines = (json.dumps({"log": line + "\n", "stream": "stderr"}) for line in text.split("\n"))
    return "\n".join(lines)


def in_a_cluster(text):
    stamp = "2026-01-01T00:00:00.123456789Z stderr F "
    return "\n".join(stamp + line for line in text.split("\n"))


def with_bars(text):
    bar = "Loading shards:  50% 1/2 [00:01<00:01]\rLoading shards: 100% 2/2 [00:02<00:00]\r"
    return "\n".join(bar + line for line in text.split("\n"))


DECORATIONS = {
    "coloured": coloured,
    "json": in_json,
    "cluster": in_a_cluster,
    "compose": lambda text: "\n".join("server-1  | " + line for line in text.split("\n")),
    "bars": with_bars,
    "crlf": lambda text: text.replace("\n", "\r\n"),
    "twice": lambda text: "\n".join(f"{line}\n{line}" for line in text.split("\n")),
}


@pytest.mark.parametrize("decoration", sorted(set(DECORATIONS) - {"twice"}))
@pytest.mark.parametrize("name", NAMES)
def test_how_a_log_was_collected_does_not_matter(name, decoration):
    """
    Colours, collectors, prefixes, progress bars and line ends are no part of what is said.
    """
    *_, text, says = SAMPLES[name]

    assert said(kvsim.read_engine_log(DECORATIONS[decoration](text))) == says


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_in_any_encoding(name, encoding, tmp_path):
    """
    PowerShell writes UTF-16, with a mark or without.
    """
    *_, text, says = SAMPLES[name]
    path = tmp_path / "log.txt"
    path.write_bytes(text.encode(encoding))

    assert said(kvsim.read_engine_log(path)) == says
    assert said(kvsim.read_engine_log(path.read_bytes())) == says


def test_of_several_starts_the_last_is_read():
    """
    A first try that was refused does not mix with the one that started.
    """
    text = SAMPLES["vllm-v1"][3]
    first = text.replace("4096", "9999").replace("0.8,", "0.7,")
    log = kvsim.read_engine_log(first + text)

    assert log.num_starts == 2
    assert said(log) == SAMPLES["vllm-v1"][4]


def test_a_message_broken_over_lines_is_read():
    """
    A terminal or a poster breaks long lines between letters, a chat between words.
    """
    _, _, _, text, says = SAMPLES["vllm-refusal"]
    for width in (70, 97, 110):
        hard = "\n".join(text.strip()[i : i + width] for i in range(0, len(text), width))
        assert said(kvsim.read_engine_log(hard)) == says, width
    words, lines = text.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 90:
            lines.append("")
        lines[-1] += f"{word} "
    assert said(kvsim.read_engine_log("\n".join(lines))) == says


def test_a_number_that_is_cut_is_not_read():
    """
    Half of 279,408 is no figure; the line says tokens behind it.
    """
    text = SAMPLES["vllm-v1"][3]
    cut = text[: text.index("279,408") + 4]

    assert "kv_tokens" not in kvsim.read_engine_log(cut).measured


def test_settings_that_are_cut_are_those_before_the_cut():
    """
    The value at the cut may be half of one.
    """
    text = SAMPLES["vllm-v1"][3]
    log = kvsim.read_engine_log(text[: text.index("0.8, 'dtype'") + 2])

    assert log.settings == {"max_model_len": 4096}


OUT_OF_MEMORY = """\
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB. GPU 0 has a total capacity \
of 23.57 GiB of which 154.25 MiB is free. Including non-PyTorch memory, this process has 23.40 GiB \
memory in use. Of the allocated memory 22.88 GiB is allocated by PyTorch, and 188.29 MiB is reserved
"""


def test_an_out_of_memory_error_says_when_it_came():
    """
    Before the server was ready it is one of the start, after that of the run.
    """
    text = SAMPLES["vllm-v1"][3]
    at_start = kvsim.read_engine_log(
        text.replace("Application startup complete", "") + OUT_OF_MEMORY
    )
    at_run = kvsim.read_engine_log(text + OUT_OF_MEMORY)

    assert (at_start.outcome, at_run.outcome) == ("oom_start", "oom_run")
    assert at_run.measured["oom_tried"] == "1.16 GiB"
    assert at_run.measured["allocated_by_pytorch_gib"] == 22.88


def test_what_no_rule_reads_is_listed():
    """
    A line of a version that nobody has seen is shown, not dropped.
    """
    line = "INFO 03-01 [new.py:1] Frobnication pool takes 3.25 GiB of KV cache"
    log = kvsim.read_engine_log(SAMPLES["vllm-v1"][3] + line)

    assert log.not_understood == (line,)


@pytest.mark.parametrize("text", ["\n", "hello\nworld\n", "a recipe\nfor 12 GiB of soup\n"])
def test_a_text_that_is_no_log_is_refused(text):
    """
    Nothing is guessed from a text without an engine.
    """
    with pytest.raises(kvsim.KvsimError):
        kvsim.read_engine_log(text)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    """
    The error names the file.
    """
    with pytest.raises(kvsim.FileError, match=r"none\.log"):
        kvsim.read_engine_log(tmp_path / "none.log")
    with pytest.raises(kvsim.FileError):
        kvsim.read_engine_log(tmp_path)


@FUZZED
@given(broken_logs(), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_a_broken_log_is_read_or_refused(text, encoding):
    """
    Whatever is left of a log gives a result or an error of ours.
    """
    for source in (text.encode(encoding, "replace"), text + "\n"):
        try:
            log = kvsim.read_engine_log(source)
        except kvsim.KvsimError:
            continue
        assert is_sound(log)


@FUZZED
@given(st.binary(max_size=2000))
def test_any_bytes_are_read_or_refused(content):
    """
    A log may be anything.
    """
    try:
        log = kvsim.read_engine_log(content)
    except kvsim.KvsimError:
        return
    assert is_sound(log)


@pytest.mark.parametrize(
    "line",
    [
        "(EngineCore pid=1) " + "(" * 100_000,
        "non-default args: {" + "'a': [" * 50_000,
        "server_args=ServerArgs(" + "x='" * 50_000,
        "LLM engine (v0.9.2) with config: " + "a=1 b=2 " * 30_000,
        "max seq len (" * 20_000,
        "Load weight end. " + "avail mem=" * 20_000,
        "print_info: n_head_kv = [" + "8, " * 60_000,
        "vllm serve " + "'" * 19_000,
        "KV self size = " + "1," * 50_000,
        '{"log": "' + "{" * 100_000 + '"}',
    ],
)
def test_no_line_takes_long(line):
    """
    No pattern backtracks over a line that was made to be slow.
    """
    started = time.process_time()
    with contextlib.suppress(kvsim.KvsimError):
        kvsim.read_engine_log("(EngineCore pid=1) INFO\n" + line + "\n" + line)
    assert time.process_time() - started < 3


@pytest.mark.skipif(not POSTED.is_dir(), reason="the posted logs are other people's")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_posted_log_that_is_cut_and_shuffled_is_read_or_refused(data):
    """
    What people posted, broken further.
    """
    path = data.draw(st.sampled_from(sorted(POSTED.glob("*.txt"))))
    content = path.read_bytes()[:60_000]
    start = data.draw(st.integers(0, len(content) - 1))
    lines = content[start:].split(b"\n")
    if data.draw(st.booleans()):
        data.draw(st.randoms(use_true_random=False)).shuffle(lines)
    try:
        log = kvsim.read_engine_log(b"\n".join(lines)[: data.draw(st.integers(1, 60_000))])
    except kvsim.KvsimError:
        return
    assert is_sound(log)
