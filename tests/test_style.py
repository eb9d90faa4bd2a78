"""House rules that a reader of the source can check: how values are declared, how long code is."""

import ast

import pytest

from tests.layers import ROOT, parse, sources

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


MOST_LINES = 300  # of a file
MOST_FUNCTION_LINES = 40  # without the docstring
REASON = "# long: "


def too_long(text):
    """Files (line 0) and functions of a source that are longer than the house allows.

    A comment that begins with `# long: ` gives a reason: a file's stands before its first import,
    a function's right above it or in it.
    """
    lines = text.splitlines()
    tree = ast.parse(text)
    code = [node for node in tree.body if not isinstance(node, ast.Expr)]
    head = lines[: code[0].lineno - 1] if code else []
    if len(lines) > MOST_LINES and not any(line.startswith(REASON) for line in head):
        yield f"file: {len(lines)} lines"
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = node.end_lineno - node.lineno + 1
        if ast.get_docstring(node, clean=False):
            length -= node.body[0].end_lineno - node.body[0].lineno + 1
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        own = [line.strip() for line in lines[max(0, first - 2) : node.end_lineno]]
        if length > MOST_FUNCTION_LINES and not any(line.startswith(REASON) for line in own):
            yield f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", sources("kvsim", "app", "validation", "tests", "benchmarks"))
def test_files_and_functions_are_short_or_say_why_not(path):
    """
    What is read in one go is understood; a table or a list of flags may be longer, with a reason.
    """
    assert list(too_long((ROOT / path).read_text(encoding="utf-8"))) == []


LONG_FUNCTION = "def f():\n    'What it returns.'\n" + "    x = 0\n" * 41


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os\n" * 301, ["file: 301 lines"]),
        ("import os\n" * 300, []),
        ("'Flags.'\n\n# long: a flag a line\nimport os\n" + "\n" * 300, []),
        ("import os\n# long: too late\n" + "\n" * 300, ["file: 302 lines"]),
        (LONG_FUNCTION, ["f: 42 lines"]),
        ("class A:\n" + "    def f(self):\n" + "        x = 0\n" * 40, ["f: 41 lines"]),
        ("def f():\n    '''One.\n\n    Two.\n    '''\n" + "    x = 0\n" * 39, []),
        ("# long: a flag a line\n" + LONG_FUNCTION, []),
        (LONG_FUNCTION + "    # long: a flag a line\n", ["f: 42 lines"]),
        (LONG_FUNCTION + "    # long: a flag a line\n    x = 0\n", []),
    ],
)
def test_what_is_long_is_noticed(text, found):
    """
    A check that can't fail guards nothing; a docstring costs nothing.
    """
    assert list(too_long(text)) == found
