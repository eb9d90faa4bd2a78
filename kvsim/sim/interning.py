"""What requests share, named before a run: blocks that more than one may have."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kvsim.sim._kernels import content as kernels
from kvsim.sim._kernels.compiling import kernel
from kvsim.sim._kernels.state import CONTENT_RUN, NONE, Content
from kvsim.sim.request_arrays import Ints, RequestArrays
from kvsim.sim.setup import EngineSetup


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedContent:
    """Each request's first blocks, as far as another has them too, under their names.

    `pieces` are (first name, blocks); those of request i begin at `first_piece[i]`.
    """

    first_piece: Ints
    num_blocks: Ints
    pieces: Ints
    num_identities: int


def nothing_shared(num_requests: int) -> SharedContent:
    """What requests share that share nothing."""
    none = np.zeros(num_requests, np.int64)
    return SharedContent(
        first_piece=none, num_blocks=none, pieces=np.zeros((1, 2), np.int64), num_identities=0
    )


def find_shared(
    setup: EngineSetup, requests: RequestArrays, end: Ints, notify: Callable[[str], None]
) -> SharedContent:
    """What requests share; nothing where prefixes are not cached or prompts name no segment."""
    num_requests, num_segments = len(requests), len(requests.segment_id)
    if not setup.config.enable_prefix_caching or not num_segments:
        return nothing_shared(num_requests)
    first_piece, num_blocks = np.zeros(num_requests, np.int64), np.zeros(num_requests, np.int64)
    most = num_segments + num_requests  # an answer is a segment too
    content = Content(
        end=end,
        first_segment=requests.first_segment,
        segment_id=requests.segment_id,
        segment_tokens=requests.segment_tokens,
        output_segment=requests.output_segment,
        first_path=requests.first_segment[:-1] + np.arange(num_requests),
        path=np.zeros(most, np.int64),
        stop=np.zeros(most, np.int64),
        path_size=np.zeros(num_requests, np.int64),
        pieces=np.zeros((most + 1, 2), np.int64),
        first_piece=first_piece,
        shared_blocks=num_blocks,
    )
    runs = np.zeros(most + 1, CONTENT_RUN)
    places = np.full(1 << (2 * most).bit_length(), NONE)
    given = (content, runs, places, setup.block_size)
    num_identities = kernel(kernels.intern, given, notify)(*given)
    return SharedContent(
        first_piece=first_piece,
        num_blocks=num_blocks,
        pieces=content.pieces,
        num_identities=num_identities,
    )
