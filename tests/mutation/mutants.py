"""The mutants of a tree: every small change that Cosmic Ray knows, and a sample of them."""

import ast
import random
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code

PACKAGES = ("kvsim/specs", "kvsim/engines", "kvsim/analytic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change in one file: what an operator does at its nth occurrence."""

    path: str  # from the root of the tree
    operator: str
    occurrence: int
    line: int
    column: int

    @property
    def family(self) -> str:
        """The operator's kind: replacing one operator by any of twelve others is one kind."""
        return self.operator.removeprefix("core/").split("_")[0]

    @property
    def place(self) -> tuple[str, int, int, str]:
        """Where it stands and what kind of change it is."""
        return self.path, self.line, self.column, self.family

    def code(self, source: str) -> str | None:
        """The changed file, or None where the change leaves no program."""
        made = mutate_code(
            source, cosmic_ray.plugins.get_operator(self.operator)(), self.occurrence
        )
        try:
            with warnings.catch_warnings(action="error"):  # `x is 1` is no program either
                compile(made or "", self.path, "exec")
        except (SyntaxError, ValueError):
            return None
        return made


def mutants(root: Path, path: str) -> Iterator[Mutant]:
    """Every mutant of a file, but for its annotations and signatures' markers: they do nothing."""
    source = (root / path).read_text(encoding="utf-8")
    silent = [*_annotations(ast.parse(source))]
    nodes = [*ast_nodes(get_ast(source))]
    for name in cosmic_ray.plugins.operator_names():
        operator_class = cosmic_ray.plugins.get_operator(name)
        if operator_class.arguments():
            continue  # replaces a name that one has to give
        operator = operator_class()
        found = [(node, at) for node in nodes for at, _ in operator.mutation_positions(node)]
        for occurrence, (node, at) in enumerate(found):
            if not _is_marker(node) and not any(start <= at < end for start, end in silent):
                line, column = at
                yield Mutant(
                    path=path, operator=name, occurrence=occurrence, line=line, column=column
                )


def sample(root: Path, *, size: int, seed: int) -> Sequence[Mutant]:
    """Mutants in random places: each place counts once, however many changes it allows.

    A `+` can become any of eleven operators, a number only two others; a draw among all mutants
    would be a draw of operators.
    """
    rng = random.Random(seed)
    places: dict[tuple[str, int, int, str], list[Mutant]] = {}
    for package in PACKAGES:
        for file in sorted((root / package).glob("*.py")):
            for mutant in mutants(root, str(file.relative_to(root))):
                places.setdefault(mutant.place, []).append(mutant)
    drawn: list[Mutant] = []
    for place in rng.sample(sorted(places), len(places)):
        source = (root / place[0]).read_text(encoding="utf-8")
        options = rng.sample(places[place], len(places[place]))
        drawn += islice((m for m in options if m.code(source) is not None), 1)
        if len(drawn) == size:
            break
    return drawn


def _is_marker(node: object) -> bool:
    """Whether this is the `*` or `/` that parts a signature: no operator."""
    parent = getattr(node, "parent", None)
    return getattr(node, "type", "") == "operator" and getattr(parent, "type", "") == "parameters"


def _annotations(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(tree):
        for part in ("annotation", "returns"):
            found = getattr(node, part, None)
            if found is not None:
                start = (found.lineno, found.col_offset)
                yield start, (found.end_lineno, found.end_col_offset)
