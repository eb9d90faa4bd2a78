"""Files that have no end, are too large, too deep, or are not what their name says."""

from pathlib import Path

import pytest

import kvsim
from kvsim.io.bounded import read_json, read_text, read_toml

READERS = {
    "calibration": kvsim.read_calibration,
    "step table": kvsim.read_step_table,
    "bench": kvsim.read_bench,
    "sweep": kvsim.read_sweep,
    "prices": kvsim.read_prices,
}


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="a system without /dev/zero")
@pytest.mark.parametrize("name", READERS)
def test_a_device_without_an_end_is_refused(name):
    """
    Its size is 0, and reading it never stops.
    """
    with pytest.raises(kvsim.FileError, match="not a regular file"):
        READERS[name]("/dev/zero")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"[" * 100_000, b"a = " + b"[" * 100_000, b"\xff\xfe\x00"])
def test_deep_nesting_and_other_encodings_are_refused(name, content, tmp_path):
    """
    A parser's recursion limit is no crash of ours.
    """
    path = tmp_path / "input"
    path.write_bytes(content)

    with pytest.raises(kvsim.KvsimError):
        READERS[name](path)


@pytest.mark.parametrize("read", [read_text, read_json, read_toml])
def test_a_file_past_its_limit_is_refused(read, tmp_path):
    """
    At the limit it is read, one byte past it is not.
    """
    path = tmp_path / "input"
    path.write_text("[]" if read is read_json else "a=1")
    size = path.stat().st_size

    assert read(path, most_bytes=size, what="list") is not None
    with pytest.raises(kvsim.FileError, match="larger than"):
        read(path, most_bytes=size - 1, what="list")


def test_a_file_that_is_not_there_is_named():
    """
    With the system's reason.
    """
    with pytest.raises(kvsim.FileError, match=r"nowhere\.toml: No such file"):
        kvsim.read_sweep("nowhere.toml")
