"""Groups and capacity equal those that vLLM 0.32.0 itself computed."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.engines.vllm_groups import group_layers
from kvsim.engines.vllm_layer_spec import vllm_layer_spec
from kvsim.engines.vllm_layout import vllm_layout
from kvsim.errors import CapacityError, SpecError, UnsupportedError

GOLDEN = Path(__file__).parents[2] / "validation" / "golden" / "vllm" / "static.jsonl"
CASES = [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
TYPES = {
    "full": "FullAttentionSpec",
    "mla": "MLAAttentionSpec",
    "swa": "SlidingWindowSpec",
    "chunked": "ChunkedLocalAttentionSpec",
    "cross": "CrossAttentionSpec",
    "mamba": "MambaSpec",
}
DTYPES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp32": "float32",
    "fp8": "float8_e4m3fn",
    "u8": "uint8",
    "int8": "int8",
}
SETTINGS = {
    "tp": "tensor_parallel_size",
    "dcp": "decode_context_parallel_size",
    "layout": "kv_cache_layout",
}
CAPACITY = [
    *("num_blocks", "bytes_per_block", "tokens", "max_concurrency", "max_model_len"),
    *("max_request_bytes", "scheduler_block_size", "hash_block_size", "kv_tp_replicas"),
]

FULL = vllm_layer_spec(
    "FullAttentionSpec", block_size=16, num_kv_heads=8, head_size=128, dtype="bfloat16"
)
WINDOW = vllm_layer_spec(
    "SlidingWindowSpec",
    block_size=16,
    num_kv_heads=8,
    head_size=128,
    dtype="bfloat16",
    sliding_window=1024,
)
CONFIG = VllmCacheConfig(max_model_len=8192, max_num_batched_tokens=8192)


def expand(runs, block_size):
    """One spec per layer of a recorded run-length list."""
    layers = []
    for run in runs:
        if "pattern" in run:
            layers += expand(run["pattern"], block_size) * run["repeat"]
            continue
        values = {"block_size": block_size} | run
        kind, count = values.pop("type"), values.pop("n")
        if "dtype" in values:
            values["dtype"] = DTYPES[values["dtype"]]
        if "dtypes" in values:
            values["dtypes"] = [DTYPES[dtype] for dtype in values["dtypes"]]
        layers += [vllm_layer_spec(TYPES[kind], **values)] * count
    return layers


def recorded_layout(inputs):
    """Our layout of a recorded case."""
    settings = {SETTINGS.get(key, key): value for key, value in inputs["config"].items()}
    config = VllmCacheConfig(
        **{"enable_prefix_caching": False} | settings,
        auto_max_model_len=inputs.get("auto_max_model_len", False),
    )
    memory, block_size = inputs["available_memory"], config.block_size
    if "workers" not in inputs:
        return vllm_layout(expand(inputs["layers"], block_size), config, available_bytes=memory)
    workers = [expand(runs, block_size) for runs in inputs["workers"]]
    if "pp" not in inputs:
        return vllm_layout(workers[0], config, available_bytes=memory)
    starts = [sum(map(len, workers[:i])) for i in range(len(workers))]
    return vllm_layout(
        [layer for worker in workers for layer in worker],
        config,
        available_bytes=memory,
        rank_layers=[range(s, s + len(w)) for s, w in zip(starts, workers, strict=True)],
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_recorded_layout_is_reproduced(case):
    """Every group, block and token of it, or its refusal with the same estimated length."""
    recorded = case["outputs"]
    if not recorded["ok"]:
        estimate = re.search(r"maximum model length is (\d+)", recorded["error"])
        with pytest.raises(CapacityError) as refusal:
            recorded_layout(case["inputs"])
        assert refusal.value.estimated_max_model_len == (estimate and int(estimate[1]))
        return
    layout = recorded_layout(case["inputs"])
    assert {name: getattr(layout, name) for name in CAPACITY} == {
        name: recorded[name] for name in CAPACITY
    }
    assert f"{layout.max_concurrency:.2f}" == recorded["max_concurrency_2dp"]
    assert [row(group) for group in layout.groups] == recorded["groups"]


def row(group):
    """A group under the record's names."""
    values = {
        "type": group.type_name,
        "page_size_bytes": group.page_size_bytes,
        "block_size": group.block_size,
        "unpadded_page_size_bytes": group.unpadded_page_size_bytes,
        "sliding_window": group.sliding_window,
        "attention_chunk_size": group.attention_chunk_size,
        "per_layer_page_sizes": list(group.per_layer_page_sizes) or None,
        "n_layers": len(group.layers),
        "layers": list(group.layers),
    }
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("num_full", "num_windows", "sizes"),
    [(20, 29, [20, 29]), (20, 30, [20, 15, 15]), (3, 4, [3, 4]), (2, 3, [2, 2, 1])],
)
def test_below_one_and_a_half_the_smaller_bucket_is_padded(num_full, num_windows, sizes):
    """The ratio 1.5 itself splits the larger bucket."""
    groups = group_layers([FULL] * num_full + [WINDOW] * num_windows, CONFIG)
    assert [len(group.layers) for group in groups] == sizes


def test_two_recorded_windows_stop_the_engine_without_the_hybrid_manager():
    """One group holds one window size."""
    other = replace(WINDOW, sliding_window=512)
    config = replace(CONFIG, disable_hybrid_kv_cache_manager=True)
    with pytest.raises(UnsupportedError, match="sliding_window=512 and 1024"):
        group_layers([FULL, WINDOW, other], config)


def test_states_beside_attention_need_the_hybrid_manager():
    """A state cannot be kept as full attention."""
    state = vllm_layer_spec("MambaSpec", block_size=16, shapes=[[256]], dtypes=["bfloat16"])
    with pytest.raises(UnsupportedError, match="disable_hybrid_kv_cache_manager"):
        group_layers([FULL, state], replace(CONFIG, disable_hybrid_kv_cache_manager=True))


def test_windows_and_decode_context_ranks_exclude_each_other():
    """The window's tokens are not split."""
    config = replace(CONFIG, decode_context_parallel_size=2)
    with pytest.raises(UnsupportedError, match="sliding_window=1024"):
        vllm_layout([WINDOW], config, available_bytes=2**30)


def test_mla_pages_that_cannot_meet_are_refused_without_a_plain_window():
    """Only windows over keys and values can fall back to full allocation."""
    latent = vllm_layer_spec(
        "MLAAttentionSpec", block_size=16, num_kv_heads=1, head_size=576, dtype="bfloat16"
    )
    cross = vllm_layer_spec(
        "CrossAttentionSpec", block_size=16, num_kv_heads=8, head_size=128, dtype="bfloat16"
    )
    with pytest.raises(UnsupportedError, match="18432, 65536"):
        group_layers([latent, cross], CONFIG)


def test_several_speculative_modules_widen_the_window():
    """All but one of the tokens read ahead may be prefilled again."""
    config = replace(CONFIG, max_num_batched_tokens=16, num_prefill_lookahead_tokens=18)
    plain = group_layers([WINDOW], replace(config, num_prefill_lookahead_tokens=1))
    widened = group_layers([WINDOW], config)
    assert [g.max_blocks(config) for g in plain + widened] == [66, 67]


@pytest.mark.parametrize(
    ("stages", "is_async", "v2", "batches"),
    [
        (1, False, True, 1),
        (1, True, True, 2),
        (2, False, True, 2),
        (2, True, True, 3),
        (1, True, False, 2),
        (2, True, False, 2),
    ],
)
def test_steps_in_flight_follow_the_pipeline_and_the_runner(stages, is_async, v2, batches):
    """The old model runner does not overlap steps on top of a pipeline."""
    config = replace(
        CONFIG, pipeline_parallel_size=stages, async_scheduling=is_async, use_v2_model_runner=v2
    )
    assert config.max_in_flight_tokens == batches * 8192


@pytest.mark.parametrize(
    ("type_name", "fields", "message"),
    [
        ("SinkSpec", {}, "type='SinkSpec' must be one of FullAttentionSpec"),
        ("FullAttentionSpec", {"heads": 2}, "heads=2 is not a field of FullAttentionSpec"),
        ("FullAttentionSpec", {"block_size": 16}, "num_kv_heads must be given"),
        ("MambaSpec", {"dtypes": ["fp7"]}, "dtype='fp7' must be one of float32"),
        ("MambaSpec", {"shapes": 3}, "shapes=3 must be a list"),
    ],
)
def test_a_bad_layer_description_is_one_line(type_name, fields, message):
    """Field, value and rule."""
    with pytest.raises(SpecError, match=re.escape(message)):
        vllm_layer_spec(type_name, **fields)


def test_ranks_and_layers_must_belong_together():
    """A layer on no rank, or a rank without memory, is a mistake of the caller's."""
    with pytest.raises(SpecError, match="each of the 2 layers"):
        vllm_layout([FULL, FULL], CONFIG, available_bytes=[2**30], rank_layers=[range(1)])
    with pytest.raises(SpecError, match="must hold 2 ranks"):
        vllm_layout([FULL], CONFIG, available_bytes=[1, 1], rank_layers=[range(1)])
    with pytest.raises(SpecError, match=r"available_bytes=\(\) must hold at least one rank"):
        vllm_layout([FULL], CONFIG, available_bytes=[])


@pytest.mark.parametrize(
    ("layers", "settings", "words"),
    [
        ([FULL], {"prefix_match_unit": 8}, "prefix_match_unit=8 must be the block size 16"),
        (
            [FULL, WINDOW],
            {"prefix_match_unit": 5},
            r"prefix_match_unit=5 must divide the groups' block sizes \[16, 16\]",
        ),
    ],
)
def test_prefixes_are_matched_in_parts_of_blocks(layers, settings, words):
    """A hash over tokens that are no part of a block would match nothing."""
    with pytest.raises(SpecError, match=words):
        vllm_layout(layers, replace(CONFIG, **settings), available_bytes=2**30)


def test_memory_for_not_one_block_fits_no_length():
    """A length chosen by the engine is at least one token: 65,536 bytes and the null block."""
    config = replace(CONFIG, auto_max_model_len=True)
    with pytest.raises(CapacityError) as refusal:
        vllm_layout([FULL], config, available_bytes=FULL.page_size_bytes)
    assert refusal.value.max_model_len == 1
    assert vllm_layout([FULL], config, available_bytes=2 * FULL.page_size_bytes).max_model_len == 16
