"""Hostile inputs from valid ones: bytes flipped, cut, repeated, and values that break readers."""

import random
import re

NASTY = (
    *(b"-1", b"0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 400, b"1e-400", b"0x10"),
    *(b"18446744073709551616", b"9223372036854775807", b"2147483648", b"1.5", b"true", b"null"),
    *(b'"', b'""', b"{", b"}", b"[" * 200, b"]" * 200, b"{}", b"[]", b"\\u0000", b"\x00"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\x1b[31m", b"\x1b]0;x\x07", b"../../x", b"=1+1", b"|"),
    *(b"\r", b"\n", b"\r\n\r\n", b",", b";", b"'", b"\xc3\x28", "\u202e".encode(), b"\xe2\x80\xa8"),
)
"""What readers trip over: sizes out of range, unbalanced nesting, escapes, other encodings."""

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
MOST_CHANGES = 6
LONGEST = 1 << 18


def mutated(seed: bytes, others: tuple[bytes, ...], rng: random.Random) -> bytes:
    """A hostile relative of a valid input, at most 256 KiB long."""
    content = bytearray(seed)
    for _ in range(rng.randint(1, MOST_CHANGES)):
        content = rng.choice(_CHANGES)(content, others, rng)
        if not content:
            return b""
    return bytes(content[:LONGEST])


def _flip(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return content


def _word(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    """Eight bytes of a binary header, as a length that lies."""
    start = rng.randrange(len(content))
    value = rng.choice((0, 1, 2**31, 2**32 - 1, 2**40, 2**63, 2**64 - 1))
    content[start : start + 8] = value.to_bytes(8, "little")
    return content


def _cut(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    del content[start:end]
    return content


def _end(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    return content[: rng.randrange(len(content) + 1)]


def _repeat(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    piece = content[start : min(end, start + 4096)]
    content[start:start] = piece * rng.randint(1, 8)
    return content


def _insert(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    start = rng.randrange(len(content) + 1)
    content[start:start] = rng.choice(NASTY)
    return content


def _number(content: bytearray, _others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    """One number replaced: most fields of most formats are numbers."""
    found = list(_NUMBER.finditer(content))
    if not found:
        return _insert(content, _others, rng)
    match = rng.choice(found)
    content[match.start() : match.end()] = rng.choice(NASTY)
    return content


def _splice(content: bytearray, others: tuple[bytes, ...], rng: random.Random) -> bytearray:
    other = rng.choice(others)
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


_CHANGES = (_flip, _word, _cut, _end, _repeat, _insert, _number, _number, _number, _splice)
