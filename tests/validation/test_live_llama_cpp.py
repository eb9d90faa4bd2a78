"""`live llama.cpp` with a script in place of llama-server, and with a real one where it is."""

import json
import os
import shutil
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

import kvsim
from validation.__main__ import main
from validation.live.llama_cpp import differing, figures_of, flags_of, predict
from validation.recorded.frame import read_lines

ROOT = Path(__file__).parents[2]
RECORD = json.loads((ROOT / "validation/golden/live/llama_cpp.json").read_text("utf-8"))
CONTEXTS = ROOT / "validation/golden/llama_cpp/contexts.jsonl.gz"

SERVER = """#!{python}
import http.server, sys

if "--version" in sys.argv:
    print("version: 0.6.0-dev (b9999)")
    raise SystemExit
print("arguments", " ".join(sys.argv[1:]), flush=True)
for line in {lines!r}:
    print(line, flush=True)
if {ends}:
    raise SystemExit({ends})


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if {healthy} and self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

CONTEXT = (
    "llama_context: n_seq_max     = 1",
    "llama_context: n_ctx         = 512",
    "llama_context: n_ctx_seq     = 512",
    "llama_context: n_batch       = 512",
    "llama_context: n_ubatch      = 512",
)
CACHE = (
    "llama_kv_cache:        CPU KV buffer size =     0.12 MiB",
    "llama_kv_cache: size =    0.12 MiB (   512 cells,   2 layers,  1/1 seqs), "
    "K (f16):    0.06 MiB, V (f16):    0.06 MiB",
)
"""512 cells of 2 layers of 2 heads of 16 elements of 2 bytes are 65,536 bytes of keys."""

SMALL = ("--set", "ctx_size=512", "parallel=1")


@pytest.fixture(scope="module")
def metadata():
    """The metadata of the recorded tiny models, by name."""
    return next(read_lines(CONTEXTS))["models"]


@pytest.mark.parametrize("start", RECORD["starts"], ids=lambda start: start["name"])
def test_today_predicts_what_the_server_logged(start, metadata):
    """
    Contexts, cells and bytes of a real llama-server's start-up lines.
    """
    found = metadata[start["name"].removesuffix(".gguf")]
    model = kvsim.load_model({key: value for key, value in found.items() if key != "tensors"})

    predicted = predict(model, kvsim.LlamaCpp(**start["case"]["settings"]))

    assert list(differing(predicted, start["measured"])) == []
    assert start["status"] == "exact"


@pytest.fixture
def model(tmp_path):
    """A GGUF file of two layers, 4 heads and 2 key-value heads of 16."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in (
        ("block_count", 2),
        ("context_length", 4096),
        ("embedding_length", 64),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ):
        writer.add_uint32(f"llama.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((100, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def live(tmp_path, model):
    """Runs the command with a server that prints these lines."""

    def run(*arguments, lines=(*CONTEXT, *CACHE), ends=0, healthy=True):
        path = tmp_path / "llama-server"
        text = SERVER.format(python=sys.executable, lines=lines, ends=ends, healthy=healthy)
        path.write_text(text)
        path.chmod(0o755)
        command = ["live", "llama.cpp", "--server", str(path), "--model", str(model)]
        return main([*command, *arguments])

    return run


def test_the_log_is_as_predicted(live, tmp_path, capsys):
    """
    Context, batches, cells and bytes; the record is one that `record` takes.
    """
    output = tmp_path / "mine.json"

    assert live(*SMALL, "--output", str(output)) == 0
    record = json.loads(output.read_text("utf-8"))
    (start,) = record["starts"]
    assert record["provenance"]["versions"] == {"llama.cpp": "version: 0.6.0-dev (b9999)"}
    assert start["measured"]["kv_mib"] == [0.12]
    assert start["predicted"]["kv_mib"] == [0.125]
    assert start["log"][-1].startswith("llama_kv_cache: size")
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1 exact"
    assert main(["record", str(output), "--name", "mine-2", "--folder", str(tmp_path)]) == 0


def test_another_size_is_named(live, capsys):
    """
    With both values; exit status 3.
    """
    lines = (*CONTEXT, CACHE[1].replace("size =    0.12", "size =    0.25"))

    assert live(*SMALL, lines=lines) == 3
    assert "tiny.gguf kv_mib: predicted [0.125], measured [0.25]" in capsys.readouterr().out


def test_a_log_without_a_cache_is_refused(live, capsys):
    """
    Nothing is read that is not there.
    """
    assert live(*SMALL, lines=CONTEXT) == 2
    assert "the log says nothing of a cache" in capsys.readouterr().err


def test_a_server_that_ends_shows_its_log(live, capsys):
    """
    As where the memory does not suffice.
    """
    assert live(*SMALL, lines=("error loading model",), ends=1) == 2
    said = capsys.readouterr().err
    assert "error loading model" in said
    assert said.splitlines()[-1] == "validation: the start: the server ended with status 1"


def test_a_server_that_does_not_start_in_time_is_ended(live, capsys):
    """
    Its log is shown.
    """
    assert live(*SMALL, "--start-timeout-s", "1", healthy=False) == 2
    said = capsys.readouterr().err
    assert "K (f16):    0.06 MiB" in said
    assert said.splitlines()[-1] == "validation: the start: not within 1 s"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "ctx=3"), "set=ctx must be one of"),
        (("--set", "cache_type_k=q9"), "cache_type_k=q9 must be one of"),
        (("--server", "/nowhere/llama-server"), "server=llama-server: "),
        (("--model", "nowhere.gguf"), "nowhere.gguf"),
    ],
)
def test_bad_input_is_one_line(arguments, message, live, capsys):
    """
    Exit status 2, before anything is started.
    """
    assert live(*arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_settings_have_the_servers_own_words():
    """
    Some switches have no opposite.
    """
    settings = {"ctx_size": 512, "kv_unified": False, "swa_full": False, "kv_offload": False}

    assert flags_of(settings | {"flash_attn": "on"}) == [
        *("--ctx-size", "512", "--flash-attn", "on"),
        *("--no-kv-unified", "--no-kv-offload"),
    ]


def test_sizes_are_held_against_their_rounding():
    """
    Two digits are printed.
    """
    assert list(differing({"kv_mib": [0.125]}, {"kv_mib": [0.12]})) == []
    assert list(differing({"kv_mib": [0.125]}, {"kv_mib": [0.12, 0.12]})) == ["kv_mib"]
    assert list(differing({"n_ctx": 512}, {"n_ctx": 256})) == ["n_ctx"]


def test_windows_and_states_are_read_apart():
    """
    A full cache, a window's, and recurrent rows.
    """
    log = kvsim.read_engine_log(
        "llama_kv_cache_iswa: creating non-SWA KV cache, size = 512 cells\n"
        f"{CACHE[1]}\n"
        "llama_kv_cache_iswa: creating     SWA KV cache, size = 256 cells\n"
        f"{CACHE[1]}\n"
    )

    assert figures_of(log) == {
        "full_cells": 512,
        "swa_cells": 256,
        "kv_mib": [0.12, 0.12],
        "k_mib": [0.06, 0.06],
        "v_mib": [0.06, 0.06],
    }


def real_server():
    """The llama-server that KVSIM_LLAMA_SERVER names, or one on the path; None: nowhere."""
    return os.environ.get("KVSIM_LLAMA_SERVER") or shutil.which("llama-server")


@pytest.mark.engine
@pytest.mark.skipif(
    real_server() is None or not os.environ.get("KVSIM_GGUF"),
    reason="no llama-server, or KVSIM_GGUF names no model",
)
def test_a_real_server_logs_what_is_predicted(capsys):
    """
    The user's own model, with a small context.
    """
    arguments = ["--server", real_server(), "--model", os.environ["KVSIM_GGUF"]]

    assert main(["live", "llama.cpp", *arguments, *SMALL]) == 0, capsys.readouterr().err
