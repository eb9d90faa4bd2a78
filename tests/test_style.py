"""House rules that a reader of the source can check: how values are declared."""

import ast

import pytest

from tests.layers import parse, sources

TREES = ("kvsim/specs", "kvsim/engines", "kvsim/analytic")
VALUE = {"frozen": "True", "slots": "True"}
# Made by position: few fields, in an order that one reads aloud.
BY_POSITION = {
    *("Interval", "Drafter", "Tensor", "PromptSegment", "LayerBytes", "SequenceBytes"),
    *("DeviceDefaults", "_Storage", "Held", "Length", "LayerSet", "_Module", "PositionFlops"),
    *("UnifiedShare", "SequenceGrid", "RankTensors", "Part"),
}
# Compared by identity: they hold arrays, or are the key of a cache.
BY_IDENTITY = {"VllmCache", "CacheGrid", "SequenceGrid", "Roofline"}


def dataclasses(path):
    """Every dataclass of a file: its name, and the arguments of its decorator."""
    for node in ast.walk(parse(path)):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(node, ast.ClassDef) and ast.unparse(decorator).startswith("dataclass"):
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else ()
                yield node.name, {k.arg: ast.unparse(k.value) for k in keywords}


def expected(name):
    by_name = {} if name in BY_POSITION else {"kw_only": "True"}
    return VALUE | by_name | ({"eq": "False"} if name in BY_IDENTITY else {})


@pytest.mark.parametrize("path", sources(*TREES))
def test_values_are_frozen_and_made_by_name(path):
    """
    A value that anyone can change is no value, and two counts given by position change places.
    """
    found = dict(dataclasses(path))

    assert found == {name: expected(name) for name in found}
