"""Hub ids without a network: one line that says so, and a stand-in for the client."""

import json
import sys
import types
from types import SimpleNamespace

import pytest
from huggingface_hub import errors

import kvsim
from kvsim.io.hub import is_hub_id

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 100,
}


@pytest.fixture
def client(monkeypatch, tmp_path):
    """A stand-in for the hub's client that answers as a test tells it to."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    asked, tokens = [], []

    def download(name, file, token):
        asked.append((name, file))
        tokens.append(token)
        return str(config)

    info = SimpleNamespace(dtype="BF16", shape=[4, 8], data_offsets=(0, 64))
    files = {"model.safetensors": SimpleNamespace(tensors={"a.weight": info})}
    fake = types.ModuleType("huggingface_hub")
    fake.errors = errors
    fake.try_to_load_from_cache = lambda name, file: None  # noqa: ARG005
    fake.hf_hub_url = lambda name, file: f"{name}/{file}"
    fake.get_hf_file_metadata = lambda url, timeout, token: None  # noqa: ARG005
    fake.hf_hub_download = download
    fake.get_safetensors_metadata = lambda name, token: SimpleNamespace(files_metadata=files)  # noqa: ARG005
    fake.asked, fake.tokens = asked, tokens
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake


def test_an_id_that_the_catalogue_lacks(client):
    """Config and tensor sizes come from the hub; the engines load it by its id."""
    model = kvsim.load_model("some-one/some-model")
    assert client.asked == [("some-one/some-model", "config.json")]
    assert (model.hub_id, model.num_layers) == ("some-one/some-model", 1)
    assert [(t.name, t.format, t.num_bytes) for t in model.tensors] == [("a.weight", "BF16", 64)]


def test_the_catalogue_comes_first(client):
    """A model that it holds asks nobody."""
    assert kvsim.load_model("openai/gpt-oss-20b").name == "gpt-oss-20b"
    assert client.asked == []


def test_a_model_without_safetensors(client):
    """The config alone is a model; its weights are then a formula's."""

    def missing(name, token):  # noqa: ARG001
        raise errors.NotASafetensorsRepoError(name)

    client.get_safetensors_metadata = missing
    assert kvsim.load_model("some-one/some-model").tensors == ()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("no route to host"), r"the hub cannot be reached \(no route to host\)"),
        (errors.LocalEntryNotFoundError("offline"), "the hub cannot be reached"),
        (errors.HFValidationError("bad"), "no public model of this name"),
    ],
)
def test_offline_is_one_line(client, error, message):
    """No traceback, no retries: the model, that the catalogue lacks it, and why the hub does."""

    def fail(url, timeout, token):  # noqa: ARG001
        raise error

    client.get_hf_file_metadata = fail
    with pytest.raises(kvsim.FileError, match=message) as caught:
        kvsim.load_model("some-one/some-model")
    assert str(caught.value).startswith("model=some-one/some-model is not in the catalogue, and ")
    assert "\n" not in str(caught.value)


def test_a_name_without_an_owner_stays_a_catalogue_name(client):
    """It gets the nearest names, and nobody is asked."""
    with pytest.raises(kvsim.UnknownNameError, match="did you mean"):
        kvsim.load_model("llama-3.1-8")
    assert client.asked == []


def test_modelscope_without_its_client(monkeypatch):
    """The line says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(kvsim.FileError, match="pip install modelscope"):
        kvsim.load_model("modelscope:some-one/some-model")


def test_modelscope_with_its_client(monkeypatch, tmp_path):
    """Its ids work like the hub's."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(CONFIG))
    fake = types.ModuleType("modelscope.hub.file_download")
    fake.model_file_download = lambda model_id, file_path: str(config)  # noqa: ARG005
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())  # noqa: ARG005
    monkeypatch.setitem(sys.modules, "modelscope", types.ModuleType("modelscope"))
    monkeypatch.setitem(sys.modules, "modelscope.hub", types.ModuleType("modelscope.hub"))
    monkeypatch.setitem(sys.modules, "modelscope.hub.file_download", fake)
    assert kvsim.load_model("modelscope:some-one/some-model").hub_id == "some-one/some-model"


@pytest.mark.parametrize("name", ["a/b/c", "a", "/etc/passwd", "../x", "a/", "a b/c", "a/b\n"])
def test_names_that_are_no_ids(name):
    """Paths are not asked for on a hub."""
    assert not is_hub_id(name)


def test_an_anonymous_question_shows_no_token(client):
    """A visitor must not read with what the server's owner may read."""
    assert kvsim.hub_model("some-one/some-model", anonymous=True).num_layers == 1
    assert client.tokens == [False]
    client.try_to_load_from_cache = None  # what others fetched is not looked at
    assert kvsim.hub_model("some-one/some-model", anonymous=True).num_layers == 1


@pytest.mark.parametrize("name", ["a/../b", "https://example.com/a", "", "/etc/x"])
def test_an_id_is_never_a_path_or_an_address(client, name, tmp_path, monkeypatch):
    """What a visitor types opens no file of the server."""
    folder = tmp_path / "tests"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kvsim.FileError, match="is no id of a hub"):
        kvsim.hub_model(name, anonymous=True)
    assert client.asked == []


def test_a_file_of_an_ids_name_is_not_read(client, tmp_path, monkeypatch):
    """`app/main` may be a folder of the server; asked as an id, it is an id."""
    (tmp_path / "some-one").mkdir()
    (tmp_path / "some-one/some-model").write_text("no config")
    monkeypatch.chdir(tmp_path)
    assert kvsim.hub_model("some-one/some-model").num_layers == 1
    assert client.asked == [("some-one/some-model", "config.json")]


@pytest.mark.usefixtures("client")
def test_modelscope_is_not_asked_for_visitors():
    """Its client has no way to leave the token out."""
    with pytest.raises(kvsim.FileError, match="no token"):
        kvsim.hub_model("modelscope:some-one/some-model", anonymous=True)


@pytest.mark.parametrize(("value", "is_offline"), [("1", True), ("true", True), ("0", False)])
def test_offline_is_what_the_hubs_client_calls_it(monkeypatch, value, is_offline):
    """A page without a network offers no button that cannot work."""
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert kvsim.is_offline() is is_offline
