"""What a `schema_version` promises its readers: keys that are always there, and their types."""

import json
from pathlib import Path

import pytest

from kvsim.cli import SCHEMA_VERSION

SCHEMAS = Path(__file__).parents[2] / "docs/schema"
RECORD = Path(__file__).with_name("promises.json")
PROMISED = json.loads(RECORD.read_text())
"""Version -> schema -> path of a required key -> its types, as they were published."""

ALL = "array boolean integer null number object string"
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def types(schema):
    """What a value may be, in words; all where the schema does not say."""
    if "const" in schema or "enum" in schema:
        stated = {TYPES[type(value)] for value in schema.get("enum", [schema.get("const")])}
    else:
        stated = schema.get("type", ALL)
    return stated if isinstance(stated, str) else " ".join(sorted(stated))


def promises(schema, root, path=""):
    """(path, types) of all that is required; forms that exclude each other are numbered."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for number, form in enumerate([*schema.get("oneOf", ()), *schema.get("anyOf", ())]):
        yield from promises(form, root, f"{path}|{number}")
    if "items" in schema:
        yield from promises(schema["items"], root, f"{path}[]")
    if path:
        yield path, types(schema)
    for name in schema.get("required", ()):
        yield from promises(schema.get("properties", {}).get(name, {}), root, f"{path}.{name}")


def published():
    """What every schema promises now."""
    for path in sorted(SCHEMAS.glob("*.schema.json")):
        schema = json.loads(path.read_text())
        yield path.name.removesuffix(".schema.json"), dict(promises(schema, schema))


@pytest.mark.parametrize(("name", "now"), [*published()], ids=lambda value: str(value)[:20])
def test_a_promise_is_kept_until_schema_version_is_raised(name, now):
    """
    A key that goes, may be absent, or takes other types breaks a reader: raise SCHEMA_VERSION, and
    run `python -m tests.cli.test_promises` for the new version's record. A new key breaks none.
    """
    then = PROMISED[str(SCHEMA_VERSION)].get(name, {})
    broken = {
        path: now.get(path, "may be absent")
        for path, kinds in then.items()
        if not set(now.get(path, "-").split()) <= set(kinds.split())
    }

    assert broken == {}


if __name__ == "__main__":
    PROMISED[str(SCHEMA_VERSION)] = dict(published())
    RECORD.write_text(json.dumps(PROMISED, indent=0) + "\n")
