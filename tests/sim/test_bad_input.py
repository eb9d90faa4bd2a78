"""What no engine could serve is refused by name; what it cuts is cut; nothing runs for ever."""

import pytest

import kvsim
from tests.sim.runs import layer, serve, settings, state_layer, workload


def test_a_request_longer_than_the_pool_is_refused():
    """It would preempt itself for ever."""
    with pytest.raises(kvsim.SpecError, match="request 1 needs 10 blocks for 40 tokens"):
        serve(workload((8, 8), (20, 20)), num_gpu_blocks=10)


@pytest.mark.parametrize("prompt", [64, 65, 1000])
def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused(prompt):
    """The engine refuses it before the scheduler sees it."""
    with pytest.raises(kvsim.SpecError, match=f"num_prompt_tokens={prompt} must be < max_model"):
        serve(workload((prompt, 1)), num_gpu_blocks=1000)


def test_an_answer_longer_than_the_context_is_cut():
    """The engine generates until the context is full."""
    done = serve(workload((60, 50)), num_gpu_blocks=17)

    assert done.requests[0].num_output_tokens == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_prompt_tokens", 0),
        ("num_output_tokens", 0),
        ("num_output_tokens", -3),
        ("num_samples", 0),
        ("num_prompt_tokens", True),
        ("num_prompt_tokens", 1.5),
    ],
)
def test_a_request_without_tokens_is_refused(field, value):
    """A zero-length answer is no request; nor is half a token."""
    given = {"num_prompt_tokens": 5, "num_output_tokens": 5} | {field: value}
    with pytest.raises(kvsim.SpecError, match=f"{field}={value!r} must be a whole number >= 1"):
        kvsim.Request(**given)


@pytest.mark.parametrize("arrival_s", [-0.5, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(arrival_s):
    """Time starts at 0 and ends."""
    with pytest.raises(kvsim.SpecError, match="arrival_s="):
        kvsim.Request(num_prompt_tokens=1, num_output_tokens=1, arrival_s=arrival_s)


def test_unordered_times_are_refused():
    """The message says which request came too early."""
    late, early = (
        kvsim.Request(num_prompt_tokens=1, num_output_tokens=1, arrival_s=t) for t in (2.0, 1.0)
    )
    with pytest.raises(kvsim.SpecError, match="arrival_s=1 of request 1 must be >= 2"):
        kvsim.Workload(requests=(late, early))


def test_an_empty_workload_is_refused():
    """There is nothing to simulate."""
    with pytest.raises(kvsim.SpecError, match="must hold at least one request"):
        kvsim.Workload(requests=())


def test_segments_that_do_not_add_up_are_refused():
    """A prompt is as long as what it is made of."""
    with pytest.raises(kvsim.SpecError, match="num_prompt_tokens=5 must be its segments' 4"):
        kvsim.Request(num_prompt_tokens=5, num_output_tokens=1, prompt=(kvsim.PromptSegment(1, 4),))


@pytest.mark.parametrize("num_gpu_blocks", [-1, 0, 1])
def test_a_pool_of_one_block_is_refused(num_gpu_blocks):
    """The null block is all that it has."""
    with pytest.raises(kvsim.SpecError, match=f"num_gpu_blocks={num_gpu_blocks} must be >= 2"):
        serve(workload((1, 1)), num_gpu_blocks=num_gpu_blocks)


def test_layers_without_a_cache_are_refused():
    """A model that caches nothing has no blocks to schedule."""
    cache_config, config = settings()
    with pytest.raises(kvsim.SpecError, match="layers must hold at least one layer"):
        kvsim.simulate_schedule([], cache_config, config, workload((1, 1)), num_gpu_blocks=9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"policy": "lifo"}, "policy='lifo' must be one of fcfs, priority"),
        ({"watermark": -0.1}, "watermark=-0.1 must be >= 0"),
        ({"acceptance_rate": 1.5}, r"acceptance_rate=1.5 must be in \[0, 1\]"),
        ({"max_num_seqs": 0}, "max_num_seqs=0 must be a whole number >= 1"),
        ({"max_num_seqs": 4, "max_num_active_seqs": 5}, "max_num_active_seqs=5"),
        ({"prefix_cache_retention_interval": -1}, "prefix_cache_retention_interval=-1"),
        ({"prefix_cache_retention_interval": 8, "caching": True}, "must be 0 without windows"),
    ],
)
def test_settings_that_no_engine_takes_are_refused(given, message):
    """The message names the field, its value and the rule."""
    with pytest.raises(kvsim.SpecError, match=message):
        serve(workload((1, 1)), num_gpu_blocks=17, **given)


def test_a_retention_interval_must_meet_block_borders():
    """Windows are kept at borders where every group's blocks end."""
    layers = [layer(), layer("SlidingWindowSpec", sliding_window=10)]
    with pytest.raises(kvsim.SpecError, match="must be a multiple of 4 tokens"):
        serve(
            workload((1, 1)),
            num_gpu_blocks=99,
            layers=layers,
            caching=True,
            prefix_cache_retention_interval=6,
        )


def test_states_that_are_not_aligned_cache_no_prefixes():
    """The engine stops where its block hashes do not fit the groups."""
    with pytest.raises(kvsim.UnsupportedError, match="mamba_cache_mode must be align"):
        serve(
            workload((1, 1)),
            num_gpu_blocks=99,
            layers=[layer(), state_layer(cached=False, max_model_len=64)],
            caching=True,
        )


def test_a_run_that_gets_nowhere_is_stopped():
    """Two state blocks pass the engine's check; with async scheduling three are needed."""
    with pytest.raises(kvsim.SpecError, match="alone in the cache it preempts itself for ever"):
        serve(
            workload((30, 20)),
            num_gpu_blocks=3,
            layers=[state_layer(cached=True, max_model_len=64)],
            max_num_batched_tokens=4,
            caching=True,
            async_scheduling=True,
        )


def test_a_prompt_that_no_step_can_hold_is_stopped():
    """Without chunked prefill it waits in front of all others, for ever."""
    with pytest.raises(kvsim.SpecError, match="request 0 can never be scheduled"):
        serve(
            workload((30, 2), (3, 2)),
            num_gpu_blocks=99,
            max_num_batched_tokens=16,
            enable_chunked_prefill=False,
        )


def test_what_was_done_is_returned_on_ctrl_c(monkeypatch):
    """A long run that is stopped has records to show; without being asked for them it stops."""
    calls = iter(range(6))

    def stopping(self, batch):  # noqa: ARG001
        if next(calls) == 5:
            raise KeyboardInterrupt
        return 1.0

    monkeypatch.setattr("kvsim.sim.step_times.ConstantStepTime.__call__", stopping)
    cache_config, config = settings()
    arguments = ([layer()], cache_config, config, workload((4, 3), (4, 30)))
    done = kvsim.simulate_schedule(
        *arguments, num_gpu_blocks=33, scheduler="reference", keep_partial=True
    )

    assert done.interrupted
    assert (len(done.steps), len(done.requests), done.num_requests) == (5, 1, 2)
    calls = iter(range(6))
    with pytest.raises(KeyboardInterrupt):
        kvsim.simulate_schedule(*arguments, num_gpu_blocks=33, scheduler="reference")
