"""What tutorials say: verdicts follow from figures, and figures from the library's formulas."""

import json
from pathlib import Path

import pytest

import kvsim
from kvsim import ClaimName, ClaimVerdict, VariantName

GOLDEN = Path(__file__).parents[2] / "validation/golden/live"
LLAMA, H100 = kvsim.load_model("llama-3.1-8b"), kvsim.accelerator("H100-SXM5-80GB")


def claims_of(model="llama-3.1-8b", *, gpu="H100-SXM5-80GB", requests=32, length=8192, **parallel):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=kvsim.accelerator(gpu),
        engine=kvsim.Vllm(max_model_len=length),
        parallel=kvsim.Parallelism(**parallel),
    )
    claims = kvsim.check_claims(deployment, concurrent_requests=requests)
    return {claim.name: claim for claim in claims}


def test_every_sentence_is_answered_in_order():
    """At least the twelve of the usual tutorial."""
    claims = claims_of()
    assert list(claims) == list(ClaimName)
    assert ClaimVerdict.UNKNOWN not in {claim.verdict for claim in claims.values()}


def test_work_per_token_grows_by_a_tenth_at_the_threshold():
    """The bound is where the formula says so, to the token."""
    claim = claims_of()[ClaimName.CONSTANT_WORK]
    first, before, at = (
        kvsim.decode_total_flops(LLAMA, num_prompt_tokens=n, num_output_tokens=1)
        for n in (0, claim.threshold_tokens - 2, claim.threshold_tokens - 1)
    )
    assert claim.verdict is ClaimVerdict.TRUE_BELOW
    assert 10 * before < 11 * first <= 10 * at


def test_work_without_attention_is_constant():
    """A recurrent model does for each token what it did for the first."""
    claims = claims_of("mamba-2.8b", length=2048, requests=1)
    assert claims[ClaimName.CONSTANT_WORK].verdict is ClaimVerdict.TRUE
    assert claims[ClaimName.STABLE_SPEED].verdict is ClaimVerdict.TRUE
    assert claims[ClaimName.OUTGROWS_WEIGHTS].verdict is ClaimVerdict.FALSE
    assert claims[ClaimName.MQA_SAVES].verdict is ClaimVerdict.UNKNOWN


def test_the_cache_outgrows_the_weights_where_its_curve_crosses_them():
    """Two ways to the same length."""
    claim = claims_of()[ClaimName.OUTGROWS_WEIGHTS]
    curve = kvsim.cache_curve(
        LLAMA,
        lengths=[8192],
        batch_size=32,
        threshold_bytes=claim.figures["weights_bytes"],
    )
    assert claim.verdict is ClaimVerdict.TRUE_FROM
    assert abs(claim.threshold_tokens - curve.crossing_tokens) <= 1


def test_nothing_explodes_exponentially():
    """A doubled answer costs four times, not the square of the last doubling."""
    claim = claims_of()[ClaimName.EXPONENTIAL]
    assert claim.verdict is ClaimVerdict.FALSE
    assert 3.5 < claim.figures["doubling_ratio"] < 8


def test_heads_save_what_their_number_says():
    """MQA of 32 heads is a thirty-second; 12 heads are no few tens."""
    llama, gpt2 = claims_of(), claims_of("gpt2", gpu="T4", length=512, requests=1)
    assert llama[ClaimName.MQA_SAVES].figures["parts"] == 32
    assert llama[ClaimName.MQA_SAVES].verdict is ClaimVerdict.TRUE
    assert llama[ClaimName.GQA_KEEPS_QUALITY].figures["parts"] == 4
    assert gpt2[ClaimName.MQA_SAVES].verdict is ClaimVerdict.FALSE


def test_paging_does_not_speed_up_what_memory_does_not_limit():
    """With room for every sequence reserved, paging adds none."""
    assert claims_of()[ClaimName.PAGING_SPEEDS].verdict is ClaimVerdict.TRUE
    claim = claims_of("gpt2", gpu="T4", length=512, requests=1)[ClaimName.PAGING_SPEEDS]
    assert claim.verdict is ClaimVerdict.FALSE
    assert claim.figures["reserved_requests"] == claim.figures["limit_requests"]


def test_paging_is_not_judged_where_a_rank_holds_a_part():
    """A stage's blocks against all layers' tokens would be a wrong share."""
    claim = claims_of(pipeline_parallel_size=2)[ClaimName.PAGING_FILLS]
    assert claim.verdict is ClaimVerdict.UNKNOWN


def test_bits_save_what_is_left_after_scales():
    """An int8 head of 128 has 132 bytes of 256, an int4 one 68."""
    figures = claims_of()[ClaimName.QUANTISING_HALVES].figures
    assert figures["saved_at_8_bits"] == pytest.approx(1 - 132 / 256)
    assert figures["saved_at_4_bits"] == pytest.approx(1 - 68 / 256)


@pytest.mark.parametrize("name", ["num_prompt_tokens", "num_output_tokens"])
def test_no_tokens_are_refused(name):
    """An answer has a prompt and a token."""
    deployment = kvsim.Deployment(model=LLAMA, accelerator=H100)
    with pytest.raises(kvsim.SpecError, match=name):
        kvsim.check_claims(deployment, **{name: 0})


def test_an_unknown_speed_is_said():
    """No number is made up for a device whose bandwidth nobody stated."""
    slow = next(
        device
        for device in kvsim.catalog_accelerators()
        if device.memory_bandwidth_bytes_per_s is None or device.flops_per_s(num_bytes=2) is None
    )
    deployment = kvsim.Deployment(
        model=kvsim.load_model("qwen2.5-0.5b"),
        accelerator=slow,
        engine=kvsim.Vllm(max_model_len=512),
    )
    claims = {claim.name: claim for claim in kvsim.check_claims(deployment)}
    assert claims[ClaimName.STABLE_SPEED].verdict is ClaimVerdict.UNKNOWN
    assert "not known" in claims[ClaimName.STABLE_SPEED].reason


def test_costs_are_the_totals_of_the_formulas():
    """One pass over the answer, the same sums."""
    cost, longer = kvsim.answer_costs(LLAMA, num_prompt_tokens=16, lengths=[64, 100])
    for answer in (cost, longer):
        size = {"num_prompt_tokens": 16, "num_output_tokens": answer.num_output_tokens}
        head = 2 * LLAMA.num_head_parameters
        assert answer.uncached_total_flops == kvsim.uncached_total_flops(LLAMA, **size)
        assert answer.cached_total_flops == kvsim.decode_total_flops(LLAMA, **size)
        assert head < answer.cached_token_flops < answer.uncached_token_flops


@pytest.mark.parametrize("length", [0, 8193])
def test_an_answer_of_impossible_length_is_refused(length):
    """Work is bounded."""
    with pytest.raises(kvsim.SpecError, match="num_output_tokens"):
        kvsim.answer_costs(LLAMA, num_prompt_tokens=16, lengths=[length])


def test_variants_of_a_model_are_what_such_models_take():
    """Its own row is its own cache; the others follow from heads and widths."""
    rows = {row.name: row for row in kvsim.attention_variants(LLAMA, num_tokens=8192)}
    own = kvsim.cache_bytes(LLAMA, num_tokens=8192).total_bytes
    assert rows[VariantName.OWN].total_bytes == rows[VariantName.GQA].total_bytes == own
    assert rows[VariantName.MHA].total_bytes == 4 * own
    assert rows[VariantName.MQA].total_bytes == own // 8
    assert rows[VariantName.MLA].total_bytes == 32 * 8192 * (512 + 64) * 2
    assert rows[VariantName.WINDOW].total_bytes == own // 2
    assert rows[VariantName.HYBRID].bytes_per_token * 4 == rows[VariantName.OWN].bytes_per_token


def test_a_latent_model_has_its_own_row_alone():
    """What its heads would be is not its config's to say."""
    rows = kvsim.attention_variants(kvsim.load_model("deepseek-v3"), num_tokens=100)
    assert [row.name for row in rows] == [VariantName.OWN]


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


def test_shipped_seconds_are_the_recorded_ones():
    """The page shows what the validation measured."""
    recorded, shipped = golden("with_and_without"), kvsim.lessons()
    names = ("uses_cache", "num_prompt_tokens", "num_output_tokens", "total_s")
    assert [[getattr(row, name) for name in names] for row in shipped.answers] == [
        [row[name] for name in names] for row in recorded["answers"]
    ]
    assert shipped.identical_tokens == recorded["identical_tokens"]
    assert shipped.cached_exponent == recorded["exponents"]["cached"]["total_s"]
    assert shipped.uncached_exponent == recorded["exponents"]["uncached"]["total_s"]
    assert recorded["provenance"]["command"].startswith(shipped.answers_source)


def test_shipped_losses_are_the_recorded_ones():
    """The same for formats."""
    recorded, shipped = golden("quantisation"), kvsim.lessons()
    names = ("kl_divergence_nats", "top1_agreement", "repeated_token_accuracy", "saved")
    assert [[row.name, *(getattr(row, name) for name in names)] for row in shipped.formats] == [
        [row["format"], *(row[name] for name in names)] for row in recorded["formats"]
    ]
    assert recorded["provenance"]["command"].startswith(shipped.formats_source)
