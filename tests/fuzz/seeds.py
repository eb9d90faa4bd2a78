"""Valid contents of every outside input, from which hostile ones are made."""

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np
import polars as pl

import kvsim
from kvsim.io.stream_files import stream_store
from tests.io.log_samples import SAMPLES

GOLDEN = Path(__file__).parents[2] / "validation/golden"

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "vocab_size": 100,
    "torch_dtype": "float16",
}
METRICS = """\
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="m"} 1200.0
vllm:generation_tokens_total{engine="0",model_name="m"} 300.0
vllm:request_success_total{engine="0",finished_reason="length",model_name="m"} 4.0
vllm:request_prompt_tokens_bucket{engine="0",le="200.0",model_name="m"} 0.0
vllm:request_prompt_tokens_bucket{engine="0",le="500.0",model_name="m"} 4.0
vllm:request_prompt_tokens_bucket{engine="0",le="+Inf",model_name="m"} 4.0
vllm:request_prompt_tokens_count{engine="0",model_name="m"} 4.0
vllm:request_prompt_tokens_sum{engine="0",model_name="m"} 1200.0
vllm:request_generation_tokens_bucket{engine="0",le="50.0",model_name="m"} 1.0
vllm:request_generation_tokens_bucket{engine="0",le="100.0",model_name="m"} 4.0
vllm:request_generation_tokens_bucket{engine="0",le="+Inf",model_name="m"} 4.0
vllm:request_generation_tokens_sum{engine="0",model_name="m"} 300.0
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1200.0
vllm:prefix_cache_hits_total{engine="0",model_name="m"} 400.0
vllm:cache_config_info{block_size="16",engine="0",kv_cache_max_concurrency="2.5"} 1.0
"""
SWEEP = b"""mode = "plan"
[grid]
model = ["llama-3.1-8b", "gemma-3-27b"]
gpu = "H100-SXM5-80GB"
max_model_len = [8192, 32768]
gpu_memory_utilization = 0.9
"""
SCENARIOS = b"""[[scenario]]
name = "today"
model = "llama-3.1-8b"
gpu = "H100-SXM5-80GB"
enforce_eager = true
[[scenario]]
model = "gemma-3-27b"
engine = "llama.cpp"
tensor_split = [1, 2.5]
"""
PRICES = b"""H100-SXM5-80GB = 2.5
[L4]
low_usd_per_hour = 0.5
high_usd_per_hour = 0.8
date = "2026-01"
source = "a list"
"""
TRACES = {
    "azure.csv": b"TIMESTAMP,ContextTokens,GeneratedTokens\n"
    b"2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
    "burst.csv": b"Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,"
    b"Total tokens,Log Type\n5,1,2.5,ChatGPT,472,18,490,Conversation log\n",
    "own.csv": b"arrival_s,num_prompt_tokens,num_output_tokens\n0.0,10,5\n1.5,20,3\n",
    "share.csv": b"prompt_tokens,output_tokens,conversation\n10,5,a\n20,3,a\n",
    "mooncake.jsonl": b'{"timestamp": 0, "input_length": 700, "output_length": 5, '
    b'"hash_ids": [0, 1]}\n{"timestamp": 9, "input_length": 10, "output_length": 5, '
    b'"hash_ids": [0]}\n',
    "bailian.jsonl": b'{"chat_id": 1, "parent_chat_id": -1, "timestamp": 0.5, "input_length": 20, '
    b'"output_length": 4, "type": "text", "turn": 1, "hash_ids": [7, 8]}\n',
}
LAUNCH = (
    b"vllm serve acme/tiny -tp 2 --max-model-len 32K --kv-cache-dtype fp8 --port 80",
    b"python -m sglang.launch_server --model-path 'acme/tiny' --tp-size=2 --cuda-graph-max-bs 8",
    b"llama-server -m tiny.gguf -c 8192 -ngl 99 --cache-type-k q8_0 -np 4",
    b"docker run --gpus all vllm/vllm-openai:v0.10.0 --model acme/tiny \\\n  --enforce-eager",
)
INDEX = json.dumps(
    {
        "metadata": {"total_size": 12800},
        "weight_map": {"model.embed_tokens.weight": "model-1.safetensors"},
    }
).encode()
LINK = b"model=llama-3.1-8b&gpu=H100-SXM5-80GB&max_model_len=8192&enforce_eager=true&lang=zh&v=1"


def bench() -> tuple[bytes, ...]:
    means = {
        "model_id": "m",
        "backend": "vllm",
        "duration": 9.5,
        "completed": 2,
        "total_input_tokens": 300,
        "total_output_tokens": 7,
        "request_rate": 2.5,
        "burstiness": 1.0,
        "max_concurrency": 4,
        "mean_itl_ms": 20.5,
    }
    details = {
        "input_lens": [100, 200],
        "output_lens": [3, 4],
        "start_times": [1000.5, 1000.75],
        "ttfts": [0.25, 0.5],
        "itls": [[0.02, 0.03], [0.02, 0.02, 0.04]],
    }
    return json.dumps(means).encode(), json.dumps(means | details).encode()


def step_table(path: Path) -> None:
    file = path.with_suffix(".bench")
    file.write_bytes(bench()[1])
    kvsim.write_step_table(kvsim.calibrate([kvsim.read_bench(file)]), path)


def written(name: str, write: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def gguf_model(path: Path) -> None:
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {
        "block_count": 1,
        "context_length": 4096,
        "embedding_length": 64,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    }.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    writer.add_tensor("token_embd.weight", np.zeros((8, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def safetensors() -> bytes:
    entry = {"dtype": "F16", "shape": [100, 64], "data_offsets": [0, 12800]}
    header = json.dumps({"model.embed_tokens.weight": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(12800)


def configs() -> tuple[bytes, ...]:
    found = sorted(path for path in (GOLDEN / "configs").glob("*.json") if path.stem != "truth")
    return (json.dumps(CONFIG).encode(), *(path.read_bytes() for path in found))


def calibration() -> bytes:
    return json.dumps(
        {
            "schema_version": 1,
            "provenance": {"source": "a start-up log"},
            "measured": {
                "weights_bytes": 16_000_000_000,
                "activation_peak_bytes": {"low": 1, "best": 2, "high": 3, "source": "two runs"},
            },
        }
    ).encode()


def logs() -> tuple[bytes, ...]:
    """Start-ups of every engine."""
    return tuple(text.encode() for *_, text, _ in SAMPLES.values())


def zipped() -> tuple[bytes, ...]:
    """Traces as gzip files."""
    return tuple(gzip.compress(TRACES[name], mtime=0) for name in ("azure.csv", "own.csv"))


def parquet(path: Path) -> None:
    """A trace as a table."""
    columns = {"arrival_s": [0.0, 1.5], "num_prompt_tokens": [10, 20], "num_output_tokens": [5, 3]}
    pl.DataFrame(columns).write_parquet(path)


def stream_state(path: Path) -> None:
    """The state that a streamed run left."""
    store = stream_store(path.parent / "stream")
    store.open("digest", {}, resume=False)
    store.commit({"clock": np.arange(3.0)}, {"waits": np.arange(4)}, None)
    path.write_bytes((store.folder / "state.npz").read_bytes())
