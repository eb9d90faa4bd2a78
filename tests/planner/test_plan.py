"""Plans and the changes they advise."""

# long: one claim after another about one question

import dataclasses
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.units import GiB

H100 = kvsim.accelerator("H100-SXM5-80GB")
LLAMA = kvsim.load_model("llama-3.1-8b")
STATED = kvsim.Overheads(
    weights_bytes=kvsim.exact(10 * GiB),
    activation_peak_bytes=kvsim.exact(GiB),
    non_torch_bytes=kvsim.exact(0),
    cuda_graph_bytes=kvsim.exact(0),
)


def deployment(*, model=LLAMA, accelerator=H100, overheads=STATED, **engine):
    return kvsim.Deployment(
        model=model,
        accelerator=accelerator,
        engine=kvsim.Vllm(**{"max_model_len": 8192} | engine),
        overheads=overheads,
    )


def test_the_null_block_is_not_for_requests():
    """
    512 blocks a request: 512 blocks hold none, 513 hold one, as the engine's check says.
    """
    block = 16 * 131072
    for blocks, fits in ((512, False), (513, True)):
        plan = kvsim.plan(deployment(kv_cache_memory_bytes=blocks * block))
        assert plan.fits is fits
        assert plan.evaluation.capacity.best.num_gpu_blocks == blocks
        assert plan.evaluation.capacity.best.max_concurrency == blocks / 512


def test_a_refusal_names_the_longest_context_that_starts():
    """
    The engine's own estimate, in whole blocks less the null block.
    """
    plan = kvsim.plan(deployment(kv_cache_memory_bytes=100 * 16 * 131072))

    assert plan.evaluation.capacity.best.longest_model_len == 99 * 16
    assert "at most 1584 tokens fit" in plan.evaluation.capacity.best.refusal


def test_replicas_share_the_requests():
    """
    With two data-parallel replicas each holds half of what is asked, the odd one out with one.
    """
    block = 16 * 131072
    asked = deployment(kv_cache_memory_bytes=(10 * 512 + 1) * block)  # ten requests a replica
    two = dataclasses.replace(asked, parallel=kvsim.Parallelism(data_parallel_size=2))

    assert not kvsim.plan(asked, concurrent_requests=11).fits
    assert kvsim.plan(two, concurrent_requests=20).fits
    assert not kvsim.plan(two, concurrent_requests=21).fits
    fix = next(
        f
        for f in kvsim.plan(two, concurrent_requests=21).fixes
        if f.setting == "concurrent_requests"
    )
    assert fix.value == "20"


def test_needed_bytes_are_whole_blocks_of_all_requests():
    """
    What is asked for is counted as the engine allocates it.
    """
    plan = kvsim.plan(deployment(max_model_len=1000), concurrent_requests=3)

    assert plan.evaluation.fit.needed_bytes == (3 * 63 + 1) * 16 * 131072


def test_verdicts_say_how_sure_they_are():
    """
    Fits when even the cautious estimate does, tight when only the likely one does.
    """
    wide = dataclasses.replace(
        STATED, weights_bytes=kvsim.Interval(10 * GiB, 10 * GiB, 80 * GiB, "a guess")
    )
    assert str(kvsim.plan(deployment()).evaluation.fit.verdict) == "fits"
    tight = kvsim.plan(deployment(overheads=wide))
    assert str(tight.evaluation.fit.verdict) == "tight"
    assert tight.fits
    assert tight.evaluation.fit.reasons == (
        "it fits at the likely estimates, not at the cautious ones",
    )


def test_each_fix_fits_when_it_is_applied():
    """
    Advice is tried before it is given, so applying it gives the number it promised.
    """
    model = kvsim.load_model("qwen3-32b")
    asked = deployment(model=model, overheads=kvsim.Overheads(), max_model_len=32768)
    plan = kvsim.plan(asked, concurrent_requests=2)

    assert not plan.fits
    by_setting = {fix.setting: fix for fix in plan.fixes}
    assert {"kv_cache_dtype", "max_model_len", "quantization", "gpu"} <= set(by_setting)
    for name in ("kv_cache_dtype", "max_model_len", "quantization"):
        fix = by_setting[name]
        value = int(fix.value) if fix.value.isdigit() else fix.value
        engine = dataclasses.replace(asked.engine, **{name: value})
        changed = kvsim.plan(dataclasses.replace(asked, engine=engine), concurrent_requests=2)
        assert changed.fits
        assert changed.evaluation.capacity.best.max_concurrency == fix.max_concurrency


def test_the_longest_context_is_the_longest():
    """
    One token more than the advised context does not fit.
    """
    asked = deployment(max_model_len=100_000, kv_cache_memory_bytes=5 * GiB)
    fix = next(f for f in kvsim.plan(asked).fixes if f.setting == "max_model_len")
    longer = dataclasses.replace(asked.engine, max_model_len=int(fix.value) + 1)

    assert not kvsim.plan(dataclasses.replace(asked, engine=longer)).fits


def test_a_plan_that_fits_needs_no_fix_but_may_hold_more():
    """
    Nothing needs to change; each change that is named holds more requests than now, tried.
    """
    asked = deployment(overheads=kvsim.Overheads())
    plan = kvsim.plan(asked)
    now = plan.evaluation.fit.max_requests

    assert plan.fixes == ()
    assert plan.pair is None
    assert {"kv_cache_dtype", "quantization", "tensor_parallel_size"} <= {
        change.setting for change in plan.more_users
    }
    for change in plan.more_users:
        assert kvsim.plan(changed(asked, change.setting, change.value)).evaluation.fit.max_requests
        assert change.max_requests > now
        assert f"now {now}" in change.effect


def changed(asked, setting, value):
    """The deployment with one change of advice made."""
    if setting == "gpu":
        return dataclasses.replace(asked, accelerator=kvsim.accelerator(value))
    if hasattr(asked.parallel, setting):
        parallel = dataclasses.replace(asked.parallel, **{setting: int(value)})
        return dataclasses.replace(asked, parallel=parallel)
    kinds = {"gpu_memory_utilization": float, "enforce_eager": bool, "max_num_seqs": int}
    kinds |= {"max_num_batched_tokens": int, "max_model_len": int}
    engine = dataclasses.replace(asked.engine, **{setting: kinds.get(setting, str)(value)})
    return dataclasses.replace(asked, engine=engine)


@pytest.mark.parametrize(
    ("model", "gpu", "requests"),
    [
        ("llama-3.1-405b", "L4", 1),
        ("llama-3.1-405b", "L4", 8),
        ("deepseek-v3", "A100-SXM4-40GB", 2),
    ],
)
def test_where_no_change_is_enough_two_are(model, gpu, requests):
    """
    The pair fits when both are made, and neither does alone; the fewest devices come first.
    """
    asked = deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator(gpu),
        overheads=kvsim.Overheads(),
    )
    plan = kvsim.plan(asked, concurrent_requests=requests)
    pair = plan.pair

    assert plan.fixes == ()
    first = changed(asked, pair.first_setting, pair.first_value)
    second = changed(asked, pair.then.setting, pair.then.value)
    both = changed(first, pair.then.setting, pair.then.value)
    assert not kvsim.plan(first, concurrent_requests=requests, accelerators=()).fits
    assert not kvsim.plan(second, concurrent_requests=requests, accelerators=()).fits
    fitted = kvsim.plan(both, concurrent_requests=requests, accelerators=())
    assert fitted.fits
    assert fitted.evaluation.fit.max_requests == pair.then.max_requests
    assert both.parallel.num_ranks == pair.then.num_gpus


def test_the_command_is_what_was_asked():
    """
    Defaults are left out, the hub id is what the engine loads.
    """
    plan = kvsim.plan(
        dataclasses.replace(
            deployment(kv_cache_dtype="fp8", enforce_eager=True, enable_prefix_caching=False),
            parallel=kvsim.Parallelism(tensor_parallel_size=2),
        )
    )

    assert plan.command == (
        "vllm serve meta-llama/Llama-3.1-8B --tensor-parallel-size 2 --max-model-len 8192 "
        "--kv-cache-dtype fp8 --enforce-eager --no-enable-prefix-caching"
    )


def test_unknown_weights_can_be_stated():
    """
    A config without feed-forward sizes still plans once the bytes are given.
    """
    config = {
        "model_type": "llama",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "vocab_size": 32000,
        "max_position_embeddings": 8192,
    }
    model = kvsim.load_model(config)
    with pytest.raises(kvsim.SpecError, match="weights_bytes must be given"):
        kvsim.plan(deployment(model=model, overheads=kvsim.Overheads()))
    assert kvsim.plan(deployment(model=model)).compute is None


@settings(max_examples=60)
@given(
    name=st.sampled_from(["llama-3.1-8b", "gemma-3-27b", "qwen3-next-80b-a3b", "deepseek-v3"]),
    memory=st.integers(2**24, 2**37),
    length=st.integers(1, 100_000),
    tp=st.sampled_from([1, 2]),
)
def test_capacity_never_grows_when_memory_shrinks(name, memory, length, tp):
    """
    Less memory, fewer blocks, requests and tokens; and a fit stays the same fit.
    """
    base = deployment(model=kvsim.load_model(name), max_model_len=length)
    base = dataclasses.replace(base, parallel=kvsim.Parallelism(tensor_parallel_size=tp))

    def pool(num_bytes):
        engine = dataclasses.replace(base.engine, kv_cache_memory_bytes=num_bytes)
        return kvsim.plan(
            dataclasses.replace(base, engine=engine), accelerators=()
        ).evaluation.capacity.best

    more, less = pool(memory), pool(memory // 2)
    assert less.num_gpu_blocks <= more.num_gpu_blocks
    assert less.max_requests <= more.max_requests
    assert less.longest_model_len <= more.longest_model_len
    assert more.num_gpu_blocks * more.block_bytes <= memory


def test_every_catalogue_model_plans():
    """
    On a device with room to spare, each gives a verdict or says what it lacks.
    """
    device = kvsim.accelerator("B300")
    for entry in kvsim.catalog_models():
        model = kvsim.load_model(entry.id)
        asked = kvsim.Deployment(
            model=model, accelerator=device, engine=kvsim.Vllm(max_model_len=400)
        )
        try:
            plan = kvsim.plan(asked, accelerators=())
        except kvsim.KvsimError as error:
            pytest.fail(f"{entry.id}: {error}")
        assert plan.evaluation.capacity.best.block_bytes > 0


@pytest.mark.parametrize(
    ("model", "degrees"),
    [
        ("gemma-3-27b", {"pipeline_parallel_size": 4}),
        ("nemotron-h-8b", {}),
        ("llama-3.1-8b", {"tensor_parallel_size": 16}),
        ("deepseek-v3.2", {"tensor_parallel_size": 8}),
    ],
)
@pytest.mark.parametrize("memory", [GiB, 12 * GiB])
def test_the_causes_add_up_on_every_stage(model, degrees, memory):
    """
    Every byte of the cache memory and of a request has one cause, whether it fits or not.
    """
    asked = deployment(model=kvsim.load_model(model), kv_cache_memory_bytes=memory)
    plan = kvsim.plan(dataclasses.replace(asked, parallel=kvsim.Parallelism(**degrees)))
    held = plan.evaluation.capacity.best

    assert len(plan.why) == degrees.get("pipeline_parallel_size", 1)
    for stage in plan.why:
        assert stage.pool.total_bytes == memory
        assert stage.request.total_bytes == held.request_blocks * stage.block_bytes
        assert stage.num_gpu_blocks >= held.num_gpu_blocks
    assert min(stage.num_gpu_blocks for stage in plan.why) == held.num_gpu_blocks


def test_where_nothing_is_left_requests_take_nothing():
    """
    Weights larger than the device leave no block, so not even the null block is there.
    """
    asked = deployment(
        model=kvsim.load_model("llama-3.1-405b"),
        accelerator=kvsim.accelerator("L4"),
        overheads=kvsim.Overheads(),
    )
    (stage,) = kvsim.plan(asked).why

    assert stage.pool.usable_bytes == 0
    assert stage.pool.null_block_bytes == 0
    assert stage.pool.total_bytes == 0


def test_fewer_devices_come_before_gentler_changes():
    """
    Four larger devices hold what sixty-four of the asked ones would.
    """
    asked = deployment(
        model=kvsim.load_model("llama-3.1-405b"),
        accelerator=kvsim.accelerator("L4"),
        overheads=kvsim.Overheads(),
    )
    asked = dataclasses.replace(asked, engine=kvsim.Vllm(max_model_len=8192))
    pair = kvsim.plan(asked, concurrent_requests=32).pair

    assert pair.then.setting == "gpu"
    assert pair.then.num_gpus == 4


def test_no_two_changes_of_weights_and_devices_take_fewer_devices():
    """
    Tried one by one, all pairs that the advice may name.
    """
    devices = [kvsim.accelerator(name) for name in ("A100-SXM4-80GB", "H200-SXM-141GB")]
    asked = deployment(
        model=kvsim.load_model("llama-3.1-405b"),
        accelerator=kvsim.accelerator("L4"),
        overheads=kvsim.Overheads(),
    )
    changes = [("quantization", name) for name in ("fp8", "awq")]
    degrees = ("tensor_parallel_size", "pipeline_parallel_size")
    changes += [(degree, str(size)) for degree in degrees for size in (2, 4, 8, 16)]
    changes += [("gpu", device.name) for device in devices]
    fitting = []
    for first, second in combinations(changes, 2):
        both = changed(changed(asked, *first), *second)
        if first[0] != second[0] and kvsim.plan(both, accelerators=()).fits:
            fitting.append(both.parallel.num_ranks)
    plan = kvsim.plan(asked, accelerators=devices)

    assert plan.fixes == ()
    assert plan.pair.then.num_gpus == min(fitting)


def test_copies_of_heads_are_named():
    """
    Eight KV heads over sixteen ranks: half of what a rank holds, another holds too.
    """
    asked = deployment(kv_cache_memory_bytes=12 * GiB)
    ranks = kvsim.Parallelism(tensor_parallel_size=16)
    (stage,) = kvsim.plan(dataclasses.replace(asked, parallel=ranks)).why

    assert 2 * stage.request.replicated_bytes == stage.request.total_bytes


def test_a_fitted_length_is_the_plans_length():
    """
    With max_model_len=-1 the engine takes the longest context that memory allows.
    """
    asked = deployment(max_model_len=None, auto_max_model_len=True, kv_cache_memory_bytes=GiB)
    plan = kvsim.plan(asked)
    held = plan.evaluation.capacity.best

    assert plan.fits
    assert plan.evaluation.resolved.max_model_len == held.longest_model_len == 8176
    assert "--max-model-len auto" in plan.command
    assert held.kv_cache_tokens == 8192


def test_a_fitted_length_that_does_not_fit_is_not_shortened_again():
    """
    The engine chooses the length; the advice leaves it alone.
    """
    asked = deployment(max_model_len=None, auto_max_model_len=True, kv_cache_memory_bytes=GiB)
    plan = kvsim.plan(asked, concurrent_requests=50)

    assert not plan.fits
    assert "max_model_len" not in {fix.setting for fix in plan.fixes}


def test_the_command_repeats_what_was_asked():
    """
    What changes the cache must stand in the launch line, under the engine's own flags.
    """
    asked = deployment(
        kv_cache_dtype="fp8",
        kv_cache_dtype_skip_layers=("0", "31"),
        disable_hybrid_kv_cache_manager=True,
        speculative_method="ngram",
        num_speculative_tokens=3,
    )
    command = kvsim.plan(asked).command

    assert "--kv-cache-dtype-skip-layers 0 31" in command
    assert "--disable-hybrid-kv-cache-manager" in command
    assert '--speculative-config \'{"method": "ngram", "num_speculative_tokens": 3}\'' in command


def test_what_is_offloaded_must_fit_the_host():
    """
    40 GiB of weights on each of two devices need 80 GiB of host memory and the system's own.
    """
    offloaded = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-70b"),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
        engine=kvsim.Vllm(max_model_len=8192),
        parallel=kvsim.Parallelism(tensor_parallel_size=2),
        weights_on_host_bytes=40 * GiB,
    )
    enough = kvsim.plan(dataclasses.replace(offloaded, host_memory_bytes=96 * GiB))
    lacking = kvsim.plan(dataclasses.replace(offloaded, host_memory_bytes=64 * GiB))

    assert enough.fits
    assert lacking.evaluation.fit.causes == (kvsim.Cause.HOST_MEMORY,)
    assert "host memory lacks 20.00 GiB" in lacking.evaluation.fit.reasons[0]
    assert kvsim.plan(offloaded).fits  # nothing is known of the machine, nothing is claimed


@pytest.mark.parametrize("model", ["qwen3-32b", "gemma-3-27b", "qwen3-next-80b-a3b"])
def test_a_request_is_charged_to_the_stage_that_holds_most(model):
    """
    Fixed bytes, bytes per token and the whole are one stage's, as the need of one request is.
    32,640 tokens are whole blocks of 16 and of 544.
    """
    plan = kvsim.plan(
        kvsim.Deployment(
            model=kvsim.load_model(model),
            accelerator=kvsim.accelerator("B200-SXM-180GB"),
            engine=kvsim.Vllm(max_model_len=32640),
            parallel=kvsim.Parallelism(pipeline_parallel_size=3),
        )
    )
    held = plan.evaluation.capacity
    widest = max(plan.why, key=lambda stage: stage.block_bytes)

    line = held.cost.fixed_bytes + 32640 * held.cost.bytes_per_token
    assert line == held.request.total_bytes
    assert held.request.total_bytes <= widest.request.total_bytes


def test_stages_do_not_change_what_a_token_computes_for_each_byte_it_reads():
    """
    Operations and bytes are both the whole model's: four equal stages read what one reads.
    """

    def intensity(stages):
        parallel = kvsim.Parallelism(pipeline_parallel_size=stages)
        engine = kvsim.Vllm(max_model_len=32768)
        deployment = kvsim.Deployment(
            model=LLAMA, accelerator=H100, engine=engine, parallel=parallel
        )
        return kvsim.plan(deployment).compute.compute.decode_step.intensity

    assert intensity(4) == pytest.approx(intensity(1), rel=0.1)


def test_an_engine_that_does_not_start_holds_nothing():
    """
    It asks for more than is free: the share that it could have is what makes two requests fit.
    """
    engine = kvsim.Vllm(max_model_len=131072)
    busy = kvsim.Deployment(
        model=LLAMA, accelerator=H100, engine=engine, other_processes_bytes=20 * GiB
    )
    plan = kvsim.plan(busy)

    assert plan.evaluation.fit.max_requests == 0
    assert [fix.effect for fix in plan.fixes] == ["2 x 131,072 tokens fit, now 0"]


def test_another_length_is_said_on_both_sides():
    """
    Three requests of the model's length are no gain over one of a third of it, read alone.
    """
    engine = kvsim.Vllm(auto_max_model_len=True)
    deployment = kvsim.Deployment(model=LLAMA, accelerator=kvsim.accelerator("A10"), engine=engine)
    plan = kvsim.plan(deployment)
    now = plan.evaluation.resolved.max_model_len

    assert plan.more_users
    assert all(fix.effect.endswith(f"now 1 x {now:,}") for fix in plan.more_users)
