"""Inverse questions: every answer fits, and one more does not."""

# long: one claim after another about one question

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.units import GiB

H100 = kvsim.accelerator("H100-SXM5-80GB")
LLAMA = kvsim.load_model("llama-3.1-8b")
MODELS = sorted(entry.id for entry in kvsim.catalog_models())
GPUS = sorted(a.name for a in kvsim.catalog_accelerators() if a.reported_bytes is not None)


def deployment(model=LLAMA, *, parallel=None, **engine):
    return kvsim.Deployment(
        model=model,
        accelerator=H100,
        engine=kvsim.Vllm(**engine),
        parallel=parallel or kvsim.Parallelism(),
    )


def put(asked, target, value):
    """The deployment with one quantity changed: written apart from the solver, as a user would."""
    if target == "num_gpus":
        assert value % asked.parallel.num_ranks == 0
        ranks = asked.parallel.tensor_parallel_size * value // asked.parallel.num_ranks
        parallel = dataclasses.replace(asked.parallel, tensor_parallel_size=ranks)
        return dataclasses.replace(asked, parallel=parallel)
    if target == "tensor_parallel_size":
        parallel = dataclasses.replace(asked.parallel, tensor_parallel_size=value)
        return dataclasses.replace(asked, parallel=parallel)
    if target == "accelerator":
        return dataclasses.replace(asked, accelerator=kvsim.accelerator(value))
    if target == "offload_bytes":
        engine = dataclasses.replace(asked.engine, kv_offloading_size=value / GiB)
        return dataclasses.replace(asked, engine=engine)
    names = {"num_gpu_blocks": "num_gpu_blocks_override"}
    if target == "quantization" and value == (getattr(asked.model.quantization, "method", "none")):
        value = None
    engine = dataclasses.replace(asked.engine, **{names.get(target, target): value})
    return dataclasses.replace(asked, engine=engine)


def fits(asked, target, value, requests):
    """Whether `plan` says so; refused is no."""
    if target == "max_num_seqs":
        requests = value * asked.parallel.data_parallel_size
    try:
        changed = put(asked, target, value)
        if target == "offload_bytes":
            plan = kvsim.plan(changed, accelerators=())
            held = plan.evaluation.offload
            return (
                plan.fits and held.num_prompts(plan.evaluation.resolved.max_model_len) >= requests
            )
        return kvsim.plan(changed, concurrent_requests=requests, accelerators=()).fits
    except kvsim.KvsimError:
        return False


def fewer(share):
    """A thousandth less, or a share that is refused."""
    return round(share - 0.001, 3)


NEXT = {
    "max_model_len": lambda v: v + 1,
    "max_num_seqs": lambda v: v + 1,
    "gpu_memory_utilization": fewer,
    "num_gpu_blocks": lambda v: v - 1,
    "offload_bytes": lambda v: v - 1,
}
"""One more, towards the extreme, where the values are numbers without gaps."""

SOME = {
    "max_model_len": (1, 16, 1000),
    "max_num_seqs": (1, 2, 16),
    "gpu_memory_utilization": (0.3, 0.9, 0.95),
    "num_gpu_blocks": (),
    "offload_bytes": (),
    "num_gpus": (16, 32),
    "tensor_parallel_size": (1, 2, 4, 8),
    "accelerator": ("L4", "H100-SXM5-80GB", "MI300X"),
    "kv_cache_dtype": ("auto", "fp8"),
    "quantization": ("fp8", "awq"),
}
"""Values to try where no value is said to fit. Blocks beyond the memory are no plan's business."""


SCENARIOS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "gpu": st.sampled_from(GPUS),
        "length": st.integers(1, 2**17),
        "tensor_parallel_size": st.sampled_from([1, 1, 2, 4, 8]),
        "data_parallel_size": st.sampled_from([1, 1, 2]),
    }
)
"""Any model of the catalogue on any device, few tokens or many, split or not."""


def described(scenario):
    model = kvsim.load_model(scenario["model"])
    longest = model.vllm.max_model_len or model.max_model_len or 10**6
    degrees = ("tensor_parallel_size", "data_parallel_size")
    return kvsim.Deployment(
        model=model,
        accelerator=kvsim.accelerator(scenario["gpu"]),
        engine=kvsim.Vllm(max_model_len=min(longest, scenario["length"])),
        parallel=kvsim.Parallelism(**{name: scenario[name] for name in degrees}),
    )


@pytest.mark.parametrize("examples", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_the_answer_fits_and_one_more_does_not(examples):
    """
    Judged by `plan` itself, whatever model, device and quantity: the answer is at the edge.
    """
    rules = settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    drawn = given(
        scenario=SCENARIOS,
        target=st.sampled_from(list(kvsim.Target)),
        requests=st.integers(1, 40),
    )
    rules(drawn(check_the_edge))()


def check_the_edge(scenario, target, requests):
    """The answer fits, one more does not; where nothing fits, nothing that was tried does."""
    asked = described(scenario)
    stated = None if target == "max_num_seqs" else requests
    try:
        answer = kvsim.solve(
            asked, target, concurrent_requests=stated, accelerators=kvsim.catalog_accelerators()
        )
    except kvsim.KvsimError:  # refused whatever the value: by `plan` too
        assert not any(fits(asked, target, value, requests) for value in SOME[target])
        return

    if answer.value is None:
        assert not any(fits(asked, target, value, requests) for value in SOME[target])
        assert not answer.shortfall.nearest.fits
        return
    if target != "num_gpus":  # which takes stages too, `plan` alone does not
        assert fits(asked, target, answer.value, requests)
    beyond = None if answer.beyond is None else answer.beyond.value
    if target in NEXT and answer.binding is not kvsim.Binding.END:
        beyond = NEXT[target](answer.value)
    assert beyond is None or not fits(asked, target, beyond, requests), str(beyond)


@pytest.mark.parametrize("target", ["num_gpus", "tensor_parallel_size"])
def test_fewer_devices_never_fit(target):
    """
    Not just one fewer: none below the answer does, though degrees have gaps.
    """
    asked = deployment(kvsim.load_model("llama-3.1-70b"), max_model_len=32768)
    answer = kvsim.solve(asked, target)

    assert answer.value == {"num_gpus": 3, "tensor_parallel_size": 4}[target]
    below = (fits(asked, "tensor_parallel_size", v, 1) for v in range(1, answer.value))
    assert not any(below)
    if target == "num_gpus":  # three stages: three does not divide the heads
        assert answer.at_value.deployment.parallel.pipeline_parallel_size == 3


def test_the_longest_context_is_the_plans_own():
    """
    The same number as the engine's estimate, where one request decides.
    """
    asked = deployment(kvsim.load_model("qwen3-32b"))
    answer = kvsim.solve(asked, "max_model_len")
    estimate = kvsim.plan(asked).evaluation.capacity.best.longest_model_len

    assert answer.value == 37792
    assert abs(answer.value - estimate) <= 16
    assert answer.binding is kvsim.Binding.CACHE


def test_a_length_that_the_model_ends_is_bound_by_a_rule():
    """
    Memory would hold more; the model was not made for it.
    """
    answer = kvsim.solve(deployment(), "max_model_len")

    assert answer.value == 131072
    assert answer.binding is kvsim.Binding.RULE
    assert "model's maximum of 131072" in answer.reason


def test_a_state_that_does_not_grow_sets_no_length():
    """
    Mamba states no maximum and caches nothing per token: the answer says how far it looked.
    """
    answer = kvsim.solve(deployment(kvsim.load_model("mamba-2.8b")), "max_model_len")

    assert answer.binding is kvsim.Binding.END
    assert answer.notes == (f"the model states no maximum: up to {answer.value:,} was tried",)


def test_most_sequences_each_hold_the_longest_length():
    """
    As many as the blocks divide into, less the null block.
    """
    block = 16 * 131072
    asked = deployment(max_model_len=8192, kv_cache_memory_bytes=(512 * 9 + 511) * block)

    assert kvsim.solve(asked, "max_num_seqs").value == 9
    two = dataclasses.replace(asked, parallel=kvsim.Parallelism(data_parallel_size=2))
    assert kvsim.solve(two, "max_num_seqs").value == 9  # of each replica
    with pytest.raises(kvsim.SpecError, match="concurrent_requests=4 is what max_num_seqs asks"):
        kvsim.solve(asked, "max_num_seqs", concurrent_requests=4)


def test_the_fewest_blocks_count_the_null_block():
    """
    512 blocks a request, and one that stands for none.
    """
    answer = kvsim.solve(deployment(max_model_len=8192), "num_gpu_blocks", concurrent_requests=3)

    assert answer.value == 3 * 512 + 1
    assert not answer.beyond.fits


def test_the_host_tier_is_whole_chunks():
    """
    Ten prompts of 8192 tokens at 128 KiB: 10 GiB to the byte; of two ranks as much together.
    """
    asked = deployment(max_model_len=8192)
    answer = kvsim.solve(asked, "offload_bytes", concurrent_requests=10)

    assert answer.value == 10 * GiB
    assert answer.binding is kvsim.Binding.HOST_TIER
    assert "9 of 10 prompts" in answer.reason
    two = dataclasses.replace(asked, parallel=kvsim.Parallelism(tensor_parallel_size=2))
    assert kvsim.solve(two, "offload_bytes", concurrent_requests=10).value == 10 * GiB
    old = deployment(max_model_len=8192, engine_version="0.11.0")
    with pytest.raises(kvsim.UnsupportedError, match="native offload is not known"):
        kvsim.solve(old, "offload_bytes")


def test_a_share_is_found_between_too_little_and_what_is_free():
    """
    Shares above what is free refuse to start, those below hold too little.
    """
    asked = dataclasses.replace(deployment(max_model_len=8192), other_processes_bytes=40 * GiB)
    answer = kvsim.solve(asked, "gpu_memory_utilization")

    assert 0.2 < answer.value < 0.5
    full = dataclasses.replace(asked, other_processes_bytes=70 * GiB)
    nothing = kvsim.solve(full, "gpu_memory_utilization")
    assert nothing.value is None
    assert nothing.shortfall.nearest.value == 0.115  # the largest share of 79.11 GiB that is free


def test_where_nothing_fits_the_nearest_says_what_lacks():
    """
    A model beyond the device: the bytes, and changes that `plan` confirms.
    """
    asked = deployment(kvsim.load_model("llama-3.1-70b"))
    answer = kvsim.solve(asked, "max_model_len")

    assert answer.value is None
    assert answer.binding is kvsim.Binding.WEIGHTS
    lack = answer.shortfall
    assert lack.nearest.value == 1
    assert lack.nearest.missing_bytes > 50 * GiB
    fix = next(f for f in lack.fixes if f.setting == "tensor_parallel_size")
    assert fits(put(asked, "max_model_len", 1), "tensor_parallel_size", int(fix.value), 1)


@pytest.mark.parametrize(
    ("target", "changes", "message"),
    [
        ("context", {}, "target=context must be one of max_model_len"),
        ("gpu_memory_utilization", {"kv_cache_memory_bytes": GiB}, "kv_cache_memory_bytes decides"),
        ("gpu_memory_utilization", {"num_gpu_blocks_override": 9}, "num_gpu_blocks_override"),
        ("max_model_len", {"kv_cache_dtype": "q4"}, "kv_cache_dtype=q4 must be one of"),
        ("tensor_parallel_size", {"quantization": "q9"}, "quantization=q9 must be one of"),
    ],
)
def test_contradictions_are_refused(target, changes, message):
    """
    Settings that decide the quantity, or that no value can mend, are named.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.solve(deployment(**changes), target)


def test_weights_stated_for_one_device_cannot_be_divided():
    """
    Bytes on one rank say nothing about two.
    """
    stated = kvsim.Overheads(weights_bytes=kvsim.exact(GiB))
    asked = dataclasses.replace(deployment(), overheads=stated)
    for target in ("num_gpus", "tensor_parallel_size", "quantization"):
        with pytest.raises(kvsim.SpecError, match="weights_bytes are stated for one device"):
            kvsim.solve(asked, target)
    assert kvsim.solve(asked, "max_model_len").value == 131072


def test_devices_are_those_of_the_same_vendor_or_those_given():
    """
    Another vendor's device may not run the engine; a list says what there is.
    """
    asked = deployment(kvsim.load_model("llama-3.1-70b"), max_model_len=8192)
    assert kvsim.accelerator(kvsim.solve(asked, "accelerator").value).vendor == "NVIDIA"
    some = [kvsim.accelerator(name) for name in ("MI300X", "H100-SXM5-80GB")]
    assert kvsim.solve(asked, "accelerator", accelerators=some).value == "MI300X"
    with pytest.raises(kvsim.SpecError, match="accelerators must name at least one"):
        kvsim.solve(asked, "accelerator", accelerators=())
