"""Inputs of page Paging, their names in a link: what users ask, and what serves them."""

from dataclasses import dataclass

import kvsim
from app.fields import Field, Kind

RESERVATIONS = tuple(str(name) for name in kvsim.Reservation)
PAGING = (
    Field(
        name="reservation",
        kind=Kind.CHOICE,
        default=str(kvsim.Reservation.MAX),
        options=lambda: RESERVATIONS,
    ),
    Field(name="paging_requests", kind=Kind.COUNT, default=24, most=100),
    Field(name="system_tokens", kind=Kind.COUNT, default=64, step=16, least=0, most=1024),
    Field(name="pool_sequences", kind=Kind.COUNT, default=3, most=16),
    Field(name="question_tokens", kind=Kind.COUNT, default=30, step=10, most=512),
    Field(name="reply_tokens", kind=Kind.COUNT, default=50, step=10, most=512),
    Field(name="longest_tokens", kind=Kind.COUNT, default=512, step=64, most=4096),
    Field(name="rate_per_step", kind=Kind.SHARE, default=0.25),
    Field(name="paging_seed", kind=Kind.COUNT, default=0, least=0),
)
"""The inputs of page Paging; the first `SEEN_AT_ONCE` are always seen."""

SEEN_AT_ONCE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """The inputs of this page, in the words of its widgets."""

    reservation: str
    paging_requests: int
    system_tokens: int
    pool_sequences: int
    question_tokens: int
    reply_tokens: int
    longest_tokens: int
    rate_per_step: float
    paging_seed: int
