"""What a prefix cache could find in a workload: without a limit, and with so many tokens."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from kvsim.specs.attention import check_positive
from kvsim.specs.workload import PromptSegment, Request, Workload, prompt_segments
from kvsim.units import ceil_div

Json = dict[str, object]
Piece = tuple[int, int, int]  # segment, first token in it, tokens

DEFAULT_CAPACITIES = (1_000_000, 3_000_000, 10_000_000, 30_000_000, 50_000_000)
"""Tokens: the steps of Mooncake's figure 9 (FAST 2025)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPoint:
    """The share of all prompt tokens that a cache of a size finds, the longest unused out first."""

    capacity_tokens: int
    token_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixReuse:
    """What of the prompts had been seen before, in blocks; the two rates differ.

    `token_rate` counts tokens, so long prompts weigh more; `request_rate` is the mean of each
    request's share. `hit_requests` is the share of requests that find anything at all,
    `once_blocks` that of blocks which one request alone has.
    """

    block_size: int
    prompt_tokens: int
    token_rate: float
    request_rate: float
    hit_requests: float
    num_blocks: int
    once_blocks: float
    curve: tuple[CapacityPoint, ...] = ()

    def as_dict(self) -> Json:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chain:
    """A prompt as blocks, each named with all before it; those that it alone has may be unnamed."""

    blocks: tuple[int, ...]
    num_tokens: int

    def tokens_of(self, num_blocks: int, block_size: int) -> int:
        """Tokens in its first blocks; the last block may be partial."""
        return min(num_blocks * block_size, self.num_tokens)

    def num_unnamed(self, block_size: int) -> int:
        """Blocks at its end that have no number."""
        return ceil_div(self.num_tokens, block_size) - len(self.blocks)


def prefix_reuse(
    workload: Workload, *, block_size: int = 16, capacities: Sequence[int] = ()
) -> PrefixReuse:
    """What a prefix cache could find, in the order of arrival, nothing else being in the way.

    A partial last block counts as one, as the traces' own hashes do; answers are not cached.

    Args:
        workload: requests whose prompts say what they share.
        block_size: tokens per block.
        capacities: sizes of a cache, tokens, for the curve.

    Raises:
        SpecError: for a size below 1.

    Example:
        >>> shared = (PromptSegment(1, 30), PromptSegment(2, 10))
        >>> request = Request(num_prompt_tokens=40, num_output_tokens=1, prompt=shared)
        >>> prefix_reuse(Workload(requests=(request, request))).token_rate
        0.5
    """
    check_positive(block_size=block_size)
    chains = tuple(prompt_chains(workload, block_size, among=_shared_segments(workload)))
    seen: dict[int, int] = {}
    hits = []
    for chain in chains:
        hits.append(chain.tokens_of(_leading(chain.blocks, seen), block_size))
        for block in chain.blocks:
            seen[block] = seen.get(block, 0) + 1
    total = sum(chain.num_tokens for chain in chains)
    alone = sum(chain.num_unnamed(block_size) for chain in chains)
    num_blocks = len(seen) + alone
    return PrefixReuse(
        block_size=block_size,
        prompt_tokens=total,
        token_rate=sum(hits) / total,
        request_rate=sum(h / c.num_tokens for h, c in zip(hits, chains, strict=True)) / len(chains),
        hit_requests=sum(1 for hit in hits if hit) / len(chains),
        num_blocks=num_blocks,
        once_blocks=(alone + sum(1 for count in seen.values() if count == 1)) / num_blocks,
        curve=tuple(
            CapacityPoint(
                capacity_tokens=capacity,
                token_rate=_lru_hits(chains, capacity, block_size) / total,
            )
            for capacity in capacities
        ),
    )


def _shared_segments(workload: Workload) -> frozenset[int]:
    """Segments that come more than once; every block with another is of one prompt alone."""
    once: set[int] = set()
    again: set[int] = set()
    for request in workload:
        for segment in request.prompt:
            (again if segment.segment_id in once else once).add(segment.segment_id)
    return frozenset(again)


def _lru_hits(chains: Iterable[Chain], capacity_tokens: int, block_size: int) -> int:
    """Tokens found; of one request's blocks the last are the first to go, as engines free them."""
    check_positive(capacity_tokens=capacity_tokens)
    most, held, hits = capacity_tokens // block_size, 0, 0
    cached: OrderedDict[int, int] = OrderedDict()  # blocks by number; unnamed ones of a prompt: < 0
    for place, chain in enumerate(chains):
        hits += chain.tokens_of(_leading(chain.blocks, cached), block_size)
        if unnamed := chain.num_unnamed(block_size):
            cached[-1 - place] = unnamed
            held += unnamed
        for block in reversed(chain.blocks):
            held += block not in cached
            cached[block] = 1
            cached.move_to_end(block)
        while held > most:
            oldest, count = cached.popitem(last=False)
            left = max(count - (held - most), 0)
            held -= count - left
            if left:
                cached[oldest] = left
                cached.move_to_end(oldest, last=False)
    return hits


def _leading(blocks: Sequence[int], known: Mapping[int, int]) -> int:
    for count, block in enumerate(blocks):
        if block not in known:
            return count
    return len(blocks)


def prompt_chains(
    workload: Workload, block_size: int, *, among: frozenset[int] | None = None
) -> Iterator[Chain]:
    """Each prompt's blocks by number: equal numbers are equal tokens after equal prefixes.

    Args:
        workload: requests in order of arrival.
        block_size: tokens per block.
        among: number a prompt's blocks up to the first one with another segment; None: all.
    """
    numbers: dict[tuple[int, tuple[Piece, ...]], int] = {}
    for index, request in enumerate(workload):
        parent, blocks = -1, []
        for pieces in _pieces(request, index, block_size):
            if among is not None and not all(segment in among for segment, _, _ in pieces):
                break
            parent = numbers.setdefault((parent, pieces), len(numbers))
            blocks.append(parent)
        yield Chain(tuple(blocks), request.num_prompt_tokens)


def _pieces(request: Request, index: int, block_size: int) -> Iterator[tuple[Piece, ...]]:
    pieces: list[Piece] = []
    missing = block_size
    for segment in prompt_segments(request, index):
        start = 0
        while start < segment.num_tokens:
            count = min(missing, segment.num_tokens - start)
            pieces.append((segment.segment_id, start, count))
            start += count
            missing -= count
            if not missing:
                yield tuple(pieces)
                pieces, missing = [], block_size
    if pieces:
        yield tuple(pieces)


__all__ = ["CapacityPoint", "PrefixReuse", "PromptSegment", "prefix_reuse", "prompt_chains"]
