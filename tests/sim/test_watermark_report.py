"""What a watermark saves, against the table that vLLM 44594 published."""

import numpy as np
import pytest

import kvsim

PUBLISHED = {  # preemptions, output tokens and requests per second
    0.0: (1065, 11582, 2.306),
    0.02: (400, 12134, 2.416),
    0.05: (187, 12167, 2.423),
    0.1: (168, 11835, 2.356),
    0.15: (168, 11635, 2.317),
}
CLIENTS, REQUESTS = 128, 450


def lengths(seed):
    """Prompts and answers as `vllm bench serve` draws them: 1000 and 5000 tokens, ratio 0.2."""
    draw = np.random.default_rng(seed)
    return draw.integers(800, 1201, size=REQUESTS), draw.integers(4000, 6001, size=REQUESTS)


def served(share, order):
    """A run whose first prompts reach the server in that order."""
    prompts, answers = lengths(0)
    deployment = kvsim.Deployment(
        model=kvsim.load_model("qwen2.5-7b"),
        accelerator=kvsim.accelerator("GB200"),
        engine=kvsim.Vllm(
            max_model_len=8192,
            max_num_seqs=CLIENTS,
            enable_prefix_caching=False,
            kv_cache_memory_bytes=16 * kvsim.GiB,
        ),
    )
    requests = tuple(
        kvsim.Request(num_prompt_tokens=int(prompts[i]), num_output_tokens=int(answers[i]))
        for i in order
    )
    return kvsim.simulate(deployment, kvsim.Workload(requests=requests), watermark=share)


@pytest.fixture(scope="module")
def runs():
    """Every share over four orders of the prompts that arrive together."""
    orders = [
        [*np.random.default_rng(seed).permutation(CLIENTS), *range(CLIENTS, REQUESTS)]
        for seed in range(4)
    ]
    return {share: [served(share, order) for order in orders] for share in PUBLISHED}


def mean(values):
    return sum(values) / len(values)


def test_the_published_figures_tell_the_seed():
    """
    Tokens over requests per second is the mean answer: of a hundred seeds 0 alone has it.
    """
    rates = PUBLISHED.values()
    low = max((tokens - 0.5) / (requests + 0.0005) for _, tokens, requests in rates)
    high = min((tokens + 0.5) / (requests - 0.0005) for _, tokens, requests in rates)

    assert [seed for seed in range(100) if low <= lengths(seed)[1].mean() <= high] == [0]


@pytest.mark.parametrize("share", PUBLISHED)
def test_preemptions_are_those_of_the_table(runs, share):
    """
    Within a fifth at every share; the order of arrival alone moves them by a tenth.
    """
    count, _, _ = PUBLISHED[share]

    assert mean([run.num_preemptions for run in runs[share]]) == pytest.approx(count, rel=0.2)


def test_throughput_rises_to_a_twentieth_and_falls_from_a_tenth_on(runs):
    """
    More free memory than preemptions need is fewer requests in a step, and so more steps.
    """
    took = {share: mean([run.duration_s for run in runs[share]]) for share in PUBLISHED}
    gains = {share: took[0.0] / seconds for share, seconds in took.items()}

    assert max(gains, key=gains.get) in (0.02, 0.05)
    assert gains[0.05] > gains[0.1] > gains[0.15]
    for share, (_, rate, _) in PUBLISHED.items():
        assert gains[share] == pytest.approx(rate / PUBLISHED[0.0][1], abs=0.02)
