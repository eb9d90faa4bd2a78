"""A spec refuses what cannot be, names the field and the rule, and takes what just can."""

from functools import partial
from math import log

import pytest

import kvsim
from kvsim.dtypes import BF16
from kvsim.engines.vllm_cache_config import VllmCacheConfig
from kvsim.errors import SpecError
from kvsim.io.commands.parse import parse_command
from kvsim.specs.engine import Vllm
from kvsim.specs.lengths import Lengths, constant, counted_lengths
from kvsim.specs.model import ModelSpec, Place, WeightGroup
from kvsim.specs.offload import Offload
from kvsim.specs.paging_study import BatchTime
from kvsim.specs.sglang import Sglang
from kvsim.specs.small_chat import SmallChat
from kvsim.specs.step_table import Residuals, StepLine, StepPoint, StepTable
from kvsim.specs.tensorrt_llm import TensorrtLlm
from kvsim.specs.traffic import Arrivals, PrefixLevel, Traffic
from kvsim.specs.transformers import Transformers
from kvsim.specs.workload import PromptSegment, Request, Workload

INF = float("inf")
NAN = float("nan")
one_token = partial(Request, num_prompt_tokens=1, num_output_tokens=1)
cache = partial(VllmCacheConfig, max_model_len=1, max_num_batched_tokens=1, block_size=1)
line = partial(StepLine, base_s=1, per_request_s=0, per_token_s=0, per_cached_token_s=0)
level = partial(PrefixLevel, num_choices=1, num_tokens=1)
full_layer = partial(
    kvsim.vllm_layer_spec,
    "FullAttentionSpec",
    block_size=1,
    num_kv_heads=2,
    head_size=8,
    dtype="bfloat16",
)  # a page of 2 x 2 x 8 x 2 bytes
state_layer = partial(
    kvsim.vllm_layer_spec, "MambaSpec", block_size=1, shapes=[[8]], dtypes=["float16"]
)  # 16 bytes
lengths = partial(Lengths, probabilities=(0, 1), tokens=(1, 1))


def traffic(**changes):
    stated = {"name": "x", "prompt_tokens": constant(8), "output_tokens": constant(8)}
    return Traffic(**stated, arrivals=Arrivals(), **changes)


def table(*num_requests):
    points = [
        StepPoint(num_requests=n, num_tokens=n, num_cached_tokens=0, seconds=1)
        for n in num_requests
    ]
    none = Residuals(mean_absolute=0, p90_absolute=0, largest_absolute=0)
    return StepTable(
        source="x", line=line(), residuals=none, points=tuple(points), num_steps=len(points)
    )


def model(**fields):
    stated = {"model_type": "x", "dtype": BF16, "layers": (), "num_attention_heads": 1}
    return ModelSpec(**stated, hidden_size=8, vocab_size=8, **fields)


def workload(*after):
    return Workload(requests=tuple(one_token(after=a) for a in after))


def weights(**place):
    return WeightGroup(name="w", num_params=1, **place)


REFUSED = [
    (partial(BatchTime, base_s=0, per_request_s=0, source="s"), "base_s=0 must be > 0"),
    (partial(BatchTime, base_s=1, per_request_s=-0.5, source="s"), "per_request_s=-0.5 >= 0"),
    (
        partial(weights, place=Place.FIRST, pieces=(2,)),
        r"pieces=\(2,\) must add up to num_params=1",
    ),
    (
        partial(weights, place=Place.FIRST, pieces=(0,)),
        r"pieces=\(0,\) must add up to num_params=1",
    ),
    (partial(PromptSegment, -1, 0), "segment_id=-1 and num_tokens=0 must be >= 0"),
    (partial(PromptSegment, 0, -1), "segment_id=0 and num_tokens=-1 must be >= 0"),
    (partial(one_token, num_prompt_tokens=0), "num_prompt_tokens=0 must be a whole number >= 1"),
    (partial(one_token, num_output_tokens=0), "num_output_tokens=0 must be a whole number >= 1"),
    (partial(one_token, num_samples=0), "num_samples=0 must be a whole number >= 1"),
    (partial(one_token, arrival_s=-0.5), "arrival_s=-0.5 must be >= 0"),
    (partial(one_token, arrival_s=INF), "arrival_s=inf must be >= 0"),
    (partial(one_token, pause_s=-0.5), "pause_s=-0.5 must be >= 0"),
    (partial(one_token, pause_s=NAN), "pause_s=nan must be >= 0"),
    (partial(one_token, num_encoder_tokens=-1), "num_encoder_tokens=-1 must be >= 0"),
    (
        partial(one_token, prompt=(PromptSegment(1, 2),)),
        "num_prompt_tokens=1 must be its segments' 2",
    ),
    (workload, "workload=requests must hold at least one request"),
    (partial(workload, 0), "after=0 of request 0 must be a request before it"),
    (partial(workload, None, 1), "after=1 of request 1 must be a request before it"),
    (partial(workload, None, -1), "after=-1 of request 1 must be a request before it"),
    (
        partial(Workload, requests=(one_token(arrival_s=2.0), one_token(arrival_s=1.0))),
        "arrival_s=1 of request 1 must be >= 2, the one before",
    ),
    (partial(lengths, tokens=(1, 2, 3)), "probabilities=2 and tokens=3 must be as many, >= 2"),
    (partial(lengths, probabilities=(0,), tokens=(1,)), "must be as many, >= 2"),
    (partial(lengths, probabilities=(0.1, 1)), r"probabilities=\[0.1, 1\] must rise from 0 to 1"),
    (partial(lengths, probabilities=(0, 0.9)), r"must rise from 0 to 1"),
    (
        partial(lengths, probabilities=(0, 0.5, 0.5, 1), tokens=(1, 1, 1, 1)),
        "must rise from 0 to 1",
    ),
    (partial(lengths, tokens=(0, 1)), r"tokens=\[0, 1\] must be > 0 and not fall"),
    (partial(lengths, tokens=(2, 1)), r"tokens=\[2, 1\] must be > 0 and not fall"),
    (
        partial(counted_lengths, [10, INF], [0, 0], mean=1, longest=1),
        "requests=0 must be > 0 in a histogram of lengths",
    ),
    (partial(level, skew=-1), "skew=-1 must be >= 0"),
    (partial(level, skew=INF), "skew=inf must be >= 0"),
    (partial(level, num_choices=0), "num_choices=0 must be a whole number >= 1"),
    (partial(traffic, repeated_share=1.5), r"repeated_share=1.5 must be in \[0, 1\]"),
    (partial(traffic, repeated_share=-0.5), r"repeated_share=-0.5 must be in \[0, 1\]"),
    (partial(traffic, turn_gap_s=-1), "turn_gap_s=-1 must be >= 0"),
    (partial(traffic, turn_gap_s=INF), "turn_gap_s=inf must be >= 0"),
    (
        partial(traffic, prefix_tree=(level(num_tokens=7),), max_tokens=8),
        "prefix tree of 7 tokens must fit into 8",
    ),
    (partial(Arrivals, rate_per_s=0), "rate_per_s=0 must be > 0"),
    (partial(Arrivals, period_s=INF), "period_s=inf must be > 0"),
    (partial(Arrivals, think_time_s=-1), "think_time_s=-1 must be >= 0"),
    (partial(Arrivals, amplitude=1.25), r"amplitude=1.25 must be in \[0, 1\]"),
    (partial(Arrivals, amplitude=-0.25), r"amplitude=-0.25 must be in \[0, 1\]"),
    (partial(line, base_s=-1), "base_s=-1 must be >= 0"),
    (partial(line, per_token_s=INF), "per_token_s=inf must be >= 0"),
    (partial(line, base_s=0), "base_s=0 must be > 0 where everything else is 0"),
    (table, "points of x must hold at least one"),
    (partial(table, 2, 1), "points of x must be in order of num_requests"),
    (partial(Offload, offload_bytes_per_s=0), "offload_bytes_per_s=0 must be > 0"),
    (partial(Offload, disk_bytes=1, disk_bytes_per_s=-1), "disk_bytes_per_s=-1 must be > 0"),
    (partial(Offload, disk_bytes=0), "disk_bytes=0 must be a whole number >= 1"),
    (partial(Offload, offload_latency_s=-1), "offload_latency_s=-1 must be >= 0"),
    (partial(Offload, disk_bytes=1, disk_latency_s=-1), "disk_latency_s=-1 must be >= 0"),
    (partial(Offload, disk_bytes_per_s=1), "disk_bytes must be given where the disk's speed is"),
    (partial(Offload, disk_latency_s=1), "disk_bytes must be given where the disk's speed is"),
    (partial(Sglang, mem_fraction_static=0), r"mem_fraction_static=0 must be in \(0, 1\)"),
    (partial(Sglang, mem_fraction_static=1), r"mem_fraction_static=1 must be in \(0, 1\)"),
    (partial(Sglang, swa_full_tokens_ratio=0), r"swa_full_tokens_ratio=0 must be in \(0, 1\]"),
    (partial(Sglang, swa_full_tokens_ratio=1.5), r"swa_full_tokens_ratio=1.5 must be in \(0, 1\]"),
    (partial(Sglang, mamba_full_memory_ratio=0), "and hicache_ratio must be above 0"),
    (partial(Sglang, hicache_ratio=0), "mamba_full_memory_ratio and hicache_ratio must be above"),
    (partial(Sglang, num_draft_layers=-1), "num_draft_layers=-1 must be >= 0"),
    (partial(Sglang, page_size=0), "page_size=0 must be a whole number >= 1"),
    (partial(Sglang, dp_size=0), "dp_size=0 must be a whole number >= 1"),
    (partial(cache, num_null_blocks=2), "num_null_blocks=2 must be 0 or 1"),
    (partial(cache, num_null_blocks=-1), "num_null_blocks=-1 must be 0 or 1"),
    (partial(cache, num_prefill_lookahead_tokens=-1), "lookahead_tokens=-1 must be >= 0"),
    (
        partial(cache, num_gpu_blocks_override=0),
        "num_gpu_blocks_override=0 must be a whole number >= 1",
    ),
    (partial(cache, prefix_match_unit=0), "prefix_match_unit=0 must be a whole number >= 1"),
    (partial(cache, kv_cache_layout="NHD?"), r"kv_cache_layout='NHD\?' must be one of"),
    (partial(cache, mamba_cache_mode="some"), "mamba_cache_mode='some' must be one of"),
    (weights, "w: give either the layers that hold it or its place"),
    (partial(weights, layers=(0,), pieces=(1, 1)), r"w: pieces=\(1, 1\) must add up to"),
    (partial(full_layer, sliding_window=8, attention_chunk_size=8), "must not both be recorded"),
    (partial(full_layer, page_size_padded=63), "page_size_padded=63 must be >= the content's 64"),
    (partial(full_layer, kv_quant_mode="some"), "kv_quant_mode='some' must be one of NONE"),
    (partial(state_layer, dtypes=["float16"] * 2), r"must be one per shape of \(\(8,\),\)"),
    (partial(state_layer, page_size_padded=15), "page_size_padded=15 must hold the state"),
    (partial(state_layer, mamba_cache_mode="some"), "mamba_cache_mode='some' must be one of none"),
    (partial(Vllm, kv_offloading_size=0), "kv_offloading_size=0 must be > 0"),
    (partial(TensorrtLlm, num_draft_layers=-1), "num_draft_layers=-1 must be >= 0"),
    (partial(Transformers, num_decoded_tokens=-1), "num_decoded_tokens=-1 must be a whole number"),
    (partial(SmallChat, system_tokens=-1), "system_tokens=-1 must be >= 0"),
    (partial(BatchTime, base_s=0, per_request_s=0, source="x"), "base_s=0 must be > 0 and"),
    (partial(BatchTime, base_s=1, per_request_s=-1, source="x"), "and per_request_s=-1 >= 0"),
    (partial(model, name="none"), "none: num_hidden_layers=0 must be >= 1"),
    (partial(weights, layers=(0,), place=Place.FIRST), "w: give either the layers"),
]
ACCEPTED = [
    partial(PromptSegment, 0, 0),
    partial(one_token, arrival_s=0.0, pause_s=0.0, num_encoder_tokens=0),
    partial(one_token, prompt=(PromptSegment(0, 1),)),
    partial(workload, None, 0, 1),
    partial(lengths, probabilities=(0, 0.5, 1), tokens=(1, 1, 2)),
    partial(level, skew=0),
    partial(traffic, repeated_share=1, turn_gap_s=0),
    partial(traffic, repeated_share=0),
    partial(traffic, prefix_tree=(level(num_tokens=6),), max_tokens=8),
    partial(Arrivals, think_time_s=0, amplitude=0),
    partial(Arrivals, amplitude=1),
    partial(line, base_s=0, per_cached_token_s=1e-9),
    partial(table, 1, 1, 2),
    partial(Offload, offload_latency_s=0, disk_bytes=1, disk_bytes_per_s=1, disk_latency_s=0),
    partial(Sglang, mem_fraction_static=0.001, swa_full_tokens_ratio=1, num_draft_layers=0),
    partial(cache, num_null_blocks=0, num_prefill_lookahead_tokens=0, num_gpu_blocks_override=1),
    partial(weights, layers=(0,)),
    partial(weights, place=Place.LAST),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_is_refused(make, words):
    """The message names field, value and rule."""
    with pytest.raises(SpecError, match=words):
        make()


@pytest.mark.parametrize("make", ACCEPTED)
def test_what_just_can_be_is_taken(make):
    """A limit that refuses the value at its edge refuses somebody's real setting."""
    made = make()

    assert {name: getattr(made, name) for name in make.keywords} == make.keywords


def test_a_line_of_another_engine_starts_no_deployment():
    """A deployment is vLLM's; other engines' settings stand beside the model."""
    command = parse_command("llama-server -m x.gguf -c 4096")

    with pytest.raises(SpecError, match=r"engine=llama\.cpp must be vllm"):
        command.deployment(model=kvsim.load_model("gpt2"), accelerator=kvsim.accelerator("h100"))


def test_a_line_sums_its_terms():
    """Each term with its own count."""
    given = line(base_s=1, per_request_s=10, per_token_s=100, per_cached_token_s=1000)

    assert given.seconds(num_requests=2, num_tokens=3, num_cached_tokens=4) == 4321


def test_a_rate_is_that_of_the_gaps():
    """Three requests have two gaps; where all come at once there is no rate."""
    three = Workload(requests=tuple(one_token(arrival_s=t) for t in (1.0, 2.0, 5.0)))

    assert three.rate_per_s == 2 / 4
    assert [r.arrival_s for r in three.at_rate(1.0).requests] == [0.5, 1.0, 2.5]
    assert workload(None, None).rate_per_s is None


def test_moments_of_lengths_are_those_of_a_log_uniform():
    """Between two quantiles the logarithm is uniform: mean (b - a) / ln(b / a), variance / 12."""
    given = lengths(tokens=(10, 1000))

    assert given.mean == pytest.approx(990 / log(100))
    assert given.log_std == pytest.approx(log(100) / 12**0.5)
    assert (given.quantile(0), given.quantile(0.5), given.quantile(1)) == (10, 100, 1000)
    assert constant(7).log_std == 0


def test_stages_without_number_are_refused():
    """
    A log's digits may have been changed to a number of stages that no memory holds.
    """
    stages = kvsim.Parallelism(pipeline_parallel_size=10**12)

    with pytest.raises(SpecError, match="pipeline_parallel_size=1000000000000 must be <= 1024"):
        stages.stage_layers(32)
