"""Histories between turns: what is kept when a request ends, until it is used again or let go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kvsim.engines.vllm_offload import OffloadCapacity
from kvsim.errors import SpecError
from kvsim.sim.prefix_reuse import Chain, prompt_chains
from kvsim.specs.workload import PromptSegment, Request, Workload, output_segment, prompt_segments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReuse:
    """What of the prompts is found where everything is kept for a window after its last use.

    The rates are those of `PrefixReuse`, which is this without an end of the window. What running
    requests hold is found in any window; `saved_tokens` are found beyond that.
    """

    token_rate: float
    request_rate: float
    hit_requests: float
    saved_tokens: int  # of the workload's prompts


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Chunks that nobody uses and that are kept, over the time of a workload."""

    mean_chunks: float
    peak_chunks: int


@dataclass(frozen=True, slots=True, eq=False)
class Finds:
    """How long the blocks that each prompt begins with were unused, the longest wait so far."""

    gaps_s: Floats  # of all prompts in a row; below 0 where a running request held it
    first: Ints  # of each prompt, and the end
    prompt_tokens: Ints
    most_blocks: Ints  # of each prompt that can be found
    block_size: int

    def tokens(self, window_s: float) -> Ints:
        """Tokens that each prompt finds."""
        found = np.concatenate([[0], np.cumsum(self.gaps_s < window_s)])
        blocks = np.minimum(found[self.first[1:]] - found[self.first[:-1]], self.most_blocks)
        tokens: Ints = np.minimum(blocks * self.block_size, self.prompt_tokens)
        return tokens

    def reuse(self, window_s: float) -> WindowReuse:
        """What a window finds."""
        found = self.tokens(window_s)
        return WindowReuse(
            token_rate=float(found.sum() / self.prompt_tokens.sum()),
            request_rate=float((found / self.prompt_tokens).mean()),
            hit_requests=float((found > 0).mean()),
            saved_tokens=int(found.sum() - self.tokens(0.0).sum()),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Histories:
    """Every stretch in which chunks of a history are unused, and what prompts find of them.

    A stretch begins when the last request that holds the chunks ends. It stops when another
    comes for them; with the last arrival where none does, and `returns` is false.
    """

    start_s: Floats
    stop_s: Floats
    returns: NDArray[np.bool_]
    chunks: Ints
    first_s: float
    last_s: float
    num_requests: int
    prompts: Finds  # prompts alone, as `PrefixReuse` counts
    with_answers: Finds  # whole blocks of prompts and answers, as engines keep them

    @property
    def chunks_per_turn(self) -> float:
        """Chunks that become idle per request, on average."""
        return float(self.chunks.sum()) / self.num_requests

    def idle_s(self, window_s: float) -> float:
        """How long chunks stay idle and kept, on average: until they are used, or the window ends.

        Stretches that the workload's end cuts off count as far as they are known; beyond the
        longest that is known, nothing returns.

        Source:
            Kaplan and Meier, 1958, the product-limit estimate, weighted by chunks.
        """
        gaps = np.maximum(self.stop_s - self.start_s, 0.0)
        order = np.lexsort((~self.returns, gaps))
        gaps, chunks, returns = gaps[order], self.chunks[order], self.returns[order]
        at_risk = chunks.sum() - np.cumsum(chunks) + chunks
        kept = np.cumprod(np.where(returns, 1.0 - chunks / np.maximum(at_risk, 1), 1.0))
        times = np.minimum(np.concatenate([[0.0], gaps, [window_s]]), window_s)
        return float((np.diff(times) * np.concatenate([[1.0], kept])).sum())

    def steady_chunks(self, window_s: float) -> float:
        """Chunks that are idle and kept in a steady state, by Little's law.

        Raises:
            SpecError: if the requests have no rate.
        """
        if self.last_s <= self.first_s:
            msg = f"window_s={window_s:g} needs requests that arrive over time"
            raise SpecError(msg)
        rate_per_s = (self.num_requests - 1) / (self.last_s - self.first_s)
        return rate_per_s * self.chunks_per_turn * self.idle_s(window_s)

    def held(self, window_s: float) -> Held:
        """Chunks that are idle and kept between the first arrival and the last, as they come."""
        start = np.clip(self.start_s, self.first_s, self.last_s)
        stop = np.clip(np.minimum(self.stop_s, self.start_s + window_s), start, self.last_s)
        times = np.concatenate([stop, start])  # what stops goes before what starts
        changes = np.concatenate([-self.chunks, self.chunks])[np.argsort(times, kind="stable")]
        is_kept = np.concatenate([stop > start] * 2)[np.argsort(times, kind="stable")]
        total = float((self.chunks * (stop - start)).sum())
        seconds = self.last_s - self.first_s
        return Held(
            mean_chunks=total / seconds if seconds else 0.0,
            peak_chunks=int(max(0, np.cumsum(changes[is_kept]).max(initial=0))),
        )


def histories(
    workload: Workload, store: OffloadCapacity, *, ends_s: Sequence[float] | None = None
) -> Histories:
    """What requests leave behind, and who comes back for it.

    Args:
        workload: requests whose prompts say what they share.
        store: the engine's chunks; how many it has room for does not matter.
        ends_s: when each request's answer was complete; None: answers take no time.
    """
    ends = [r.arrival_s for r in workload] if ends_s is None else ends_s
    size = store.hit_tokens
    walk = _Walk(store)
    whole = replace(workload, requests=tuple(with_answer(r, i) for i, r in enumerate(workload)))
    kept = [
        list(walk.visit(chain.blocks[: chain.num_tokens // size], chain.num_tokens, at_s, end_s))
        for chain, at_s, end_s in _timed(prompt_chains(whole, size), workload, ends)
    ]
    stretches = [*walk.stretches, *walk.left(workload.requests[-1].arrival_s)]
    start, stop, returns, chunks = zip(*stretches, strict=True) if stretches else ((),) * 4
    alone = _Walk(None)
    prompts = [
        list(alone.visit(chain.blocks, chain.num_tokens, at_s, end_s))
        for chain, at_s, end_s in _timed(prompt_chains(workload, size), workload, ends)
    ]
    tokens = np.array([r.num_prompt_tokens for r in workload], np.int64)
    return Histories(
        start_s=np.array(start, np.float64),
        stop_s=np.array(stop, np.float64),
        returns=np.array(returns, np.bool_),
        chunks=np.array(chunks, np.int64),
        first_s=workload.requests[0].arrival_s,
        last_s=workload.requests[-1].arrival_s,
        num_requests=len(workload),
        prompts=_finds(prompts, tokens, -(-tokens // size), size),
        with_answers=_finds(kept, tokens, tokens // size, size),
    )


def _timed(
    chains: Iterator[Chain], workload: Workload, ends_s: Sequence[float]
) -> Iterator[tuple[Chain, float, float]]:
    for chain, request, end_s in zip(chains, workload, ends_s, strict=True):
        yield chain, request.arrival_s, end_s


def _finds(gaps: Sequence[Sequence[float]], tokens: Ints, most: Ints, block_size: int) -> Finds:
    return Finds(
        np.array([gap for one in gaps for gap in one], np.float64),
        np.cumsum([0, *map(len, gaps)]),
        tokens,
        most,
        block_size,
    )


class _Walk:
    """Blocks as requests come and go: the end of their last use, and what each one weighs.

    A block stands for its share of the groups that keep every token. The last block of a history
    stands for the rest too: windows, states, and chunks after the last whole block.
    """

    def __init__(self, store: OffloadCapacity | None) -> None:
        self.stretches: list[tuple[float, float, bool, int]] = []
        self._store = store
        self._each = 0
        if store is not None:
            full = [g for g in store.groups if g.tail_chunks is None]
            self._each = sum(store.hit_tokens // g.tokens_per_chunk for g in full)
        self._ends_s: dict[int, float] = {}
        self._chunks: dict[int, int] = {}

    def visit(
        self, blocks: Sequence[int], num_tokens: int, at_s: float, end_s: float
    ) -> Iterator[float]:
        """Take a request in; of the known blocks it begins with, the longest wait so far."""
        is_found, longest = True, -np.inf
        for block in blocks:
            before_s = self._ends_s.get(block)
            is_found = is_found and before_s is not None
            if before_s is None:
                self._ends_s[block] = end_s
            else:
                longest = max(longest, at_s - before_s)
                self._stretch(block, before_s, at_s)
                self._ends_s[block] = max(before_s, end_s)
            if is_found:
                yield float(longest)
            self._chunks[block] = self._each
        if blocks and self._store is not None:
            self._chunks[blocks[-1]] = self._store.chunks(num_tokens) - self._each * (
                len(blocks) - 1
            )

    def left(self, last_s: float) -> Iterator[tuple[float, float, bool, int]]:
        """The stretches of what nobody came for."""
        for block, end_s in self._ends_s.items():
            if self._chunks[block]:
                yield end_s, last_s, False, self._chunks[block]

    def _stretch(self, block: int, start_s: float, stop_s: float) -> None:
        if start_s < stop_s and self._chunks[block]:
            self.stretches.append((start_s, stop_s, True, self._chunks[block]))


def with_answer(request: Request, index: int) -> Request:
    """A request whose prompt is its whole history: what it asked, and the answer."""
    answer = PromptSegment(output_segment(request, index, 0), request.num_output_tokens)
    return replace(
        request,
        num_prompt_tokens=request.num_prompt_tokens + request.num_output_tokens,
        prompt=(*prompt_segments(request, index), answer),
    )
