"""Defaults as the engines document them, and answers of specs to yes-or-no questions."""

from dataclasses import replace

import kvsim
from kvsim.analytic.capacity import Verdict
from kvsim.engines.llama_cpp import NOT_MODELED, llama_cpp_layout
from kvsim.specs.bench import BenchRequest
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.speculative import DRAFTERS
from kvsim.specs.transformers import Transformers
from kvsim.specs.workload import PoissonTraffic
from tests.engines.behaviours import heads, model


def test_generated_traffic_is_a_thousand_requests_unless_told():
    """
    1,000 requests of 1,000 and 250 tokens, spread by 200 and 50, all at once.
    """
    told = PoissonTraffic(
        num_requests=1000,
        rate_per_s=None,
        prompt_tokens=1000.0,
        prompt_tokens_std=200.0,
        output_tokens=250.0,
        output_tokens_std=50.0,
    )

    assert PoissonTraffic() == told


def test_a_quantised_cache_keeps_128_tokens_as_they_were():
    """
    transformers `QuantizedCache`: residual_length=128, groups of 64.
    """
    assert (Transformers().residual_length, Transformers().q_group_size) == (128, 64)


def test_which_drafters_keep_asynchronous_scheduling():
    """
    Those that draft on the device: MTP, and n-grams there; none but MTP adds layers.
    """
    assert {name for name, d in DRAFTERS.items() if d.runs_async} == {"mtp", "ngram_gpu"}
    assert {name for name, d in DRAFTERS.items() if d.adds_layers} == {"mtp"}


def test_a_tight_fit_is_a_fit():
    """
    Only what does not fit does not.
    """
    assert [v for v in Verdict if v.fits] == [Verdict.FITS, Verdict.TIGHT]


def test_a_request_is_timed_if_its_start_and_first_token_are_known():
    """
    Either alone places nothing.
    """
    request = BenchRequest(num_prompt_tokens=1, num_output_tokens=1, start_s=0.0, ttft_s=1.0)

    assert request.is_timed is True
    assert replace(request, ttft_s=None).is_timed is False
    assert replace(request, start_s=None).is_timed is False


def test_what_a_layout_leaves_out_is_said_as_text():
    """
    Each a phrase, the model's own after the engine's.
    """
    layout = llama_cpp_layout(model((2, heads(8, 128)), max_model_len=4096), LlamaCpp())

    assert layout.not_modeled[: len(NOT_MODELED)] == NOT_MODELED
    assert layout.caches[0].num_layers == 2


def test_what_decided_a_model_is_no_part_of_what_it_is():
    """
    Two configs that describe the same layers in other words are one model.
    """
    gpt2 = kvsim.load_model("gpt2")

    assert gpt2.decided_by
    assert replace(gpt2, decided_by=()) == gpt2
