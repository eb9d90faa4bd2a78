"""The layer table of the design as data, and the checks that read a source file against it."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

BASE = {"errors", "message", "units", "dtypes"}
FORMULAS = BASE | {"specs", "engines", "analytic"}
# What a layer may import of kvsim: its own row and those above it, as the table says.
MAY_IMPORT = {
    **dict.fromkeys(BASE, BASE),
    "specs": BASE | {"specs"},
    "engines": FORMULAS - {"analytic"},  # analytic asks engines for layouts, not the reverse
    "analytic": FORMULAS,
    "sim": FORMULAS | {"sim"},
    "planner": FORMULAS | {"sim", "planner"},
    "io": BASE | {"specs", "io"},
    "api": FORMULAS | {"sim", "planner", "io", "api"},
    "cli": {"errors", "message", "units", "specs", "io", "api", "cli", "__version__"},
    "__init__": FORMULAS | {"sim", "planner", "io", "api"},
    "__main__": {"cli"},
}
MAY_INSTALL = {
    "engines": {"numpy"},
    "analytic": {"numpy"},
    "sim": {"numpy", "numba", "polars"},
    "planner": {"numpy", "joblib", "ray"},
    "io": {"numpy", "polars", "gguf", "huggingface_hub"},
    "api": {"numpy"},
    "cli": {"rich", "shtab"},
}
HEAVY = {"numba", "polars", "rich", "joblib", "huggingface_hub", "gguf", "ray"}
KERNELS = "kvsim/sim/_kernels"  # loaded by who runs one: these may import numba at once
ONLY_IN = {
    "numba": [KERNELS],
    "polars": ["kvsim/io", "kvsim/sim/tables"],  # of the simulator, a run's records as tables
    "ray": ["kvsim/planner/sweep_ray"],
}
FOREIGN = {"streamlit", "torch", "transformers", "vllm", "pandas"}

CLOCKS = {"time", "datetime", "sched"}
RANDOMNESS = {"random", "secrets", "uuid"}
FILES = {
    *("os", "io", "pathlib", "shutil", "tempfile", "glob", "fileinput", "mmap", "importlib"),
    *("pkgutil", "tomllib", "csv", "pickle", "shelve", "sqlite3", "gzip", "bz2", "lzma", "zipfile"),
}
OUTSIDE = {"socket", "urllib", "http", "ssl", "subprocess", "logging", "platform", "ctypes"}
PARSING = {"json", "re", "argparse", "ast", "tomllib", "csv", "struct", "configparser"}
NEVER_STANDARD = {
    "specs": FILES | OUTSIDE | CLOCKS | RANDOMNESS,
    "engines": FILES | OUTSIDE,
    "analytic": FILES | OUTSIDE,
    "sim": CLOCKS | RANDOMNESS,
    "api": PARSING,
}
NEVER_CALLED = {
    "specs": {"open", "print", "input"},
    "engines": {"open"},
    "analytic": {"open"},
    "api": {"open", "print"},
}
RANDOM_THAT_COMES_IN = {"Generator", "SeedSequence"}
FORMULA_OPERATORS = (ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)

ENGINES = {"ideal", "vllm", "sglang", "llama_cpp", "llama.cpp", "ollama", "transformers"}
ENGINES |= {"tensorrt_llm", "tensorrt-llm"}
# Places that know engines and model kinds; each may be a module or a package.
KNOWS_ENGINES = ["kvsim/engines", "kvsim/specs/engine", "kvsim/io/commands", "kvsim/io/engine_logs"]
KNOWS_MODELS = ["kvsim/io/hf_config"]
MODEL_KINDS = {"model_type", "architecture", "architectures"}
MODULE_NAMES = {"__all__", "__doc__", "__file__", "__name__", "__path__", "__version__"}
NEVER_IN = {
    "app": {"validation", "torch", "transformers", "vllm"},
    "validation": {"app", "streamlit"},
}


def sources(*trees):
    """Python files of these top-level folders, as paths from the root; none where one is absent."""
    return [str(p.relative_to(ROOT)) for tree in trees for p in sorted((ROOT / tree).rglob("*.py"))]


def layer_of(path):
    """The row of the table that `kvsim/...` belongs to."""
    return Path(path).parts[1].removesuffix(".py")


def stands_in(path, places):
    """Whether a file is one of these modules or lies in one of these packages."""
    return any(path == f"{place}.py" or path.startswith(f"{place}/") for place in places)


def is_type_checking(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def at_import(tree):
    """Nodes that run when the module is imported: not those in functions or for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if is_type_checking(node):
            yield from (n for child in node.orelse for n in [child, *at_import(child)])
            continue
        yield node
        yield from at_import(node)


def at_run(tree):
    """Nodes that run at some time: not those for type checkers."""
    for node in ast.iter_child_nodes(tree):
        children = node.orelse if is_type_checking(node) else [node]
        yield from (n for child in children for n in [child, *at_run(child)])


def imported(nodes):
    """Dotted names that these nodes import; `from kvsim import api` counts as `kvsim.api`."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.ImportFrom) and node.module in {"kvsim", "numpy", "numpy.random"}:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def import_violations(path, tree):
    """Imports that the layer of a library module does not allow, in functions too."""
    layer = layer_of(path)
    if layer not in MAY_IMPORT:
        yield f"{layer} is no layer of the design"
        return
    at_run_time = {*imported(at_run(tree))}
    for name in imported(ast.walk(tree)):
        head, *rest = name.split(".")
        if head == "kvsim":
            allowed = bool(rest) and rest[0] in MAY_IMPORT[layer] | {"__version__"}
        elif head in sys.stdlib_module_names:
            allowed = head not in NEVER_STANDARD.get(layer, ())
        else:
            allowed = head in MAY_INSTALL.get(layer, ())
            if name in at_run_time and head in ONLY_IN:
                allowed = allowed and stands_in(path, ONLY_IN[head])
        if not allowed:
            yield f"{layer} imports {name}"


def builds_text(node):
    """Whether an operator works on a string literal, as in `"-" * width`."""
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def conduct_violations(path, tree):
    """What a layer may not do whatever it imports: I/O, global randomness, formulas."""
    layer = layer_of(path)
    used = [*imported(ast.walk(tree))] if layer == "sim" else []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in NEVER_CALLED.get(layer, ()):
                yield f"{layer} calls {node.func.id}"
        elif isinstance(node, ast.Attribute) and layer == "sim":
            used.append(ast.unparse(node).replace("np.", "numpy.", 1))
        elif isinstance(node, ast.BinOp | ast.AugAssign) and layer in {"api", "cli"}:
            is_formula = isinstance(node.op, FORMULA_OPERATORS) and not builds_text(node)
            if is_formula:
                yield f"{layer} has a formula: {ast.unparse(node)}"
    for name in used:
        if name.startswith("numpy.random.") and name.split(".")[2] not in RANDOM_THAT_COMES_IN:
            yield f"sim uses {name}, where a Generator comes in"


def eager_violations(path, tree):
    """Packages that are slow to load, where the module loads them at once; kernels need theirs."""
    names = [name.split(".")[0] for name in imported(at_import(tree))]
    heavy = HEAVY - ({"numba"} if stands_in(path, [KERNELS]) else set())
    yield from (f"{path} imports {name} outside a function" for name in names if name in heavy)
    if layer_of(path) == "__init__" and "kvsim" in names:
        yield "kvsim/__init__.py exports eagerly"


def compared(tree):
    """(subject, constants) of every ==, !=, in, not in, and of every match."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            if isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                yield [node.left, *node.comparators], [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            yield [node.subject], [case.pattern for case in node.cases]


def named(node):
    """The name under which a compared value goes: x, y.x, y["x"] and y.get("x") are all x."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=name)):
            return name
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=name), *_]):
            return name
        case ast.Call(func=ast.Attribute(value=inner)):  # x.lower()
            return named(inner)
    return None


def branch_violations(path, tree):
    """Branches on a model's kind or on an engine's name, outside the files that know them."""
    for subjects, values in compared(tree):
        kinds = MODEL_KINDS & {named(subject) for subject in subjects}
        if kinds and not stands_in(path, KNOWS_MODELS):
            yield f"{path} compares {min(kinds)}"
        constants = (n for value in values for n in ast.walk(value) if isinstance(n, ast.Constant))
        engines = ENGINES & {n.value for n in constants if isinstance(n.value, str)}
        # The validation compares with real engines, so it may name them.
        if engines and not stands_in(path, [*KNOWS_ENGINES, "validation"]):
            yield f"{path} compares with the engine name {min(engines)}"


def adapter_violations(path, tree, *, public):
    """What the app or the validation uses of kvsim beyond its public names, or of each other."""
    home = Path(path).parts[0]
    aliases = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name for alias in node.names if alias.name == "kvsim"}
    for name in imported(ast.walk(tree)):
        head, *rest = name.split(".")
        if head in NEVER_IN[home]:
            yield f"{home} imports {name}"
        elif head == "kvsim" and rest and (len(rest) > 1 or rest[0] not in public):
            yield f"{home} imports {name}, which is not public"
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in aliases:
                if name not in public | MODULE_NAMES:
                    yield f"{home} uses kvsim.{name}, which is not public"


def parse(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)
