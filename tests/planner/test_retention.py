"""Retention windows: closed form against the workload's own walk, and the edges of a window."""

import dataclasses

import numpy as np
import pytest

import kvsim
from kvsim.planner.retention import split, store_of
from kvsim.sim.histories import histories
from kvsim.units import GiB

REPLICA = kvsim.Deployment(
    model=kvsim.load_model("llama-3.1-8b"),
    accelerator=kvsim.accelerator("L4"),
    engine=kvsim.Vllm(max_model_len=8192),
)
STORE = store_of(kvsim.plan(REPLICA).evaluation)
WINDOWS = (0.0, 1.0, 10.0, 60.0, 600.0, 1e9)


def chat(num_requests=300, rate_per_s=1.0, seed=0):
    return kvsim.generate_workload(
        "chat", num_requests=num_requests, seed=seed, arrivals={"rate_per_s": rate_per_s}
    )


def talk(*times_s):
    """Turns of one conversation: 32 tokens asked, 32 answered, all before them repeated."""
    turns, said = [], ()
    for i, at_s in enumerate(times_s):
        said = (*said, kvsim.PromptSegment(2 * i + 1, 32))
        turns.append(
            kvsim.Request(
                num_prompt_tokens=32 * len(said),
                num_output_tokens=32,
                arrival_s=at_s,
                prompt=said,
                output_segment=2 * i + 2,
            )
        )
        said = (*said, kvsim.PromptSegment(2 * i + 2, 32))
    return kvsim.Workload(requests=tuple(turns))


def test_a_talk_by_hand():
    """
    Turns at 0, 10 and 40 s leave 4, 8 and 12 blocks: 10 s and 30 s idle, the last unknown.
    """
    kept = histories(talk(0.0, 10.0, 40.0), STORE)

    assert kept.held(100.0).mean_chunks == (10 * 4 + 30 * 8) / 40
    assert kept.held(100.0).peak_chunks == 8
    assert kept.held(5.0).mean_chunks == (5 * 4 + 5 * 8) / 40
    assert kept.with_answers.tokens(30.0).tolist() == [0, 64, 0]
    assert kept.with_answers.tokens(30.1).tolist() == [0, 64, 128]
    assert kept.prompts.tokens(30.1).tolist() == [0, 32, 96]


def test_time_to_answer_is_not_idle():
    """
    A history is idle from its answer's end; one that is asked for before is never idle.
    """
    kept = histories(talk(0.0, 10.0, 40.0), STORE, ends_s=[12.0, 16.0, 41.0])

    assert kept.held(100.0).mean_chunks == 24 * 8 / 40
    assert kept.with_answers.tokens(0.0).tolist() == [0, 64, 0]
    assert kept.with_answers.reuse(25.0).saved_tokens == 128


def test_the_closed_form_is_the_measured_mean():
    """
    Poisson requests that share nothing: rate x window x bytes, within the workload's own error.
    """
    traffic = kvsim.PoissonTraffic(num_requests=1000, rate_per_s=2.0)
    off = []
    for seed in range(8):
        kept = histories(kvsim.poisson_workload(traffic, seed=seed), STORE)
        steady, by_hand = kept.steady_chunks(5.0), kept.chunks_per_turn * 5.0 * 999
        assert steady == pytest.approx(by_hand / (kept.last_s - kept.first_s))
        off.append(kept.held(5.0).mean_chunks / steady - 1.0)
    error = np.std(off, ddof=1) / np.sqrt(len(off))

    assert abs(np.mean(off)) < 3 * error + 5.0 / 500  # the tier fills for one window of 500 s


def test_the_closed_form_holds_for_conversations():
    """
    Users come back after a while and share a system prompt; the workload's end hides some.
    """
    off = []
    for seed in range(6):
        kept = histories(chat(800, 2.0, seed), STORE)
        off.append(kept.held(10.0).mean_chunks / kept.steady_chunks(10.0) - 1.0)
    error = np.std(off, ddof=1) / np.sqrt(len(off))

    assert abs(np.mean(off)) < 3 * error + 10.0 / 400


def test_a_returning_user_cut_off_by_the_end_is_not_taken_for_gone():
    """
    Of the idle times that a short workload shows in part, the estimate is that of a long one.
    """
    long, short = (histories(chat(n, 1.0, 3), STORE).idle_s(30.0) for n in (1500, 300))

    assert short == pytest.approx(long, rel=0.1)


@pytest.fixture(scope="module")
def study():
    return kvsim.retention(REPLICA, chat(), window_s=WINDOWS, step_time_s=0.02)


def test_a_window_of_nothing_and_one_without_end(study):
    """
    Nothing is kept, so nothing is saved; all is kept, so all that was ever seen is found.
    """
    never, ever = study.windows[0], study.windows[-1]
    ideal = kvsim.summarize_workload(chat(), block_size=16).prefix

    assert (never.steady_bytes, never.mean_bytes, never.peak_bytes) == (0, 0.0, 0)
    assert never.prompts.saved_tokens == never.with_answers.saved_tokens == 0
    assert ever.prompts.token_rate == pytest.approx(ideal.token_rate, rel=1e-12)
    assert ever.prompts.request_rate == pytest.approx(ideal.request_rate, rel=1e-12)
    assert ever.prompts.hit_requests == pytest.approx(ideal.hit_requests, rel=1e-12)


def test_a_longer_window_keeps_and_finds_no_less(study):
    """
    In every figure but the time that nobody is asked for.
    """
    for shorter, longer in zip(study.windows, study.windows[1:], strict=False):
        assert shorter.steady_bytes <= longer.steady_bytes
        assert shorter.mean_bytes <= longer.mean_bytes
        assert shorter.peak_bytes <= longer.peak_bytes
        assert shorter.with_answers.token_rate <= longer.with_answers.token_rate
        assert shorter.prompts.saved_tokens <= longer.prompts.saved_tokens


def test_tiers_sum_to_the_whole():
    """
    The nearest tier fills first; what is left over has no place.
    """
    small = dataclasses.replace(REPLICA, host_memory_bytes=2 * GiB)
    answer = kvsim.retention(
        small,
        chat(),
        window_s=WINDOWS,
        offload=kvsim.Offload(disk_bytes=3 * GiB, offload_bytes_per_s=2e10, disk_bytes_per_s=2e9),
        step_time_s=0.02,
    )
    for window in answer.windows:
        tiers = window.tiers
        assert tiers.gpu + tiers.host + tiers.disk + tiers.beyond == window.steady_bytes
        assert tiers.gpu <= answer.gpu_free_bytes
    last = answer.windows[-1].tiers
    assert (last.host, last.disk) == (2 * GiB, 3 * GiB)
    assert last.beyond > 0
    moved = answer.transfer
    assert moved.from_host_s == moved.num_bytes / 2e10
    assert moved.from_disk_s == pytest.approx(moved.num_bytes / 2e10 + moved.num_bytes / 2e9)


def test_groups_of_a_hybrid_model_take_chunks_of_their_own():
    """
    A history takes as many chunks as the engine's own count says, whatever its groups keep.
    """
    hybrid = dataclasses.replace(
        REPLICA,
        model=kvsim.load_model("gemma-3-12b"),
        accelerator=kvsim.accelerator("H100-SXM5-80GB"),
    )
    store = store_of(kvsim.plan(hybrid).evaluation)
    request = kvsim.Request(num_prompt_tokens=3000, num_output_tokens=77)
    later = dataclasses.replace(request, arrival_s=100.0)
    kept = histories(kvsim.Workload(requests=(request, later)), store)

    assert len(store.groups) > 1
    assert kept.chunks_per_turn == store.chunks(3077)


def test_costs_are_of_stated_prices_alone(study):
    """
    The device's share of its price by bytes; a tier without a price has no cost.
    """
    priced = kvsim.retention(
        REPLICA,
        chat(),
        window_s=600.0,
        host_usd_per_gib_month=2.0,
        price=kvsim.Price(low_usd_per_hour=1.0, high_usd_per_hour=2.0, date="", source="stated"),
        step_time_s=0.02,
    )
    (window,) = priced.windows
    share = window.tiers.gpu / REPLICA.accelerator.total_bytes.best

    assert window.usd_per_month["gpu"] == pytest.approx((share * 730, share * 1460))
    assert window.usd_per_month["host"] == pytest.approx((2 * window.tiers.host / GiB,) * 2)
    assert window.usd_per_month["disk"] is None
    assert study.windows[0].usd_per_month["host"] is None


def test_a_device_without_a_price_costs_nothing_that_is_known():
    """
    Its bytes are told, its dollars are not, and a note asks for a price.
    """
    unpriced = dataclasses.replace(REPLICA.accelerator, price=None)
    asked = dataclasses.replace(REPLICA, accelerator=unpriced)
    answer = kvsim.retention(asked, chat(), window_s=600.0)

    assert answer.windows[0].tiers.gpu > 0
    assert answer.windows[0].usd_per_month["gpu"] is None
    assert any("no price is known for this device" in note for note in answer.notes)
    assert any("step times are not calibrated" in note for note in answer.notes)


def test_requests_that_share_nothing_say_that_nothing_returns():
    """
    No error: their tier has a size, and finds nothing.
    """
    traffic = kvsim.PoissonTraffic(num_requests=20, rate_per_s=1.0)
    answer = kvsim.retention(
        REPLICA, kvsim.poisson_workload(traffic), window_s=5.0, step_time_s=0.02
    )

    assert answer.windows[0].with_answers.token_rate == 0.0
    assert answer.windows[0].steady_bytes > 0
    assert any("nothing returns" in note for note in answer.notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_s": -1.0}, "window_s=-1 must be >= 0"),
        ({"window_s": ()}, "at least one window"),
        ({"window_s": float("inf")}, "window_s=inf must be >= 0"),
        ({"window_s": 1.0, "host_usd_per_gib_month": -2.0}, "host_usd_per_gib_month=-2 must be"),
    ],
)
def test_impossible_questions_are_refused(changes, message):
    """
    The field, the value and the rule.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.retention(REPLICA, chat(10), step_time_s=0.02, **changes)


def test_requests_without_a_rate_are_refused():
    """
    All at once: there is no time between turns.
    """
    with pytest.raises(kvsim.SpecError, match="arrive over time"):
        kvsim.retention(REPLICA, talk(0.0, 0.0), window_s=1.0, step_time_s=0.02)


def test_replicas_are_refused():
    """
    Which replica keeps a history is the router's business.
    """
    two = dataclasses.replace(REPLICA, parallel=kvsim.Parallelism(data_parallel_size=2))
    with pytest.raises(kvsim.SpecError, match="data_parallel_size must be 1"):
        kvsim.retention(two, chat(10), window_s=1.0)


def test_rooms_fill_in_order():
    """
    The parts are the whole, for any rooms.
    """
    for rooms in ([0, 0, 0], [5, None, 3], [100, 1, 1], [1, 2, None]):
        assert sum(split(7, rooms)) == 7


def test_histories_as_long_as_the_context_are_computed_again():
    """
    A mean history is one request of the engine's, never longer than the longest there is.
    """
    full = tuple(
        kvsim.Request(num_prompt_tokens=8000, num_output_tokens=192, arrival_s=float(i))
        for i in range(2)
    )
    answer = kvsim.retention(REPLICA, kvsim.Workload(requests=full), window_s=1.0, step_time_s=0.02)

    assert answer.transfer.num_tokens == 8192
