"""Rows of the trace formats, one function per format, to requests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kvsim.errors import SpecError
from kvsim.io.limits import MAX_REQUEST_TOKENS
from kvsim.specs.workload import PromptSegment, Request

Row = Mapping[str, Any]

FIRST_HASH_SEGMENT = 2 * 10**12
"""Segments from here on are a trace's hashed blocks: this plus the trace's own id."""

FIRST_TURN_SEGMENT = 3 * 10**12
"""Segments from here on are the turns of a trace's conversations, in the order of the file."""

MOST_SEGMENTS = 2**53  # whole numbers up to here are exact as floats

MILLISECONDS = 1e-3
MOONCAKE_BLOCK_TOKENS = 512
BAILIAN_BLOCK_TOKENS = 16


@dataclass(slots=True)
class TraceState:
    """What a reader remembers of earlier rows.

    Invariant: `first` is the first row's time in the trace's own clock, None before it; `said`
    holds, per conversation, everything said so far.
    """

    first: datetime | None = None
    said: dict[str, tuple[PromptSegment, ...]] = field(default_factory=dict)
    num_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFormat:
    """A format: the columns that tell it, and how one row reads."""

    name: str
    columns: frozenset[str]
    read: Callable[[Row, TraceState], Request]


def whole(row: Row, name: str, *, most: int = MAX_REQUEST_TOKENS) -> int:
    """A count of tokens, or an id, from text or a number; 12.0 is one, True and 12.5 are not."""
    value = row.get(name)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= most or number != number // 1:
        msg = f"{name}={str(value)[:40]!r} must be a whole number from 0 to {most:,}"
        raise SpecError(msg)
    return int(number)


def seconds(row: Row, name: str, *, unit: float = 1.0) -> float:
    """A time from text or a number, in seconds."""
    value = row.get(name)
    try:
        return float(value) * unit  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        msg = f"{name}={str(value)[:40]!r} must be a number"
        raise SpecError(msg) from None


def read_azure(row: Row, state: TraceState) -> Request:
    """Azure's public inference traces: a time stamp and two counts."""
    text = str(row["TIMESTAMP"]).strip()
    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        msg = f"TIMESTAMP={text[:40]!r} must be a date and time"
        raise SpecError(msg) from None
    first = state.first = state.first or stamp
    if (first.tzinfo is None) != (stamp.tzinfo is None):
        msg = (
            f"TIMESTAMP={text[:40]!r} must have a time zone where the first has one, and only then"
        )
        raise SpecError(msg)
    return Request(
        arrival_s=(stamp - first).total_seconds(),
        num_prompt_tokens=whole(row, "ContextTokens"),
        num_output_tokens=whole(row, "GeneratedTokens"),
    )


def read_burstgpt(row: Row, state: TraceState) -> Request:  # noqa: ARG001
    """BurstGPT; a failed request has no response tokens, and is refused as such."""
    if not whole(row, "Response tokens"):
        msg = "Response tokens=0 is a failed request"
        raise SpecError(msg)
    return Request(
        arrival_s=seconds(row, "Timestamp"),
        num_prompt_tokens=whole(row, "Request tokens"),
        num_output_tokens=whole(row, "Response tokens"),
    )


def read_mooncake(row: Row, state: TraceState) -> Request:  # noqa: ARG001
    """Mooncake: milliseconds, and an id for each block of 512 tokens with all before it."""
    return _hashed(row, unit=MILLISECONDS, block_tokens=MOONCAKE_BLOCK_TOKENS)


def read_bailian(row: Row, state: TraceState) -> Request:  # noqa: ARG001
    """Qwen-Bailian: seconds, and an id for each block of 16 tokens with all before it."""
    return _hashed(row, unit=1.0, block_tokens=BAILIAN_BLOCK_TOKENS)


def _hashed(row: Row, *, unit: float, block_tokens: int) -> Request:
    length = whole(row, "input_length")
    ids = row["hash_ids"]
    if not isinstance(ids, list) or len(ids) != -(-length // block_tokens):
        count = len(ids) if isinstance(ids, list) else "no list of"
        msg = f"hash_ids: {count} ids must be one per {block_tokens} of input_length={length}"
        raise SpecError(msg)
    for hash_id in ids:
        if type(hash_id) is not int or not 0 <= hash_id < FIRST_TURN_SEGMENT - FIRST_HASH_SEGMENT:
            msg = f"hash_ids: {str(hash_id)[:40]!r} must be a whole number >= 0 and < 10^12"
            raise SpecError(msg)
    last = len(ids) - 1
    return Request(
        arrival_s=seconds(row, "timestamp", unit=unit),
        num_prompt_tokens=length,
        num_output_tokens=whole(row, "output_length"),
        prompt=tuple(
            PromptSegment(
                FIRST_HASH_SEGMENT + hash_id,
                block_tokens if i < last else length - last * block_tokens,
            )
            for i, hash_id in enumerate(ids)
        ),
    )


def read_sharegpt(row: Row, state: TraceState) -> Request:
    """Lengths alone, or with times; with a conversation, a prompt repeats all that was said.

    A prompt shorter than what was said before starts the conversation anew.
    """
    request = Request(
        arrival_s=seconds(row, "arrival_s") if row.get("arrival_s") is not None else 0.0,
        num_prompt_tokens=whole(row, "prompt_tokens"),
        num_output_tokens=whole(row, "output_tokens"),
    )
    conversation = row.get("conversation", row.get("conv_id"))
    if conversation is None:
        return request
    own = FIRST_TURN_SEGMENT + 2 * state.num_rows
    before = state.said.get(str(conversation), ())
    new = request.num_prompt_tokens - sum(segment.num_tokens for segment in before)
    if new < 0:
        before, new = (), request.num_prompt_tokens
    prompt = (*before, PromptSegment(own, new)) if new else before
    state.said[str(conversation)] = (*prompt, PromptSegment(own + 1, request.num_output_tokens))
    return replace(request, prompt=prompt, output_segment=own + 1)


def read_own(row: Row, state: TraceState) -> Request:  # noqa: ARG001
    """What kvsim writes itself; `prompt` is segments: "id:tokens id:tokens", or a list of pairs."""
    given = row.get("prompt") or ()
    pairs = [pair.split(":") for pair in given.split()] if isinstance(given, str) else given
    try:
        prompt = tuple(PromptSegment(int(segment_id), int(tokens)) for segment_id, tokens in pairs)
    except (TypeError, ValueError):
        msg = f"prompt={str(given)[:40]!r} must be segments as id:tokens, a space between them"
        raise SpecError(msg) from None
    named = row.get("output_segment")
    return Request(
        arrival_s=seconds(row, "arrival_s"),
        num_prompt_tokens=whole(row, "num_prompt_tokens"),
        num_output_tokens=whole(row, "num_output_tokens"),
        prompt=prompt,
        output_segment=None
        if named in (None, "")
        else whole(row, "output_segment", most=MOST_SEGMENTS),
        priority=_priority(row),
        num_samples=whole(row, "num_samples") if row.get("num_samples") else 1,
        after=None if row.get("after") in (None, "") else whole(row, "after"),
        pause_s=seconds(row, "pause_s") if row.get("pause_s") else 0.0,
    )


def _priority(row: Row) -> int:
    value = row.get("priority") or 0
    try:
        return int(value)
    except (TypeError, ValueError):
        msg = f"priority={str(value)[:40]!r} must be a whole number"
        raise SpecError(msg) from None


def own_row(request: Request) -> dict[str, object]:
    """A request as kvsim's own row; `read_own` gives it back."""
    return {
        "arrival_s": request.arrival_s,
        "num_prompt_tokens": request.num_prompt_tokens,
        "num_output_tokens": request.num_output_tokens,
        "prompt": " ".join(f"{s.segment_id}:{s.num_tokens}" for s in request.prompt),
        "output_segment": request.output_segment,
        "priority": request.priority,
        "num_samples": request.num_samples,
        "after": request.after,
        "pause_s": request.pause_s,
    }


def _format(name: str, read: Callable[[Row, TraceState], Request], *columns: str) -> TraceFormat:
    return TraceFormat(name=name, columns=frozenset(columns), read=read)


FORMATS = (
    _format("kvsim", read_own, "arrival_s", "num_prompt_tokens", "num_output_tokens"),
    _format("azure", read_azure, "TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    _format("burstgpt", read_burstgpt, "Timestamp", "Request tokens", "Response tokens"),
    _format(
        *("qwen-bailian", read_bailian, "chat_id", "timestamp", "input_length"),
        *("output_length", "hash_ids"),
    ),
    _format("mooncake", read_mooncake, "timestamp", "input_length", "output_length", "hash_ids"),
    _format("sharegpt", read_sharegpt, "prompt_tokens", "output_tokens"),
)
"""The first whose columns are all there reads a file."""


def format_of(columns: frozenset[str]) -> TraceFormat | None:
    """The format that these columns tell; None for an unknown one."""
    return next((f for f in FORMATS if f.columns <= columns), None)


def plain_name(column: object) -> str:
    """A column's name without what surrounds it."""
    return str(column).strip().lstrip("\ufeff")


__all__ = ["FORMATS", "TraceFormat", "TraceState", "format_of", "own_row", "plain_name"]
