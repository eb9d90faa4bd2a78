"""What prompts share, found before the run: which blocks others may have too, and their names."""

import numpy as np
from numpy.typing import NDArray

from kvsim.sim._kernels.compiling import piece
from kvsim.sim._kernels.state import NONE, Content, Ints
from kvsim.specs.workload import TOKENS_PER_SEGMENT


@piece
def follow(  # noqa: PLR0917 - kernels take no keywords
    runs: NDArray[np.void], places: Ints, count: int, before: int, start: int, first_token: int
) -> int:
    """The run of tokens that starts here after the run `before`; a new one if there is none."""
    mask = places.size - 1
    key = (before * 1_000_003 + start) * 1_000_003 + first_token
    place = (key ^ (key >> 31)) * 0x9E3779B1 & mask
    while places[place] != NONE:
        run = places[place]
        if (
            runs[run].before == before
            and runs[run].start == start
            and runs[run].first_token == first_token
        ):
            return run
        place = (place + 1) & mask
    places[place] = count
    runs[count].before = before
    runs[count].start = start
    runs[count].first_token = first_token
    return count


@piece
def chain(c: Content, r: int, runs: NDArray[np.void], places: Ints, count: int) -> int:
    """Name the runs of one request; how many runs there are now.

    Its prompt is a list of segments, and its answer one more; those whose token values go on where
    the one before ended are one run.
    """
    run, position, next_token, size = 0, 0, -1, 0
    first_path = c.first_path[r]
    last = c.first_segment[r + 1]
    for i in range(c.first_segment[r], last + 1):
        segment = c.segment_id[i] if i < last else c.output_segment[r]
        length = c.segment_tokens[i] if i < last else c.end[r] - 1 - position
        if length <= 0:
            continue
        first_token = segment * TOKENS_PER_SEGMENT
        if first_token != next_token:
            run = follow(runs, places, count, run, position, first_token)
            count = max(count, run + 1)
            c.path[first_path + size] = run
            size += 1
        position += length
        next_token = first_token + length
        c.stop[first_path + size - 1] = position
    c.path_size[r] = size
    return count


@piece
def note_stop(runs: NDArray[np.void], run: int, stop: int) -> None:
    """Remember how far the two requests go that go furthest along a run."""
    if stop > runs[run].longest:
        runs[run].second = runs[run].longest
        runs[run].longest = stop
    elif stop > runs[run].second:
        runs[run].second = stop


@piece
def name_blocks(
    c: Content, r: int, runs: NDArray[np.void], block_size: int, num_pieces: int
) -> int:
    """Write down which blocks of a request others may have too; how many pieces there are now."""
    c.first_piece[r] = num_pieces
    first_path = c.first_path[r]
    for i in range(first_path, first_path + c.path_size[r]):
        run = runs[c.path[i]]
        stop = min(c.stop[i], run.second)
        first = run.start // block_size
        length = stop // block_size - first
        if length > 0:
            c.pieces[num_pieces, 0] = run.first_identity
            c.pieces[num_pieces, 1] = length
            c.shared_blocks[r] += length
            num_pieces += 1
        if stop < c.stop[i]:
            break
    return num_pieces


def intern(c: Content, runs: NDArray[np.void], places: Ints, block_size: int) -> int:
    """Name all content that more than one request has; how many names there are."""
    count, num_pieces, num_identities = 1, 0, 0
    for r in range(c.end.size):
        if c.first_segment[r] < c.first_segment[r + 1]:
            count = chain(c, r, runs, places, count)
            for i in range(c.first_path[r], c.first_path[r] + c.path_size[r]):
                note_stop(runs, c.path[i], c.stop[i])
    for run in range(1, count):
        runs[run].first_identity = num_identities
        first = runs[run].start // block_size
        num_identities += max(0, runs[run].second // block_size - first)
    for r in range(c.end.size):
        num_pieces = name_blocks(c, r, runs, block_size, num_pieces)
    return num_identities
