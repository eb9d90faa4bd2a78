"""What every engine makes of the same model and device."""

import pytest

import kvsim

LLAMA = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")


def deployment(model=LLAMA, accelerator=H100, parallel=None, **engine):
    return kvsim.Deployment(
        model=model,
        accelerator=accelerator,
        engine=kvsim.Vllm(**{"max_model_len": 8192} | engine),
        parallel=parallel or kvsim.Parallelism(),
    )


def answers(*args, engines=tuple(kvsim.EngineName), **changes):
    asked = deployment(*args, **changes)
    return {
        str(engine): kvsim.answer(kvsim.Scenario(deployment=asked, engine=engine))
        for engine in engines
    }


def test_every_engine_has_an_answer():
    """
    All of them, in one call, for one model and device.
    """
    assert set(answers()) == {str(name) for name in kvsim.EngineName}


def test_a_plain_model_costs_the_same_per_token_everywhere():
    """
    Llama-3.1-8B: 131,072 bytes a token whoever stores it.
    """
    assert {a.cost.bytes_per_token for a in answers().values()} == {131072}


def test_a_window_costs_what_the_engine_makes_of_it():
    """
    Gemma-3-27B at 8,192 tokens: pages, cells and pools differ; TensorRT-LLM keeps all by default.
    """
    told = answers(kvsim.load_model("gemma-3-27b"))

    assert told["ideal"].cost.request_bytes < told["vllm"].cost.request_bytes
    assert told["vllm"].cost.request_bytes < told["llama.cpp"].cost.request_bytes
    assert told["tensorrt-llm"].cost.bytes_per_token == 62 * 2 * 16 * 128 * 2


def test_vllms_answer_is_its_plans():
    """
    One number, two doors.
    """
    plan = kvsim.plan(deployment())
    told = answers(engines=["vllm"])["vllm"]

    assert told.holding.best.tokens == plan.evaluation.capacity.best.kv_cache_tokens
    assert told.holding.best.requests == plan.evaluation.capacity.best.max_requests
    assert told.holding.cache_bytes == plan.evaluation.budget.kv_cache_bytes


def test_estimates_are_ordered():
    """
    Less memory never holds more.
    """
    for held in filter(None, (answer.holding for answer in answers().values())):
        assert held.low.requests <= held.best.requests <= held.high.requests
        assert held.low.tokens <= held.best.tokens <= held.high.tokens


def test_engines_refuse_formats_they_do_not_have():
    """
    q8_0 is llama.cpp's; fp8 is not.
    """
    ggml, fp8 = answers(kv_cache_dtype="q8_0"), answers(kv_cache_dtype="fp8")

    assert "q8_0" in ggml["vllm"].refusal
    assert ggml["vllm"].cost is None
    assert ggml["llama.cpp"].cost.bytes_per_token == 69632
    assert "fp8" in fp8["llama.cpp"].refusal
    assert fp8["sglang"].cost.bytes_per_token == 65536


def test_a_figure_whose_rule_is_not_known_is_refused_and_the_others_stay():
    """
    SGLang's default fraction depends on a vision tower that the description lacks; the bytes of
    a token do not.
    """
    told = answers(kvsim.load_model("gemma-3-27b"))["sglang"]

    assert told.cost is not None
    assert told.holding is None
    assert "vision tower" in told.refusal


def test_weights_that_do_not_fit_are_a_verdict():
    """
    No negative capacity: nothing is held, and the reason is said.
    """
    told = answers(kvsim.load_model("llama-3.1-70b"))

    for name in ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "ideal"):
        assert told[name].holding.best.requests == 0
        assert told[name].refusal


def test_only_vllm_answers_for_pipeline_stages():
    """
    The others' stages are not known: the whole model beside one stage's memory is no answer.
    """
    told = answers(parallel=kvsim.Parallelism(pipeline_parallel_size=2))

    assert told["vllm"].holding.best.requests > answers()["vllm"].holding.best.requests
    for name in set(told) - {"vllm"}:
        assert told[name].cost is None
        assert told[name].holding is None
        assert "pipeline_parallel_size=2 must be 1" in told[name].refusal


def test_llama_cpp_answers_for_its_device():
    """
    It divides layers, not heads: there are no ranks.
    """
    assert not answers()["llama.cpp"].is_per_rank


def test_an_engine_that_holds_nothing_says_why():
    """
    TensorRT-LLM keeps the states of all its slots resident, whether or not anything is left.
    """
    told = answers(
        kvsim.load_model("qwen3-next-80b-a3b"), parallel=kvsim.Parallelism(tensor_parallel_size=4)
    )["tensorrt-llm"]

    assert told.holding.best.requests == 0
    assert told.refusal == "the states of max_batch_size=2048 leave no block"


def test_the_longest_request_is_the_one_that_solve_finds():
    """
    Whatever length is asked for, the model's and the device's limits stay.
    """
    for name, gpu in (("llama-3.1-8b", "RTX 4090"), ("qwen3-32b", "H100-SXM5-80GB")):
        asked = deployment(kvsim.load_model(name), kvsim.accelerator(gpu), max_model_len=1024)

        longest = kvsim.answer(asked).holding.longest_tokens
        assert longest == kvsim.solve(asked, target="max_model_len").value


def test_replicas_add_up():
    """
    Two replicas hold twice the requests, and cost twice as much.
    """
    one = kvsim.answer(deployment())
    two = kvsim.answer(deployment(parallel=kvsim.Parallelism(data_parallel_size=2)))

    assert two.holding.best.requests == 2 * one.holding.best.requests
    assert two.usd.low == 2 * one.usd.low


def test_unknown_engines_are_refused_with_the_choices():
    """
    A typing error is no engine.
    """
    with pytest.raises(kvsim.SpecError, match="engine=vlm must be of ideal"):
        kvsim.Scenario(deployment=deployment(), engine="vlm")


def test_settings_of_another_engine_are_refused():
    """
    SGLang's flags decide nothing in llama.cpp.
    """
    with pytest.raises(kvsim.SpecError, match=r"settings=Sglang must be those of engine=llama.cpp"):
        kvsim.Scenario(
            deployment=deployment(), engine=kvsim.EngineName.LLAMA_CPP, settings=kvsim.Sglang()
        )
