"""From a model's config to vLLM's caches: ranks, stages, blocks, and what the engine refuses."""

# long: one claim after another about one module

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.engines.vllm_backend import device_of
from kvsim.units import GiB, ceil_div

H100, A100 = (kvsim.accelerator(name) for name in ("H100-SXM5-80GB", "A100-SXM4-80GB"))
B200 = kvsim.accelerator("B200-SXM-180GB")
LLAMA = kvsim.load_model("llama-3.1-8b")
GEMMA = kvsim.load_model("gemma-3-27b")
DEEPSEEK = kvsim.load_model("deepseek-v3")
SPARSE = kvsim.load_model("deepseek-v3.2")
CPU = kvsim.Accelerator(name="CPU", vendor="any", architecture="CPU", nominal_bytes=2**34)


def built(model=LLAMA, accelerator=H100, *, tp=1, pp=1, dcp=1, **settings):
    """A model's cache on H100s that run an API server."""
    ranks = kvsim.Parallelism(
        tensor_parallel_size=tp, pipeline_parallel_size=pp, decode_context_parallel_size=dcp
    )
    return kvsim.vllm_cache(model, kvsim.Vllm(**settings), accelerator=accelerator, parallel=ranks)


def tiny(**fields):
    """A model of the plainest kind."""
    return kvsim.load_model(
        {
            "model_type": "llama",
            "num_hidden_layers": 6,
            "hidden_size": 512,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "intermediate_size": 64,
            "vocab_size": 100,
            "max_position_embeddings": 4096,
        }
        | fields
    )


@given(
    heads=st.sampled_from([1, 2, 4, 8]),
    layers=st.integers(1, 12),
    pp=st.integers(1, 4),
    tp=st.sampled_from([1, 2, 4, 8]),
)
@settings(deadline=None)
def test_ranks_hold_the_whole_where_nothing_is_replicated(heads, layers, pp, tp):
    """
    The bytes of a block over all tensor-parallel ranks and stages are one rank's that has all.
    """
    model = tiny(num_key_value_heads=heads, num_hidden_layers=layers)
    if tp > heads or pp > layers:
        return
    whole = built(model).start(GiB)
    split = built(model, tp=tp, pp=pp).start(GiB)

    assert tp * sum(rank.bytes_per_block for rank in split.ranks) == whole.bytes_per_block


@given(blocks=st.integers(40, 5000), tp=st.sampled_from([1, 2, 8]))
@settings(deadline=None)
def test_one_byte_less_than_a_block_gains_none(blocks, tp):
    """
    Memory is handed out in whole blocks.
    """
    cache = built(tiny(), tp=tp, max_model_len=512)
    width = cache.start(GiB).bytes_per_block

    assert cache.start(blocks * width).num_blocks == blocks
    assert cache.start((blocks + 1) * width - 1).num_blocks == blocks


@given(
    name=st.sampled_from(["llama-3.1-8b", "gemma-3-27b", "nemotron-h-8b", "deepseek-v3.2"]),
    memory=st.integers(GiB, 60 * GiB),
    less=st.integers(0, 8 * GiB),
)
@settings(deadline=None, max_examples=60)
def test_capacity_never_grows_when_memory_shrinks(name, memory, less):
    """
    Not the blocks, not the tokens, not the longest context.
    """
    layouts = built(kvsim.load_model(name), auto_max_model_len=True)
    rich = layouts.start(memory)
    poor = layouts.start(max(GiB, memory - less))

    assert poor.num_blocks <= rich.num_blocks
    assert poor.max_model_len <= rich.max_model_len
    if poor.max_model_len == rich.max_model_len:
        assert poor.tokens <= rich.tokens


def test_kv_heads_are_copied_beyond_their_number():
    """
    Eight KV heads over sixteen ranks: each rank holds one, every head is there twice.
    """
    cache = built(tp=16)

    assert {spec.num_kv_heads for spec in cache.specs} == {1}
    assert set(cache.replicas) == {2}
    assert set(built(tp=8).replicas) == {1}


def test_latents_are_whole_on_every_rank():
    """
    MLA has no heads to divide; decode-context ranks divide the tokens instead.
    """
    whole, one_rank = built(DEEPSEEK), built(DEEPSEEK, tp=8)

    assert one_rank.start(40 * GiB).bytes_per_block == whole.start(40 * GiB).bytes_per_block
    assert set(built(DEEPSEEK, tp=8).replicas) == {8}
    assert set(built(DEEPSEEK, tp=8, dcp=8).replicas) == {1}


def test_decode_context_ranks_share_the_tokens_of_a_request():
    """
    A block covers as many tokens on each rank, so a request takes a rank fewer blocks.
    """
    alone = built(DEEPSEEK, tp=8, max_model_len=32000).start(8 * GiB)
    shared = built(DEEPSEEK, tp=8, dcp=4, max_model_len=32000).start(8 * GiB)

    assert shared.num_blocks == alone.num_blocks
    assert alone.blocks_per_request == 2000
    assert shared.blocks_per_request == 500
    assert shared.tokens == 4 * alone.tokens
    assert shared.scheduler_block_size == 4 * 16


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"model": LLAMA, "tp": 8, "dcp": 2}, "tensor_parallel_size=8 must be >= 16"),
        ({"model": GEMMA, "tp": 32, "dcp": 2}, "must be 1 with sliding_window=1024"),
        ({"model": LLAMA, "tp": 4, "dcp": 3}, "must divide tensor_parallel_size=4"),
    ],
)
def test_decode_context_ranks_need_copies_and_no_windows(asked, rule):
    """
    Ranks that hold different heads cannot split tokens; windows have no order over ranks.
    """
    with pytest.raises(kvsim.KvsimError, match=rule):
        built(**asked).start(40 * GiB)


def test_uneven_stages_all_get_the_smallest_number_of_blocks():
    """
    62 layers over four stages: 15, 16, 16, 15, with other mixes of windows and full attention.
    """
    cache = built(GEMMA, pp=4)
    memory = [20 * GiB, 21 * GiB, 22 * GiB, 23 * GiB]
    layout = cache.start(memory)
    alone = [m // rank.bytes_per_block for m, rank in zip(memory, layout.ranks, strict=True)]

    assert [len(stage) for stage in cache.stages] == [15, 16, 16, 15]
    assert layout.num_blocks == min(alone)
    assert layout.num_blocks < max(alone)
    assert {len(groups.groups) for groups in layout.ranks} == {len(layout.groups)}


def test_a_drafter_of_the_model_itself_lives_on_the_last_stage():
    """
    Multi-token prediction adds a layer, which the last stage holds beside its own.
    """
    drafting = {"speculative_method": "mtp", "num_speculative_tokens": 3}
    cache = built(DEEPSEEK, pp=2, **drafting)

    assert [len(stage) for stage in cache.stages] == [31, 31]  # 31 + 30, and the drafted layer
    assert [one.is_draft for one in cache.caches].count(True) == 1
    with pytest.raises(kvsim.UnsupportedError, match="states no num_nextn_predict_layers"):
        built(**drafting)


@pytest.mark.parametrize(
    ("model", "accelerator", "settings", "size"),
    [
        (LLAMA, H100, {}, 16),
        (LLAMA, CPU, {}, 128),
        (LLAMA, CPU, {"block_size": 32}, 32),
        (DEEPSEEK, H100, {}, 16),
        (DEEPSEEK, H100, {"kv_cache_dtype": "fp8"}, 64),
        (DEEPSEEK, H100, {"kv_cache_dtype": "fp8", "block_size": 16}, 16),
        (DEEPSEEK, A100, {}, 16),
        (DEEPSEEK, B200, {}, 32),
        (DEEPSEEK, CPU, {"block_size": 32}, 16),
        (SPARSE, H100, {}, 64),
        (SPARSE, H100, {"block_size": 128}, 128),
        (LLAMA, H100, {"kv_cache_dtype": "fp8", "kv_cache_dtype_skip_layers": ("0",)}, 32),
    ],
)
def test_block_sizes_follow_the_backend(model, accelerator, settings, size):
    """
    16 where every backend of the model takes it, else the smallest that all take.
    """
    assert built(model, accelerator, **settings).settings.block_size == size


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"accelerator": CPU, "block_size": 16}, "block_size=16 must be a multiple of 32"),
        ({"block_size": 20}, "block_size=20 must be a multiple of 16 for FLASH_ATTN"),
        ({"model": SPARSE, "block_size": 16}, "block_size=16 must be a multiple of 64"),
        ({"model": SPARSE, "accelerator": A100}, "no backend in vllm on sm80"),
        ({"kv_cache_dtype": "nvfp4"}, "no backend in vllm on sm90"),
        ({"tp": 3}, "tensor_parallel_size=3 must divide num_attention_heads=32"),
        ({"model": kvsim.load_model("nemotron-h-8b"), "tp": 16}, "must divide the 8 groups"),
    ],
)
def test_what_the_engine_refuses_while_building_is_refused(asked, rule):
    """
    One line each: the setting, its value, the engine's reason.
    """
    with pytest.raises(kvsim.KvsimError, match=rule):
        built(**asked)


def test_a_state_is_padded_to_the_attention_page():
    """
    A hybrid's blocks grow until a page of attention holds a state; then both pages are equal.
    """
    cache = built(kvsim.load_model("nemotron-h-8b"))
    pages = {spec.page_size_bytes for spec in cache.specs}

    assert pages == {cache.settings.mamba_page_size_padded}
    assert cache.settings.mamba_block_size == cache.settings.block_size
    assert (
        built(
            kvsim.load_model("nemotron-h-8b"), enable_prefix_caching=False, max_model_len=4096
        ).settings.mamba_block_size
        == 4096
    )


def test_the_format_of_states_is_a_setting():
    """
    A convolution's format is also its state's, unless that is stated apart.
    """
    mamba = kvsim.load_model("falcon-mamba-7b")

    def formats(**settings):
        (spec,) = set(built(mamba, **settings).specs)
        return [str(dtype) for dtype in spec.dtypes]

    assert formats() == ["bfloat16", "bfloat16"]
    assert formats(mamba_ssm_cache_dtype="float32") == ["bfloat16", "float32"]
    assert formats(mamba_cache_dtype="float32") == ["float32", "float32"]
    assert {
        str(s.dtypes[1])
        for s in built(kvsim.load_model("nemotron-h-8b")).specs
        if hasattr(s, "dtypes")
    } == {"float32"}


def test_falcon_keeps_its_format_whatever_is_asked():
    """
    Its class builds attention without the cache's settings.
    """
    falcon = kvsim.load_model("falcon-7b")

    assert {str(spec.dtype) for spec in built(falcon, kv_cache_dtype="fp8").specs} == {"bfloat16"}
    assert {str(spec.dtype) for spec in built(kv_cache_dtype="fp8").specs} == {"uint8"}


def test_qwen_with_windows_in_some_layers_is_refused():
    """
    Its class has the window everywhere or nowhere.
    """
    windows = {"use_sliding_window": True, "sliding_window": 1024, "model_type": "qwen2"}

    with pytest.raises(kvsim.UnsupportedError, match="max_window_layers leaves a window to 3"):
        built(tiny(max_window_layers=3, **windows))
    assert {spec.sliding_window for spec in built(tiny(max_window_layers=6, **windows)).specs} == {
        1024
    }


def test_max_model_len_minus_one_is_the_longest_that_fits():
    """
    The engine shortens the context until a request fits beside the null block.
    """
    block = built().start(GiB * 40).bytes_per_block
    layout = built(auto_max_model_len=True).start(100 * block)

    assert layout.max_model_len == 99 * 16
    assert layout.num_blocks == 100
    assert layout.tokens == 1600


@given(num_tokens=st.integers(1, 131072))
@settings(deadline=None, max_examples=50)
def test_disabling_the_hybrid_manager_keeps_every_token(num_tokens):
    """
    Windows then cost what full attention costs.
    """
    kept = built(GEMMA, disable_hybrid_kv_cache_manager=True, max_model_len=num_tokens)
    layout = kept.start(400 * GiB)

    assert layout.max_request_bytes == ceil_div(num_tokens, 16) * layout.bytes_per_block
    assert len(layout.groups) == 1


def test_the_engine_before_v1_has_no_null_block_and_frees_no_window():
    """
    Logs of 0.6 print "# GPU blocks"; a request may take the last of them.
    """
    old = built(engine_version="0.6.3", max_model_len=4096)
    width = old.start(GiB * 4).bytes_per_block

    assert old.start(256 * width).num_blocks == 256
    assert old.start(256 * width).max_concurrency == 1.0
    with pytest.raises(kvsim.CapacityError):
        built(max_model_len=4096).start(256 * width)
    assert len(built(GEMMA, engine_version="0.6.3").start(400 * GiB).groups) == 1


@pytest.mark.parametrize(("version", "ahead"), [("0.12.0", False), ("0.16.0", True)])
def test_steps_are_scheduled_ahead_from_0_14_on(version, ahead):
    """
    What windows keep in flight doubles with it.
    """
    assert built(engine_version=version).settings.async_scheduling is ahead


def test_a_workstations_blackwell_is_another_generation():
    """
    An RTX card of Ampere is what Ampere is; of Blackwell, not what a B200 is.
    """
    found = {
        name: device_of(kvsim.accelerator(name)).value
        for name in ("RTX A6000", "RTX 4090", "RTX 5090", "B200-SXM-180GB", "H100-SXM5-80GB")
    }
    assert list(found.values()) == ["sm80", "sm80", "other", "sm100", "sm90"]


def test_one_drafted_module_looks_no_token_ahead():
    """
    A drafter beside the model has its own cache; only several modules keep more of the prompt.
    """
    assert built().config.num_prefill_lookahead_tokens == 0
    drafting = {"speculative_method": "mtp", "num_speculative_tokens": 1}
    assert built(DEEPSEEK, **drafting).config.num_prefill_lookahead_tokens == 0


def test_encoders_alone_cache_nothing():
    """
    A classifier that attends in both directions leaves only the null block.
    """
    roberta = {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaForSequenceClassification"],
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "vocab_size": 100,
        "max_position_embeddings": 512,
    }
    cache = built(kvsim.load_model(roberta))

    assert cache.specs == ()
    assert cache.start(GiB).num_blocks == 1
    assert cache.settings.async_scheduling is False


def test_settings_name_every_default():
    """
    A result says which settings it stands for.
    """
    cache = built(SPARSE, kv_cache_dtype="fp8")

    assert cache.settings.kv_cache_dtype == "fp8_ds_mla"
    assert cache.settings.engine_version == "0.32.0"
    assert replace(cache.settings, block_size=16) != cache.settings


@pytest.mark.parametrize(
    ("num_tokens", "held"), [(8192, 512), (8193, 1), (20_000, 1250 - 1024), (16_385, 1)]
)
def test_a_chunk_is_given_back_when_the_next_one_begins(num_tokens, held):
    """
    Llama 4 Scout, 36 layers of chunks of 8,192 tokens; blocks of 16 tokens, 64 KiB a layer.
    """
    cache = kvsim.cache_bytes(
        kvsim.load_model("llama-4-scout"), num_tokens=num_tokens, engine=kvsim.Vllm()
    )
    chunked = {layer.kind: layer.kv_bytes for layer in cache.layers}["chunked attention"]

    assert chunked == held * 36 * 65_536


@pytest.mark.parametrize(("num_tokens", "held"), [(1038, 65), (1039, 64), (1040, 64), (1055, 64)])
def test_a_block_is_given_back_once_its_last_token_left_the_window(num_tokens, held):
    """
    Gemma 3 27B: the next token reads the last 1,023 and itself, so that from 1,039 tokens on the
    first block of 16 is behind the window.
    """
    cache = kvsim.cache_bytes(GEMMA, num_tokens=num_tokens, engine=kvsim.Vllm())
    (window,) = [one for one in cache.layers if one.kind == "sliding window"]

    assert window.kv_bytes == held * 16 * window.count * 2 * 16 * 128 * 2
