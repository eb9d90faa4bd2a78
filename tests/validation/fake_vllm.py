"""A package `vllm` whose server says what it is told to: log lines, a metrics page, answers.

It holds requests while it is paused, as the real one does, and counts them when it has served
them all. `write` makes it, with a `torch` of its own, in a folder for PYTHONPATH.
"""

import json

SETTINGS = "fake_vllm.json"

SERVER = """
import argparse, json, pathlib, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

told = json.loads((pathlib.Path(__file__).parents[2] / "fake_vllm.json").read_text())
parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
args, _ = parser.parse_known_args()
print("arguments", " ".join(sys.argv[1:]), flush=True)
for line in told["log"]:
    print("(EngineCore pid=7) INFO 11-24 08:40:12 [somewhere.py:1]", line, flush=True)
if told["ends"] is not None:
    raise SystemExit(told["ends"])
lock, going, served, posted = threading.Lock(), threading.Event(), [0], []
going.set()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            return self.reply(200 if told["healthy"] else 503, "")
        if self.path == "/metrics":
            return self.reply(200, page())
        if self.path == "/v1/models":
            length = told["start"]["max_model_len"]
            return self.reply(200, json.dumps({"data": [{"id": "m", "max_model_len": length}]}))
        if self.path == "/version":
            return self.reply(200, json.dumps({"version": "0.32.0"}))
        if self.path == "/posted":
            return self.reply(200, json.dumps(posted))
        self.reply(404, "")

    def do_POST(self):
        posted.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/pause"):
            going.clear()
        elif self.path == "/resume":
            going.set()
        elif told["refuses"]:
            return self.reply(400, told["refuses"])
        else:
            assert len(json.loads(body)["prompt"]) > 100
            print("INFO Added request cmpl-1.", flush=True)
            going.wait()
            time.sleep(0.3)
            with lock:
                served[0] += 1
        self.reply(200, "{}")

    def reply(self, status, text):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


def page():
    load, start = told["load"], told["start"]
    done = served[0] == told["num_requests"]
    usage = load["peak_blocks"] / (start["num_blocks"] - 1)
    values = {
        "vllm:kv_cache_usage_perc": 0.0 if done else usage,
        "vllm:num_requests_running": 0.0 if done else load["peak_running"],
        "vllm:prefix_cache_queries_total": load["prefix_query_tokens"] if done else 0.0,
        "vllm:prefix_cache_hits_total": load["prefix_hit_tokens"] if done else 0.0,
        "vllm:num_preemptions_total": load["preemptions"] if done else 0.0,
        "vllm:prompt_tokens_total": load["prompt_tokens"] if done else 0.0,
        "vllm:generation_tokens_total": load["generation_tokens"] if done else 0.0,
    }
    labels = ",".join(f'{name}="{value}"' for name, value in told["config"].items())
    lines = [f'{name}{{engine="0"}} {value}' for name, value in values.items()]
    return "\\n".join(["# HELP", f"vllm:cache_config_info{{{labels}}} 1.0", *lines]) + "\\n"


ThreadingHTTPServer(("127.0.0.1", args.port), Handler).serve_forever()
"""

TORCH = """
__version__ = "2.13.0+cpu"


class cuda:
    @staticmethod
    def is_available():
        return False
"""


def write(folder, outcome, *, ends=None, healthy=True, refuses="", **changes):
    """The package, telling what a recorded outcome measured; `changes` replace some of it."""
    measured = outcome["measured"] | changes
    load = outcome["case"]["load"]
    length, concurrency = measured["max_model_len"], measured["max_concurrency"]
    told = {
        "log": [
            f"Chunked prefill is enabled with max_num_batched_tokens="
            f"{measured['max_num_batched_tokens']}",
            f"CPU KV cache size: {measured['tokens']:,} tokens, Maximum concurrency for "
            f"{length:,} tokens per request: {concurrency}x",
        ],
        "config": {
            "num_gpu_blocks": measured["num_blocks"],
            "block_size": measured["block_size"],
            "user_specified_block_size": "True",
            "enable_prefix_caching": measured["enable_prefix_caching"],
            "kv_cache_size_tokens": measured["tokens"],
            "kv_cache_max_concurrency": concurrency,
            "kv_cache_memory_bytes": outcome["case"]["settings"]["kv_cache_memory_bytes"],
            "num_gpu_blocks_override": None,
            "cache_dtype": "auto",
        },
        "start": measured,
        "load": measured,
        "num_requests": load["num_requests"],
        "ends": ends,
        "healthy": healthy,
        "refuses": refuses,
    }
    server = folder / "vllm/entrypoints/openai/api_server.py"
    server.parent.mkdir(parents=True)
    for inner in (server.parent, server.parents[1], server.parents[2]):
        (inner / "__init__.py").touch()
    server.write_text(SERVER)
    (folder / "vllm" / "_version.py").write_text('__version__ = "0.32.0"\n')
    (folder / "vllm" / SETTINGS).write_text(json.dumps(told))
    (folder / "torch.py").write_text(TORCH)
    return folder
