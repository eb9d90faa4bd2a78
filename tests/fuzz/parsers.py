"""Every reader of outside input, with valid inputs from which hostile ones are made."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import gguf
import numpy as np

import kvsim
from kvsim.io.scenario_files import read_scenario_rows
from tests.io.log_samples import SAMPLES

GOLDEN = Path(__file__).parents[2] / "validation/golden"
CORPUS = Path(__file__).parent / "corpus"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parser:
    """A reader of files, the end of their names, and valid contents."""

    name: str
    suffix: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]

    @property
    def finds(self) -> tuple[bytes, ...]:
        """Inputs that once did what they must not."""
        return tuple(path.read_bytes() for path in sorted((CORPUS / self.name).glob("*")))


def use_model(path: Path) -> object:
    """A model, and a figure of it: what was read must be usable, or refused."""
    model = kvsim.load_model(path)
    return kvsim.cache_bytes(model, num_tokens=1000, batch_size=2).total_bytes


def use_trace(path: Path) -> object:
    """A trace, summed up."""
    return kvsim.summarize_workload(kvsim.read_trace(path))


def use_calibration(path: Path) -> object:
    """A calibration, applied."""
    return kvsim.read_calibration(path).overheads_under(
        kvsim.Parallelism(), stated=kvsim.Overheads()
    )


def use_metrics(path: Path) -> object:
    """A metrics page, read as traffic."""
    return kvsim.generate_workload(
        kvsim.measured_traffic(None, kvsim.read_metrics(path), seconds=60.0).traffic,
        num_requests=3,
    )


def use_bench(path: Path) -> object:
    """A benchmark's result: its requests, and the line through its steps."""
    result = kvsim.read_bench(path)
    return kvsim.bench_workload(result), kvsim.calibrate([result]).as_dict()


def use_step_table(path: Path) -> object:
    """A step-time file, and what it says of its own points."""
    return kvsim.read_step_table(path).as_dict()


def _bench() -> tuple[bytes, ...]:
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


def _step_table(path: Path) -> None:
    bench = path.with_suffix(".bench")
    bench.write_bytes(_bench()[1])
    kvsim.write_step_table(kvsim.calibrate([kvsim.read_bench(bench)]), path)


def _written(name: str, write: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def _gguf(path: Path) -> None:
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


def _safetensors() -> bytes:
    entry = {"dtype": "F16", "shape": [100, 64], "data_offsets": [0, 12800]}
    header = json.dumps({"model.embed_tokens.weight": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(12800)


def _use_safetensors(path: Path) -> object:
    (path.parent / "config.json").write_text(json.dumps(CONFIG))
    return use_model(path)


def _configs() -> tuple[bytes, ...]:
    found = sorted(path for path in (GOLDEN / "configs").glob("*.json") if path.stem != "truth")
    return (json.dumps(CONFIG).encode(), *(path.read_bytes() for path in found))


def _calibration() -> bytes:
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


@cache
def parsers() -> dict[str, Parser]:
    """Every parser by name."""
    traces = [
        Parser(
            name=f"trace-{name.split('.')[0]}",
            suffix="." + name.split(".")[1],
            read=use_trace,
            seeds=(content,),
        )
        for name, content in TRACES.items()
    ]
    every = (
        Parser(name="config", suffix=".json", read=use_model, seeds=_configs()),
        Parser(name="gguf", suffix=".gguf", read=use_model, seeds=(_written("m.gguf", _gguf),)),
        Parser(
            name="safetensors",
            suffix=".safetensors",
            read=_use_safetensors,
            seeds=(_safetensors(),),
        ),
        *traces,
        Parser(
            name="engine-log",
            suffix=".log",
            read=kvsim.read_engine_log,
            seeds=tuple(text.encode() for *_, text, _ in SAMPLES.values()),
        ),
        Parser(name="metrics", suffix=".prom", read=use_metrics, seeds=(METRICS.encode(),)),
        Parser(name="bench", suffix=".json", read=use_bench, seeds=_bench()),
        Parser(
            name="step-table",
            suffix=".json",
            read=use_step_table,
            seeds=(_written("steps.json", _step_table),),
        ),
        Parser(name="sweep", suffix=".toml", read=kvsim.read_sweep, seeds=(SWEEP,)),
        Parser(name="scenarios", suffix=".toml", read=read_scenario_rows, seeds=(SCENARIOS,)),
        Parser(name="prices", suffix=".toml", read=kvsim.read_prices, seeds=(PRICES,)),
        Parser(name="calibration", suffix=".json", read=use_calibration, seeds=(_calibration(),)),
    )
    return {parser.name: parser for parser in every}
