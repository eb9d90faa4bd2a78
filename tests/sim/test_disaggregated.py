"""Two pools: closed forms of one request, blocks that come back, and the pool that binds."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kvsim
from tests.sim.test_replicas import workloads

MODEL = kvsim.load_model("llama-3.1-8b")
BLOCK_BYTES = 16 * 131_072  # sixteen tokens of Llama-3.1-8B
STEP_S = 0.1


def pools(workload, *, model=MODEL, blocks=400, max_model_len=2048, tp=1, engine=None, **rules):
    """Two pools with few blocks, every step as long."""
    return kvsim.simulate_blocks(
        model,
        workload,
        engine=kvsim.Vllm(
            max_model_len=max_model_len,
            num_gpu_blocks_override=blocks,
            **({"async_scheduling": False} | (engine or {})),
        ),
        parallel=kvsim.Parallelism(tensor_parallel_size=tp),
        step_time_s=STEP_S,
        disaggregation=kvsim.Disaggregation(**rules),
    )


def one(prompt=1000, answer=10, **fields):
    """A request alone."""
    request = kvsim.Request(num_prompt_tokens=prompt, num_output_tokens=answer, **fields)
    return kvsim.Workload(requests=(request,))


def test_one_request_is_prefill_then_transfer_then_decode():
    """
    One step for the prompt, 63 blocks of 2 MiB at 1 GB/s, nine steps for nine more tokens.
    """
    done = pools(one(), transfer_bytes_per_s=1e9)
    (request,) = done.requests
    transfer_s = 63 * BLOCK_BYTES / 1e9

    assert done.transferred.num_bytes == 63 * BLOCK_BYTES
    assert request.ttft_s == STEP_S
    assert request.e2e_s == pytest.approx(STEP_S + transfer_s + 9 * STEP_S)
    assert done.second_token_s.mean == pytest.approx(2 * STEP_S + transfer_s)
    assert done.waits_s == {"prefill": 0, "decode": 0, "transfer": pytest.approx(transfer_s)}
    assert done.binding == "transfer"


def test_an_infinite_bandwidth_is_an_engine_alone():
    """
    With transfers that take no time two pools give one request what one engine gives it.
    """
    alone = kvsim.simulate_blocks(
        MODEL,
        one(),
        engine=kvsim.Vllm(max_model_len=2048, num_gpu_blocks_override=400, async_scheduling=False),
        step_time_s=STEP_S,
    )
    (there,), (here,) = pools(one()).requests, alone.requests

    assert there.ttft_s == here.ttft_s
    assert there.e2e_s == pytest.approx(here.e2e_s)
    assert pools(one()).binding is None


def test_each_rank_sends_its_own_share():
    """
    Two ranks hold half the heads each: as many bytes in all.
    """
    assert pools(one(), tp=2).transferred.num_bytes == 63 * BLOCK_BYTES


def test_a_latency_comes_on_top():
    """
    Half a second before the first byte.
    """
    done = pools(one(), transfer_bytes_per_s=1e9, transfer_latency_s=0.5)

    assert done.transferred.seconds.mean == pytest.approx(63 * BLOCK_BYTES / 1e9 + 0.5)


def test_recurrent_states_move_too():
    """
    Jamba's states: more bytes than the keys and values of the blocks that tokens take.
    """
    model = kvsim.load_model("qwen3-next-80b-a3b")
    short = pools(one(prompt=100), model=model, blocks=4000).transferred.num_bytes
    long = pools(one(prompt=1900), model=model, blocks=4000).transferred.num_bytes
    layout = kvsim.vllm_cache(model, kvsim.Vllm(max_model_len=2048)).start(2**40)
    states = [g for g in layout.groups if g.type_name == "MambaSpec"]
    state_bytes = sum(len(g.layers) * g.spec.page_size_bytes for g in states)

    assert states
    assert short > state_bytes
    assert long > short


def test_what_the_decode_pool_has_cached_is_not_sent_again():
    """
    The same prompt twice: the second one's whole blocks are there, all but the last token's.
    """
    prompt = (kvsim.PromptSegment(1, 1000),)
    requests = tuple(
        kvsim.Request(
            num_prompt_tokens=1000, num_output_tokens=5, prompt=prompt, arrival_s=10.0 * i
        )
        for i in range(2)
    )
    done = pools(kvsim.Workload(requests=requests), transfer_bytes_per_s=1e9)

    assert done.transferred.num_bytes == (63 + 1) * BLOCK_BYTES
    assert done.prefix_cache.hit_tokens == 992


def test_an_answer_of_one_token_goes_nowhere():
    """
    It is complete in the prefill pool.
    """
    done = pools(one(answer=1), transfer_bytes_per_s=1e9)

    assert (len(done.requests), done.transferred.num_transfers) == (1, 0)
    assert done.second_token_s is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    workload=workloads(),
    prefill=st.integers(1, 3),
    decode=st.integers(1, 3),
    rate=st.sampled_from([None, 1e8, 1e9]),
    is_async=st.booleans(),
)
def test_every_answer_is_whole_and_every_block_comes_back(
    workload, prefill, decode, rate, is_async
):
    """
    Of every request in its order, its first token in one pool and its last in the other.
    """
    done = pools(
        workload,
        blocks=45,
        max_model_len=512,
        engine={"async_scheduling": is_async},
        prefill_replicas=prefill,
        decode_replicas=decode,
        transfer_bytes_per_s=rate,
    )
    asked = [(i, n, r) for i, r in enumerate(workload) for n in range(r.num_samples)]

    assert [(r.index, r.sample) for r in done.requests] == [(i, n) for i, n, _ in asked]
    for record, (_, _, request) in zip(done.requests, asked, strict=True):
        assert record.num_output_tokens == request.num_output_tokens
        assert record.arrival_s <= record.first_token_s <= record.finish_s
        assert done.steps[record.first_step].end_s <= record.first_token_s
    assert sum(len(one.requests) for one in done.prefill) == len(asked)
    for replica in (*done.prefill, *done.decode):
        assert replica.num_free_blocks == 44
        assert replica.peak_blocks <= 44
    gaps = sum(r.num_output_tokens - 1 for r in done.requests)
    if gaps:
        mean = sum(r.finish_s - r.first_token_s for r in done.requests) / gaps
        assert done.itl_s.mean == pytest.approx(mean)


@pytest.mark.parametrize(
    ("rules", "requests", "binding"),
    [
        ({"decode_replicas": 4, "transfer_bytes_per_s": 1e12}, (1900, 3), "prefill"),
        ({"prefill_replicas": 4, "transfer_bytes_per_s": 1e12}, (300, 400), "decode"),
        ({"transfer_bytes_per_s": 2e7}, (300, 20), "transfer"),
    ],
)
def test_the_pool_that_binds_is_named(rules, requests, binding):
    """
    Long prompts wait for the prefill pool, long answers for blocks of the decode pool, even where
    prompts stand in line because nobody fetches the ones before; a slow link is a link.
    """
    prompt, answer = requests
    workload = kvsim.Workload(
        requests=tuple(
            kvsim.Request(num_prompt_tokens=prompt, num_output_tokens=answer, arrival_s=0.05 * i)
            for i in range(40)
        )
    )
    done = pools(workload, blocks=200, engine={"max_num_batched_tokens": 2048}, **rules)

    assert done.binding == binding
    assert done.as_dict()["disaggregation"]["binding"] == binding


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parallel": kvsim.Parallelism(data_parallel_size=2)}, "data_parallel_size=2 must be 1"),
        ({"parallel": kvsim.Parallelism(pipeline_parallel_size=2)}, "pipeline_parallel_size=2"),
        ({"scheduler": "compiled"}, "scheduler=compiled does not cover"),
    ],
)
def test_what_two_pools_do_not_do_is_refused(changes, message):
    """
    With the field, its value and why.
    """
    engine = kvsim.Vllm(max_model_len=2048, num_gpu_blocks_override=400)
    with pytest.raises(kvsim.KvsimError, match=message):
        kvsim.simulate_blocks(
            MODEL, one(), engine=engine, disaggregation=kvsim.Disaggregation(), **changes
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [("prefill_replicas", 0), ("transfer_bytes_per_s", 0.0), ("transfer_latency_s", -1.0)],
)
def test_rules_have_ranges(field, value):
    """
    At least one replica each, a rate above 0, no time before now.
    """
    with pytest.raises(kvsim.SpecError, match=f"{field}={value:g}"):
        kvsim.Disaggregation(**{field: value})
