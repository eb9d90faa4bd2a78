"""Every engine side by side for the same model and device."""

import json

import pytest

import kvsim
from kvsim.cli import main

LLAMA = kvsim.load_model("llama-3.1-8b")
H100 = kvsim.accelerator("H100-SXM5-80GB")


def deployment(model=LLAMA, accelerator=H100, parallel=None, **engine):
    return kvsim.Deployment(
        model=model,
        accelerator=accelerator,
        engine=kvsim.Vllm(**{"max_model_len": 8192} | engine),
        parallel=parallel or kvsim.Parallelism(),
    )


def answers(*args, engines=None, num_tokens=None, **changes):
    told = kvsim.compare(deployment(*args, **changes), engines=engines, num_tokens=num_tokens)
    return {str(answer.engine): answer for answer in told.engines}


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

    assert told.best.tokens == plan.evaluation.capacity.best.kv_cache_tokens
    assert told.best.requests == plan.evaluation.capacity.best.max_requests
    assert told.cache_bytes == plan.evaluation.budget.kv_cache_bytes


def test_estimates_are_ordered():
    """
    Less memory never holds more.
    """
    for answer in answers().values():
        if answer.best is not None:
            assert answer.low.requests <= answer.best.requests <= answer.high.requests
            assert answer.low.tokens <= answer.best.tokens <= answer.high.tokens


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
    assert told.best is None
    assert "vision tower" in told.refusal


def test_weights_that_do_not_fit_are_a_verdict():
    """
    No negative capacity: nothing is held, and the reason is said.
    """
    told = answers(kvsim.load_model("llama-3.1-70b"))

    for name in ("vllm", "sglang", "tensorrt-llm", "llama.cpp", "ideal"):
        assert told[name].best.requests == 0
        assert told[name].refusal


def test_only_vllm_answers_for_pipeline_stages():
    """
    The others' stages are not known: the whole model beside one stage's memory is no answer.
    """
    told = answers(parallel=kvsim.Parallelism(pipeline_parallel_size=2))

    assert told["vllm"].best.requests > answers()["vllm"].best.requests
    for name in set(told) - {"vllm"}:
        assert told[name].cost is None
        assert told[name].best is None
        assert "pipeline_parallel_size must be 1" in told[name].refusal


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

    assert told.best.requests == 0
    assert told.refusal == "the states of max_batch_size=2048 leave no block"


def test_unknown_engines_are_refused_with_the_choices():
    """
    A typing error is no engine.
    """
    with pytest.raises(kvsim.SpecError, match="engines=vlm must be all or of ideal"):
        answers(engines=["vlm"])


def test_the_command_prints_what_the_call_gives(capsys):
    """
    `kvsim compare MODEL --engines all`.
    """
    arguments = ["compare", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB", "--max-model-len", "8192"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)

    assert printed["engines"] == kvsim.compare(deployment()).as_dict()["engines"]
    assert main([*arguments, "--engines", "vllm,sglang"]) == 0
    assert "sglang" in capsys.readouterr().out
