"""A model from a file, a folder, a dict or a name; what is none of these is refused."""

import json
import os

import pytest

import kvsim
from kvsim.io.models import MAX_CONFIG_BYTES

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "max_position_embeddings": 128,
}


def test_every_source_gives_the_same_model(tmp_path):
    """
    Dict, file and folder are the same config.
    """
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))

    sources = (CONFIG, folder, str(folder), folder / "config.json")
    layers = [kvsim.load_model(source).layers for source in sources]

    assert layers == [layers[0]] * 4
    assert kvsim.load_model(folder).name == kvsim.load_model(folder / "config.json").name == "tiny"


@pytest.mark.parametrize("name", ["llama-3.1-8b", "meta-llama/Llama-3.1-8B", "LLAMA-3.1-8B"])
def test_catalogue_names_carry_the_hub_id(name):
    """
    The launch command needs the id that the engine loads.
    """
    assert kvsim.load_model(name).hub_id == "meta-llama/Llama-3.1-8B"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no valid JSON"),
        ("[]", "holds a list, a config is an object"),
        ('"text"', "holds a str, a config is an object"),
        ("", "no valid JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"hidden_size": 1, "hidden_size": 2}', "hidden_size is stated twice"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('{"a":' * 1000 + "1" + "}" * 1000, "nested deeper than 64 levels"),
        ('{"a": ' + "9" * 5000 + "}", "no valid JSON"),
        ("{}", "num_hidden_layers is missing"),
        ('{"name": "package", "version": "1.0"}', "num_hidden_layers is missing"),
    ],
)
def test_files_that_are_no_config_are_refused(content, message, tmp_path):
    """
    One error that names the file or the field; bounded time and memory.
    """
    path = tmp_path / "config.json"
    path.write_text(content)

    with pytest.raises(kvsim.KvsimError, match=message.replace("[", r"\[")):
        kvsim.load_model(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    """
    A weights file under the wrong name is no config.
    """
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00\x01" * 10)

    with pytest.raises(kvsim.FileError, match="not text in UTF-8"):
        kvsim.load_model(path)


def test_a_huge_file_is_refused_without_being_read(tmp_path):
    """
    100 MB are not loaded to find out that they are no config.
    """
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    with pytest.raises(kvsim.FileError, match=r"has 95.37 MiB, a config.json must be <= 8.00 MiB"):
        kvsim.load_model(path)
    assert MAX_CONFIG_BYTES < 100_000_000


def test_what_is_not_there_is_said(tmp_path):
    """
    A path without a file is no catalogue name, and a folder without a config is no model.
    """
    with pytest.raises(kvsim.FileError, match="no such file or folder"):
        kvsim.load_model(tmp_path / "absent")
    with pytest.raises(kvsim.FileError, match="no such file or folder"):
        kvsim.load_model("absent.json")
    with pytest.raises(kvsim.FileError, match=r"the folder holds no config.json"):
        kvsim.load_model(tmp_path)
    with pytest.raises(kvsim.UnknownNameError, match="is not in the catalogue"):
        kvsim.load_model("no-such-model-anywhere\0")
    with pytest.raises(kvsim.UnknownNameError, match="is not in the catalogue"):
        kvsim.load_model("x" * 100_000)


def test_a_pipe_is_not_waited_for(tmp_path):
    """
    A special file would block for ever.
    """
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)

    with pytest.raises(kvsim.FileError, match="is not a regular file"):
        kvsim.load_model(pipe)
