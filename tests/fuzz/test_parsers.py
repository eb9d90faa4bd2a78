"""Outside input ends in a result or a `KvsimError`, in bounded time: a short run each."""

import random

import pytest

from kvsim import KvsimError
from tests.fuzz.mutate import mutated
from tests.fuzz.parsers import parsers
from tests.fuzz.run import Outcome, tried

SEED, CASES = 7, 150


@pytest.mark.parametrize("name", parsers())
def test_valid_input_is_read(name, tmp_path):
    """
    Hostile inputs are made from these; if they were refused, nothing would be tried.
    """
    parser = parsers()[name]

    for seed in parser.seeds:
        path = tmp_path / f"input{parser.suffix}"
        path.write_bytes(seed)
        assert parser.read(path) is not None


@pytest.mark.parametrize("name", parsers())
def test_hostile_input_is_read_or_refused(name, tmp_path):
    """
    The first of many that `python -m tests.fuzz` tries for longer.
    """
    parser, rng = parsers()[name], random.Random(SEED)

    for content in parser.finds:
        assert tried(parser, content, tmp_path).is_safe
    for _ in range(CASES):
        seed = rng.choice(parser.seeds)
        content = mutated(seed, parser.seeds, rng)
        outcome = tried(parser, content, tmp_path)
        assert outcome.is_safe, (outcome.what, content[:2000])


def test_an_unsafe_reader_is_found_out(tmp_path):
    """
    A rig that cannot fail proves nothing.
    """
    parser = parsers()["config"]

    def crash(path):
        raise ZeroDivisionError(path.name)

    def refuse(path):
        raise KvsimError(path.name)

    def shout(path):
        error = KvsimError(path.name)
        error.args = ("\x1b[31m" + path.name,)
        raise error

    def run(read):
        unsafe = type(parser)(name="x", suffix=".json", read=read, seeds=())
        return tried(unsafe, b"{}", tmp_path)

    assert run(crash) == Outcome(is_safe=False, what="ZeroDivisionError: input.json")
    assert run(refuse).is_safe
    assert not run(shout).is_safe
