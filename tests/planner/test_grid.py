"""Grids equal the scalar functions at every point, whatever the cache's behaviours."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kvsim

MODELS = [model.id for model in kvsim.catalog_models()]
ENGINES = list(kvsim.EngineName)
FORMATS = ["auto", "fp8", "fp8_ds_mla", "q8_0", "int4_per_token_head"]
GPUS = [device.name for device in kvsim.catalog_accelerators()]
NEAR_BORDERS = st.sampled_from(
    [w + d for w in (16, 128, 512, 1024, 4096, 8192) for d in (-1, 0, 1)]
)
LENGTHS = st.lists(st.integers(1, 2**18) | NEAR_BORDERS, min_size=1, max_size=8)
RANKS = st.lists(st.sampled_from([1, 2, 3, 4, 8, 16]), min_size=1, max_size=2, unique=True)


def scalar_cache(model, *, engine, kv_cache_dtype, ranks, num_tokens, batch_size):
    """The scalar function's bytes, or its refusal."""
    try:
        found = kvsim.cache_bytes(
            model,
            num_tokens=num_tokens,
            batch_size=batch_size,
            engine=engine,
            kv_cache_dtype=kv_cache_dtype,
            tensor_parallel_size=ranks,
        )
    except kvsim.KvsimError as error:
        return str(error)
    return found.kv_bytes, found.state_bytes


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(MODELS),
    engine=st.sampled_from(ENGINES),
    formats=st.lists(st.sampled_from(FORMATS), min_size=1, max_size=2, unique=True),
    ranks=RANKS,
    lengths=LENGTHS,
    batches=st.lists(st.integers(1, 1000), min_size=1, max_size=2),
)
def test_cache_bytes_are_those_of_the_scalar_function(
    *, name, engine, formats, ranks, lengths, batches
):
    """Full attention, windows, chunks, latents, compressors, states, encoders: all of them."""
    model = kvsim.load_model(name)
    grid = kvsim.cache_bytes_grid(
        model,
        num_tokens=lengths,
        batch_sizes=batches,
        engine=engine,
        kv_cache_dtypes=formats,
        tensor_parallel_sizes=ranks,
    )
    for i, j, k, m in np.ndindex(grid.kv_bytes.shape):
        expected = scalar_cache(
            model,
            engine=engine,
            kv_cache_dtype=formats[i],
            ranks=ranks[j],
            num_tokens=lengths[k],
            batch_size=batches[m],
        )
        if isinstance(expected, str):
            assert not grid.answered[i, j, k]
            assert grid.total_bytes[i, j, k, m] == 0
            assert expected in [why for at, why in grid.refusals.items() if at[:2] == (i, j)]
        else:
            assert grid.answered[i, j, k]
            assert (grid.kv_bytes[i, j, k, m], grid.state_bytes[i, j, k, m]) == expected


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(MODELS),
    gpu=st.sampled_from(GPUS),
    kv_cache_dtype=st.sampled_from(["auto", "fp8"]),
    degrees=st.sampled_from([(1, 1, 1), (2, 1, 1), (8, 1, 1), (2, 2, 1), (1, 1, 3), (4, 1, 2)]),
    changes=st.sampled_from(
        [
            {},
            {"enable_chunked_prefill": False},
            {"enable_prefix_caching": False},
            {"max_num_seqs": 16},
            {"kv_cache_memory_bytes": 2**33},
            {"num_gpu_blocks_override": 500},
            {"disable_hybrid_kv_cache_manager": True},
            {"engine_version": "0.10.0"},
        ]
    ),
    lengths=LENGTHS | st.lists(st.integers(1, 20), min_size=1, max_size=6),
    requests=st.lists(st.integers(1, 500), min_size=1, max_size=3),
)
@example(  # the engine does not start: too little memory is free
    name="llama-2-7b",
    gpu="Apple M1 Pro 16GB",
    kv_cache_dtype="auto",
    degrees=(1, 1, 1),
    changes={"kv_cache_memory_bytes": 2**33},
    lengths=[1],
    requests=[1],
)
def test_plans_are_those_of_the_scalar_function(
    *, name, gpu, kv_cache_dtype, degrees, changes, lengths, requests
):
    """Every figure, every verdict and every refusal, at every length and number of requests."""
    tp, pp, dp = degrees
    deployment = kvsim.Deployment(
        model=kvsim.load_model(name),
        accelerator=kvsim.accelerator(gpu),
        engine=kvsim.Vllm(kv_cache_dtype=kv_cache_dtype, **changes),
        parallel=kvsim.Parallelism(
            tensor_parallel_size=tp, pipeline_parallel_size=pp, data_parallel_size=dp
        ),
    )
    grid = kvsim.plan_grid(deployment, max_model_len=lengths, concurrent_requests=requests)
    for k, m in np.ndindex(len(lengths), len(requests)):
        point = grid_point(grid, (0, 0, 0), k, m)
        assert point == scalar_plan(deployment, lengths[k], requests[m])


def grid_point(grid, where, k, m):
    """A point's figures as plain values; None where the grid has no answer."""
    if not grid.answered[where][k]:
        assert grid.refusals
        assert not grid.fits[where][k, m]
        return None
    verdict = "tight" if grid.tight[where][k, m] else "fits"
    names = ("kv_cache_bytes", "num_gpu_blocks", "request_blocks", "kv_cache_tokens")
    return {
        **{name: getattr(grid, name)[where][k] for name in names},
        "max_concurrency": grid.max_concurrency[where][k],
        "max_requests": grid.max_requests[where][k],
        "longest_model_len": grid.longest_model_len[where][k],
        "needed_bytes": grid.needed_bytes[where][k, m],
        "verdict": verdict if grid.fits[where][k, m] else "does not fit",
    }


def scalar_plan(deployment, max_model_len, concurrent_requests):
    """The same figures of the scalar function; None where it refuses."""
    fields = {name: getattr(deployment.engine, name) for name in kvsim.Vllm.__dataclass_fields__}
    engine = kvsim.Vllm(**fields | {"max_model_len": max_model_len})
    try:
        plan = kvsim.plan(
            kvsim.Deployment(
                model=deployment.model,
                accelerator=deployment.accelerator,
                engine=engine,
                parallel=deployment.parallel,
            ),
            concurrent_requests=concurrent_requests,
            accelerators=(),
        )
    except kvsim.KvsimError:
        return None
    found, held = plan.evaluation, plan.evaluation.capacity.best
    names = ("num_gpu_blocks", "request_blocks", "kv_cache_tokens", "max_concurrency")
    return {
        "kv_cache_bytes": found.budget.kv_cache_bytes.best,
        **{name: getattr(held, name) for name in names},
        "max_requests": found.fit.max_requests,
        "longest_model_len": held.longest_model_len,
        "needed_bytes": found.fit.needed_bytes,
        "verdict": str(found.fit.verdict),
    }


def test_a_plan_grid_has_every_axis():
    """Devices, degrees and formats beside lengths and users, each in its place."""
    gpus = [kvsim.accelerator(name) for name in ("h100", "b200")]
    degrees = [kvsim.Parallelism(tensor_parallel_size=size) for size in (1, 2, 3)]
    model = kvsim.load_model("llama-3.1-70b")
    base = kvsim.Deployment(model=model, accelerator=gpus[0])
    grid = kvsim.plan_grid(
        base,
        max_model_len=[8192, 65536],
        concurrent_requests=[1, 10, 100, 1000],
        accelerators=gpus,
        parallels=degrees,
        kv_cache_dtypes=["auto", "fp8"],
    )
    assert grid.fits.shape == (2, 3, 2, 2, 4)
    assert not grid.answered[:, 2].any()
    assert set(grid.refusals.values()) == {
        "tensor_parallel_size=3 must divide num_attention_heads=64"
    }
    for i, j, d in np.ndindex(2, 2, 2):
        engine = kvsim.Vllm(kv_cache_dtype=["auto", "fp8"][d])
        one = kvsim.Deployment(model=model, accelerator=gpus[i], engine=engine, parallel=degrees[j])
        assert grid_point(grid, (i, j, d), 1, 2) == scalar_plan(one, 65536, 100)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"num_tokens": []}, "num_tokens must hold at least one value"),
        ({"num_tokens": [2**63]}, f"num_tokens={2**63} must be <= "),
        ({"num_tokens": [0]}, "num_tokens must hold whole numbers >= 1"),
        ({"num_tokens": [1.5]}, "num_tokens must hold whole numbers >= 1"),
        ({"num_tokens": [[1]]}, "num_tokens must hold at least one value"),
        ({"num_tokens": [1], "batch_sizes": [-1]}, "batch_sizes must hold whole numbers >= 1"),
        ({"num_tokens": [2**50]}, "cache bytes=.* must be <="),
        ({"num_tokens": [10**6], "batch_sizes": [10**12]}, "cache bytes=.* must be <="),
    ],
)
def test_impossible_axes_are_refused(axes, words):
    """An overflow must not pass for a figure."""
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.cache_bytes_grid(kvsim.load_model("llama-3.1-8b"), **axes)


def test_a_length_that_the_engine_chooses_is_no_axis():
    """`max_model_len=-1` and a stated length exclude each other."""
    deployment = kvsim.Deployment(
        model=kvsim.load_model("gpt2"),
        accelerator=kvsim.accelerator("h100"),
        engine=kvsim.Vllm(auto_max_model_len=True),
    )
    with pytest.raises(kvsim.SpecError, match="auto_max_model_len must be off"):
        kvsim.plan_grid(deployment, max_model_len=[512])
