"""Scenarios side by side: what differs, and which setting makes the difference."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim

LLAMA = kvsim.load_model("llama-3.1-8b")
GPUS = tuple(map(kvsim.accelerator, ("H100-SXM5-80GB", "H200-SXM-141GB", "RTX 4090", "MI300X")))
MODELS = tuple(map(kvsim.load_model, ("llama-3.1-8b", "gemma-2-9b", "qwen3-next-80b-a3b")))


def deployment(model=LLAMA, accelerator=GPUS[0], parallel=None, **engine):
    return kvsim.Deployment(
        model=model,
        accelerator=accelerator,
        engine=kvsim.Vllm(**{"max_model_len": 8192} | engine),
        parallel=parallel or kvsim.Parallelism(),
    )


BASE = deployment()
FP8 = deployment(kv_cache_dtype="fp8")


@st.composite
def scenarios(draw):
    """A scenario whose settings differ in any way that a page or a command can make them."""
    engine = draw(st.sampled_from(["vllm", "vllm", "sglang", "tensorrt-llm", "ideal"]))
    degrees = draw(st.sampled_from([1, 2, 4]))
    own = {}
    if engine == "vllm":
        own = {
            "gpu_memory_utilization": draw(st.sampled_from([0.8, 0.92])),
            "max_num_seqs": draw(st.sampled_from([None, 64])),
        }
    return kvsim.Scenario(
        deployment=deployment(
            draw(st.sampled_from(MODELS)),
            draw(st.sampled_from(GPUS)),
            kvsim.Parallelism(
                tensor_parallel_size=degrees,
                decode_context_parallel_size=draw(st.sampled_from([1, 2])) if degrees > 1 else 1,
            ),
            max_model_len=draw(st.sampled_from([2048, 8192])),
            kv_cache_dtype=draw(st.sampled_from(["auto", "fp8"])),
            **own,
        ),
        engine=engine,
        concurrent_requests=draw(st.sampled_from([1, 9])),
    )


@settings(deadline=None, max_examples=60)
@given(base=scenarios(), other=scenarios())
def test_parts_and_interaction_are_the_difference(base, other):
    """
    Nothing of a difference is left untold, and nothing is told that is not there.
    """
    try:
        told = kvsim.compare([base, other])
    except kvsim.SpecError:
        return
    ours, theirs = told.answers
    for figure in told.differences[0].figures:
        known = [part.amount for part in figure.parts if part.amount is not None]
        if figure.amount is not None:
            assert sum(known) + figure.interaction == figure.amount
            assert figure.value == figure.baseline + figure.amount
        assert figure.baseline != figure.value
    if ours.holding and theirs.holding:
        apart = {figure.figure for figure in told.differences[0].figures}
        same = ours.holding.best.requests == theirs.holding.best.requests
        assert ("max_requests" in apart) is not same


@settings(deadline=None, max_examples=40)
@given(base=scenarios(), other=scenarios())
def test_a_part_is_what_the_plan_of_that_change_says(base, other):
    """
    The baseline with one setting of the other is a scenario like any: its figures are the part.
    """
    try:
        (difference,) = kvsim.compare([base, other]).differences
    except kvsim.SpecError:
        return
    ours = kvsim.answer(base)
    for change in difference.changes:
        if change.alone is None or change.alone.holding is None or ours.holding is None:
            continue
        again = kvsim.answer(change.alone.scenario)
        for figure in difference.figures:
            parts = {part.setting: part.amount for part in figure.parts}
            if figure.figure == "capacity_tokens" and parts:
                moved = again.holding.best.tokens - ours.holding.best.tokens
                assert parts[change.setting] == moved


def test_one_setting_makes_the_whole_difference():
    """
    With one change there is nothing that only takes effect together.
    """
    (difference,) = kvsim.compare([BASE, FP8]).differences

    assert [change.setting for change in difference.changes] == ["kv_cache_dtype"]
    assert all(figure.interaction == 0 for figure in difference.figures)
    amounts = {figure.figure: figure.amount for figure in difference.figures}
    assert amounts["bytes_per_token"] == -65536


def test_settings_that_take_effect_together_leave_an_interaction():
    """
    Half the bytes a token in twice the memory: each alone adds less than both.
    """
    other = replace(FP8, accelerator=GPUS[1])
    (difference,) = kvsim.compare([BASE, other]).differences
    tokens = next(f for f in difference.figures if f.figure == "capacity_tokens")
    parts = {part.setting: part.amount for part in tokens.parts}

    assert list(parts) == ["gpu", "kv_cache_dtype"]
    assert tokens.interaction == tokens.amount - sum(parts.values())
    assert tokens.interaction > 0
    price = next(f for f in difference.figures if f.figure == "low_usd_per_hour")
    assert price.amount == price.parts[0].amount


def test_names_say_what_differs_over_all():
    """
    A value that all share is no name; what one differs in names every one.
    """
    told = kvsim.compare([BASE, FP8, replace(BASE, accelerator=GPUS[1])])

    assert told.names == (
        "H100-SXM5-80GB, kv_cache_dtype=auto",
        "H100-SXM5-80GB, kv_cache_dtype=fp8",
        "H200-SXM-141GB, kv_cache_dtype=auto",
    )


def test_a_setting_that_cannot_stand_alone_says_why():
    """
    Context parallelism needs the ranks that came with it: its part is unknown, not nothing.
    """
    degrees = kvsim.Parallelism(tensor_parallel_size=16, decode_context_parallel_size=2)
    (difference,) = kvsim.compare([BASE, deployment(parallel=degrees)]).differences
    alone = {change.setting: change for change in difference.changes}

    change = alone["decode_context_parallel_size"]
    assert "must divide tensor_parallel_size=1" in change.refusal
    tokens = next(f for f in difference.figures if f.figure == "capacity_tokens")
    assert {part.setting: part.amount for part in tokens.parts}[change.setting] is None


def test_engines_differ_in_their_own_flags_as_one_setting():
    """
    No other engine has them: they cannot be moved one by one.
    """
    sglang = kvsim.Scenario(
        deployment=FP8,
        engine=kvsim.EngineName.SGLANG,
        settings=kvsim.Sglang(mem_fraction_static=0.8),
    )
    told = kvsim.compare([BASE, sglang])
    values = {change.setting: change.value for change in told.differences[0].changes}

    assert values == {"engine": "sglang mem_fraction_static=0.8", "kv_cache_dtype": "fp8"}


def test_one_engines_own_flags_are_settings_each():
    """
    Two SGLang servers differ flag by flag.
    """
    one, two = (
        kvsim.Scenario(deployment=BASE, engine=kvsim.EngineName.SGLANG, settings=kvsim.Sglang(**s))
        for s in ({"page_size": 64}, {"mem_fraction_static": 0.7})
    )
    (difference,) = kvsim.compare([one, two]).differences

    assert [c.setting for c in difference.changes] == [
        "sglang.mem_fraction_static",
        "sglang.page_size",
    ]


def test_one_length_can_be_asked_of_all():
    """
    Then lengths are no difference.
    """
    told = kvsim.compare(
        [BASE, deployment(max_model_len=2048, kv_cache_dtype="fp8")], num_tokens=99
    )

    assert [answer.num_tokens for answer in told.answers] == [99, 99]
    assert [change.setting for change in told.differences[0].changes] == ["kv_cache_dtype"]


@pytest.mark.parametrize("count", [0, 1, 7])
def test_two_to_six_are_compared(count):
    """
    One has nothing to stand beside, seven no one reads.
    """
    lengths = [deployment(max_model_len=1024 * (i + 1)) for i in range(count)]

    with pytest.raises(kvsim.SpecError, match=f"scenarios={count} must be 2 to 6"):
        kvsim.compare(lengths)


def test_equal_scenarios_are_refused():
    """
    Two that are the same say nothing, whatever they are called.
    """
    named = kvsim.Scenario(deployment=BASE, name="mine")

    with pytest.raises(kvsim.SpecError, match="scenarios 1 and 3 are the same"):
        kvsim.compare([BASE, FP8, named])


def test_equal_names_are_refused():
    """
    A difference is told by name.
    """
    pair = [kvsim.Scenario(deployment=d, name="mine") for d in (BASE, FP8)]

    with pytest.raises(kvsim.SpecError, match="scenarios=mine must not be the name of two"):
        kvsim.compare(pair)


def test_a_refused_scenario_stands_beside_the_others():
    """
    vLLM has no q8_0: what is known of the others stays, and the reason is told.
    """
    told = kvsim.compare([BASE, deployment(kv_cache_dtype="q8_0")])

    assert "q8_0" in told.answers[1].refusal
    tokens = next(f for f in told.differences[0].figures if f.figure == "capacity_tokens")
    assert tokens.value is tokens.amount is tokens.interaction is None
    assert tokens.parts == ()


def test_where_all_are_refused_nothing_is_compared():
    """
    A table without a figure is an error.
    """
    with pytest.raises(kvsim.SpecError, match="max_model_len=9999999"):
        kvsim.compare([BASE, FP8], num_tokens=9_999_999)
