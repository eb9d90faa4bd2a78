"""`python -m validation fit-workloads FOLDER [--write FILE]`: lengths of traces as quantiles."""

import argparse
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import kvsim

PROBABILITIES = (
    *(0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.999, 1),
)
"""Shares at which the lengths are kept: enough for a mean within 2 %, too few to be the trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A trace to fit, and what must be said of it."""

    name: str
    file: str
    source: str
    licence: str
    is_conversation: bool = False


SOURCES = (
    Source(
        name="sharegpt",
        file="sharegpt_8k_multiturn_llama2.csv.gz",
        source="ShareGPT, Llama-2 tokens, at most 8192, from microsoft/sarathi-serve",
        licence="Apache-2.0 (repository)",
        is_conversation=True,
    ),
    Source(
        name="azure-2023-conversation",
        file="azure2023_conv.csv.gz",
        source="Azure LLM inference trace 2023, conversation (Splitwise, ISCA 2024)",
        licence="CC-BY 4.0",
    ),
    Source(
        name="azure-2023-code",
        file="azure2023_code.csv.gz",
        source="Azure LLM inference trace 2023, code (Splitwise, ISCA 2024)",
        licence="CC-BY 4.0",
    ),
    Source(
        name="arxiv-summarization",
        file="arxiv_summarization_llama2.csv.gz",
        source="arXiv summarisation, Llama-2 tokens, from microsoft/vidur",
        licence="MIT (repository)",
    ),
    Source(
        name="mooncake-conversation",
        file="mooncake_conversation.jsonl.gz",
        source="Mooncake conversation trace (FAST 2025)",
        licence="Apache-2.0 (repository)",
    ),
    Source(
        name="mooncake-synthetic",
        file="mooncake_synthetic.jsonl.gz",
        source="Mooncake synthetic trace (FAST 2025)",
        licence="Apache-2.0 (repository)",
    ),
)


@dataclass(frozen=True, slots=True)
class Fit:
    """Quantiles of a sample, and how far the distribution that they make is from it."""

    lengths: kvsim.Lengths
    sample_mean: float
    largest_gap: float  # between the two distribution functions

    @classmethod
    def of(cls, sample: Sequence[int]) -> "Fit":
        """The fit of a sample."""
        ordered = sorted(sample)
        last = len(ordered) - 1
        tokens = tuple(float(ordered[round(p * last)]) for p in PROBABILITIES)
        lengths = kvsim.Lengths(probabilities=tuple(map(float, PROBABILITIES)), tokens=tokens)
        return cls(lengths, sum(ordered) / len(ordered), largest_gap(lengths, ordered))


def largest_gap(lengths: kvsim.Lengths, ordered: Sequence[int]) -> float:
    """The most by which a share of the fit misses the sample's, on both sides of a step."""
    gap = 0.0
    for k in range(1, 1000):
        tokens = round(lengths.quantile(k / 1000))
        share = bisect_right(ordered, tokens) / len(ordered)
        below = bisect_right(ordered, tokens - 1) / len(ordered)
        gap = max(gap, below - k / 1000, k / 1000 - share)
    return gap


def samples(source: Source, workload: kvsim.Workload) -> dict[str, list[int]]:
    """What is fitted of a trace, by name; conversations are split into their turns."""
    if not source.is_conversation:
        return {
            "prompt_tokens": [r.num_prompt_tokens for r in workload],
            "output_tokens": [r.num_output_tokens for r in workload],
        }
    first = [r for r in workload if len(r.prompt) == 1]
    later = [r for r in workload if len(r.prompt) > 1]
    return {
        "prompt_tokens": [r.num_prompt_tokens for r in first],
        "output_tokens": [r.num_output_tokens for r in first],
        "turn_tokens": [max(1, r.prompt[-1].num_tokens) for r in later],
        "turn_output_tokens": [r.num_output_tokens for r in later],
        "num_turns": turns(workload),
    }


def turns(workload: kvsim.Workload) -> list[int]:
    """Turns of each conversation, told by the segment that it starts with."""
    counts: dict[int, int] = {}
    for request in workload:
        start = request.prompt[0].segment_id
        counts[start] = counts.get(start, 0) + 1
    return list(counts.values())


def fit(folder: Path) -> str:
    """The text of the data file."""
    lines = [
        "# Lengths of traces as quantiles, rewritten by `python -m validation fit-workloads`.",
        "# sample_mean is the trace's, fit_mean the distribution's; largest_gap is between their",
        "# distribution functions. The traces themselves are not here.",
        "",
        f"probabilities = {list(map(float, PROBABILITIES))}",
    ]
    for source in SOURCES:
        workload = kvsim.read_trace(folder / source.file)
        lines += ["", f"[{source.name}]", f'source = "{source.source}"']
        lines += [f'licence = "{source.licence}"', f"num_requests = {len(workload)}"]
        for name, sample in samples(source, workload).items():
            done = Fit.of(sample)
            tokens = ", ".join(f"{value:.0f}" for value in done.lengths.tokens)
            lines.append(
                f"{name} = {{ tokens = [{tokens}], sample_mean = {done.sample_mean:.2f}, "
                f"fit_mean = {done.lengths.mean:.2f}, largest_gap = {done.largest_gap:.4f} }}"
            )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the fits.

    Returns:
        0 done, 2 bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m validation fit-workloads", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the traces")
    parser.add_argument("--write", type=Path, metavar="FILE", help="in place of printing")
    args = parser.parse_args(argv)
    try:
        text = fit(args.folder)
        if args.write is None:
            print(text, end="")
        else:
            args.write.write_text(text, encoding="utf-8")
    except (kvsim.KvsimError, OSError) as error:
        print(f"validation: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
