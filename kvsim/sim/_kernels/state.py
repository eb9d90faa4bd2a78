"""What the compiled twin keeps: one record for the run, one per request, one per cached node."""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

NONE = -1
"""No request, no node."""

NEVER = 2**62
"""More tokens than any request has."""

WAITING, PREFILLING, DECODING, ENDING = range(4)
"""Where a request stands; ENDING has computed all and waits for its last step to settle."""

GOES_ON, WANTS_REQUESTS, WANTS_ROOM, IS_STUCK, IS_DONE = range(5)
"""Why the kernel came back."""

i8, f8 = np.int64, np.float64

Ints = NDArray[np.int64]
Run: TypeAlias = Any
"""One entry of RUN; the fields of such records have no static types."""

RUN = np.dtype(
    [
        # settings
        ("block_size", i8),  # tokens
        ("max_tokens", i8),  # per step
        ("max_running", i8),
        ("prefill_limit", i8),  # tokens of one prompt in a step; 0: any
        ("prefill_limit_adapts", i8),
        ("chunks", i8),  # prompts are computed in pieces
        ("reserves", i8),  # admits only if the whole prompt has room
        ("spare_blocks", i8),
        ("is_async", i8),
        ("caches", i8),
        ("ring_mask", i8),
        ("is_last", i8),  # no more requests will come
        # seconds of a step
        ("form", i8),
        ("base_s", f8),
        ("per_request_s", f8),
        ("per_token_s", f8),
        ("per_cached_token_s", f8),
        ("pair_flops", f8),
        ("token_flops", f8),
        ("sample_flops", f8),
        ("flops_per_s", f8),
        ("weights_bytes", f8),
        ("context_bytes", f8),
        ("bytes_per_s", f8),
        # the loop
        ("now_s", f8),
        ("last_end_s", f8),  # when the step before ended
        ("step", i8),
        ("unreported", i8),
        ("was_empty", i8),  # the step before computed nothing and preempted nobody
        ("num_requests", i8),  # in the window
        ("num_arrived", i8),
        ("next_new", i8),  # the first that was never admitted
        ("front", i8),  # preempted, next to be tried
        ("num_preempted_waiting", i8),
        ("num_finished", i8),
        # the running list
        ("head", i8),
        ("tail", i8),
        ("num_running", i8),
        ("num_prefilling", i8),
        ("num_decoding", i8),
        ("num_ending", i8),
        ("num_admitted", i8),  # ever: the order of the running list
        ("decoded", i8),  # the shared counter: a decoding request has computed base + decoded
        ("phase", i8),  # decoded mod block_size
        ("sum_base", i8),
        # blocks
        ("num_blocks", i8),
        ("num_blank", i8),
        ("num_cached", i8),
        ("oldest", i8),
        ("newest", i8),
        ("free_node", i8),
        ("free_slot", i8),
        ("num_found", i8),  # of the last lookup
        ("num_evictable", i8),
        ("table_blocks", i8),
        ("computed_tokens", i8),
        ("idle_tokens", i8),
        # this step
        ("budget", i8),
        ("num_tokens", i8),
        ("num_spans", i8),
        ("context", i8),
        ("pairs", i8),
        ("num_preempted", i8),
        ("num_fresh", i8),
        ("num_cut", i8),
        ("query_tokens", i8),
        ("hit_tokens", i8),
        ("resume_query_tokens", i8),
        ("resume_hit_tokens", i8),
        # what is logged, in rows
        ("num_series", i8),
        ("num_evictions", i8),
        ("num_stalls", i8),
        ("num_late", i8),
    ],
    align=True,
)

REQUEST = np.dtype(
    [
        ("end", i8),  # prompt and answer, tokens
        ("arrival_s", f8),
        ("shared_blocks", i8),  # that others may have too
        ("first_piece", i8),
        ("known", i8),  # tokens when it was last admitted
        ("computed", i8),  # while decoding: less the shared counter
        ("status", i8),
        ("order", i8),
        ("after", i8),
        ("before", i8),
        ("event", i8),  # value of the shared counter at which something happens to it
        ("event_after", i8),
        ("event_before", i8),
        ("cut_step", i8),  # the last in which it ran and computed nothing
        ("slot", i8),
        ("num_shared_published", i8),
        ("private_node", i8),
        ("lost_tokens", i8),  # at its last preemption
        ("num_recomputed_tokens", i8),
        ("is_late", i8),  # it gets no token in a step after one in which it got one
        ("last_token_s", f8),  # when it got that one
        ("num_preemptions", i8),
        ("num_cached_tokens", i8),
        ("first_step", i8),
        ("first_token_step", i8),
        ("last_step", i8),
        ("first_token_s", f8),
        ("finish_s", f8),
    ],
    align=True,
)

NODE = np.dtype(
    [
        ("identity", i8),  # of a block that others may have too; NONE: private blocks of `owner`
        ("references", i8),
        ("owner", i8),
        ("num_blocks", i8),
        ("older", i8),
        ("newer", i8),
        ("holder_after", i8),
        ("holder_before", i8),
    ],
    align=True,
)


class Memory(NamedTuple):
    """All arrays of a run."""

    req: NDArray[np.void]
    node: NDArray[np.void]
    steps: NDArray[np.void]
    evictions: NDArray[np.void]
    stalls: NDArray[np.void]
    shares: NDArray[np.float64]  # entry n: share of the weights that a step of n tokens reads
    due: Ints  # decoding requests by the phase at which they need a block
    events: Ints  # decoding requests by the counter's value, first of a list
    idle: Ints  # slots that will idle from the counter's value on
    pieces: Ints  # (first identity, blocks) of what others may have too
    holders: Ints  # (oldest, newest) node of an identity
    table: NDArray[np.int32]  # per slot: nodes of its request's first blocks
    slots: Ints  # the next free slot
    found: Ints  # nodes that a lookup found
    fresh: Ints  # requests that computed all they know in this step
    cut: Ints
    late: Ints  # those cut in the step before
    ending: Ints
    chosen: Ints


EVICTION = np.dtype(
    [
        ("step", i8),
        ("time_s", f8),
        ("request", i8),
        ("by", i8),
        ("num_lost_tokens", i8),
    ],
    align=True,
)

STALL = np.dtype([("request", i8), ("from_s", f8), ("until_s", f8)], align=True)

CONTENT_RUN = np.dtype(
    [
        ("before", i8),
        ("start", i8),
        ("first_token", i8),
        ("longest", i8),  # how far the request goes that goes furthest along it
        ("second", i8),  # and the one after
        ("first_identity", i8),
    ],
    align=True,
)


class Content(NamedTuple):
    """What requests are made of, and what of it others may have too."""

    end: Ints
    first_segment: Ints  # one more than requests
    segment_id: Ints
    segment_tokens: Ints
    output_segment: Ints
    first_path: Ints
    path: Ints  # runs of tokens
    stop: Ints  # and how far a request goes along each
    path_size: Ints
    pieces: Ints
    first_piece: Ints
    shared_blocks: Ints
