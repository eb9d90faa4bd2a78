"""Safetensors headers: exact bytes, and what is refused at once."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import kvsim
from kvsim import bytes_by_format
from kvsim.io.safetensors import read_tensors

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
    "torch_dtype": "float16",
}


def raw_file(path, entries, *, data=b"", length=None):
    """A file whose header holds these entries."""
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_one_file(tmp_path):
    """Names, formats, shapes and bytes are those that the format's own package wrote."""
    path = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((3, 4), np.float16), "b": np.zeros(5, np.float32)}, path)
    assert {t.name: (t.format, t.shape, t.num_bytes) for t in read_tensors(path)} == {
        "a": ("F16", (3, 4), 24),
        "b": ("F32", (5,), 20),
    }


def test_the_files_of_an_index(tmp_path):
    """A folder's index names its files; every tensor must be in one of them."""
    for number, name in enumerate(("a", "b"), start=1):
        save_file({name: np.zeros(4, np.float16)}, tmp_path / f"model-{number}.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    where = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))
    assert [t.name for t in read_tensors(tmp_path)] == ["a", "b"]
    index.write_text(json.dumps({"weight_map": where | {"c": "model-1.safetensors"}}))
    with pytest.raises(kvsim.FileError, match="its tensor c is in none of its files"):
        read_tensors(index)
    index.write_text(json.dumps({"weight_map": {"a": "gone.safetensors"}}))
    with pytest.raises(kvsim.FileError, match=r"gone\.safetensors.*cannot be read"):
        read_tensors(index)


def test_files_without_an_index(tmp_path):
    """
    All of a folder's files are read; the same tensor in two of them is a contradiction.
    """
    for name in ("a", "b"):
        save_file({name: np.zeros(4, np.float16)}, tmp_path / f"{name}.safetensors")
    assert [tensor.name for tensor in read_tensors(tmp_path)] == ["a", "b"]

    save_file({"a": np.zeros(2, np.float16)}, tmp_path / "c.safetensors")
    with pytest.raises(kvsim.FileError, match="two files hold this tensor"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("where", [{}, [], "model.safetensors", None])
def test_an_index_names_files(tmp_path, where):
    """
    An index without a map of tensors says nothing.
    """
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": where}))

    with pytest.raises(kvsim.FileError, match="weight_map must name a file for every tensor"):
        read_tensors(index)


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "..", ""])
def test_an_index_stays_in_its_folder(tmp_path, name):
    """What it names is not opened elsewhere."""
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(kvsim.FileError, match="files of its own folder"):
        read_tensors(index)


def test_a_folder_with_config_and_weights(tmp_path):
    """The config says what is cached, the headers what the weights take."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    save_file({"model.norm.weight": np.zeros(64, np.float16)}, tmp_path / "model.safetensors")
    model = kvsim.load_model(tmp_path)
    assert model.num_kv_layers == 1
    assert bytes_by_format(model.tensors) == {"F16": 128}
    assert kvsim.load_model(tmp_path / "model.safetensors").tensors == model.tensors
    assert kvsim.load_model(tmp_path / "config.json").tensors == ()


def test_weights_without_a_config(tmp_path):
    """Tensors alone do not say what is cached."""
    save_file({"a": np.zeros(4, np.float16)}, tmp_path / "model.safetensors")
    with pytest.raises(kvsim.FileError, match=r"no config\.json"):
        kvsim.load_model(tmp_path / "model.safetensors")


REFUSED = [
    (b"{", None, b"", "no valid JSON"),
    (b"[]", None, b"", "no object"),
    (b'{"a":1,"a":2}', None, b"", "states a name twice"),
    (b"[" * 100_000, None, b"", "no valid JSON"),
    (b"{}", 2**40, b"", "claims 1,099,511,627,776 bytes"),
    (b"{}", 1000, b"", "the file has 10"),
    ({"a": 5}, None, b"", "tensor a is no object"),
    ({"a": entry("F128", [1], 0, 16)}, None, bytes(16), "unknown dtype F128"),
    ({"a": entry("F16", [-1], 0, 2)}, None, bytes(2), "no shape of whole numbers"),
    ({"a": entry("F16", [True], 0, 2)}, None, bytes(2), "no shape of whole numbers"),
    ({"a": entry("F16", [1], 2, 0)}, None, bytes(2), "no data_offsets"),
    ({"a": entry("F16", [3], 0, 4)}, None, bytes(4), "contradicts 4 bytes"),
    ({"a": entry("F16", [2**40], 0, 2**41)}, None, b"", "it is truncated"),
    ({"a": entry("F16", [1], 0, 2)}, None, bytes(3), "it is too long"),
    ({"a": entry("F16", [2], 0, 4), "b": entry("F16", [2], 2, 6)}, None, bytes(6), "begins at 2"),
    ({"a": entry("F16", [1], 2, 4)}, None, bytes(4), "begins at 2"),
]


@pytest.mark.parametrize(("header", "length", "data", "message"), REFUSED)
def test_headers_that_lie(tmp_path, header, length, data, message):
    """Truncated, oversized or contradictory headers cost neither time nor memory."""
    path = raw_file(tmp_path / "bad.safetensors", header, data=data, length=length)
    with pytest.raises(kvsim.FileError, match=message):
        read_tensors(path)


@pytest.mark.parametrize("kept", [0, 5, 8, 20])
def test_truncated_files(tmp_path, kept):
    """Cut before the length, in it, behind it, in the header."""
    whole = tmp_path / "whole.safetensors"
    save_file({"a": np.zeros(4, np.float16)}, whole)
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(kvsim.FileError, match=r"truncated|the file has"):
        read_tensors(path)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=4))
def test_bytes_are_the_files(tmp_path_factory, shapes):
    """The sum over tensors is the file less its header, to the byte."""
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    save_file({str(i): np.zeros(shape, np.float32) for i, shape in enumerate(shapes)}, path)
    header = int.from_bytes(path.read_bytes()[:8], "little")
    held = sum(tensor.num_bytes for tensor in read_tensors(path))
    assert held == path.stat().st_size - 8 - header
