"""`kvsim`: parse, call one library function, print. No formula lives here."""

import json
import sys
from collections.abc import Mapping, Sequence

from kvsim.cli.commands import COMMANDS
from kvsim.cli.parser import build_parser
from kvsim.cli.provenance import provenance
from kvsim.errors import KvsimError, MissingExtraError
from kvsim.io.exports import SCHEMA_VERSION, report_csv, report_markdown

EXIT_FITS, EXIT_BAD_INPUT, EXIT_DOES_NOT_FIT, EXIT_MISSING_EXTRA = 0, 2, 3, 4
EXIT_INTERRUPTED = 130


def _as_json(report: Mapping[str, object]) -> str:
    return json.dumps(report, allow_nan=False) + "\n"


FORMS = {"json": _as_json, "csv": report_csv, "markdown": report_markdown}
"""How `--json`, `--csv` and `--markdown` print a result."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0 done and fits, 2 bad input, 3 done and does not fit, 4 an extra is missing,
        130 interrupted.
    """
    given = sys.argv[1:] if argv is None else argv
    only = given[0] if given and given[0] in COMMANDS else None
    args = build_parser(only).parse_args(given)
    command = COMMANDS[args.command]
    try:
        result = command.run(args)
        if result is None:
            return EXIT_FITS
        if args.form is None:
            command.show(result)
        else:
            whence = {"schema_version": SCHEMA_VERSION, "provenance": provenance(args, result)}
            print(FORMS[args.form](whence | result), end="")
        sys.stdout.flush()
    except MissingExtraError as error:
        return _fail(error, EXIT_MISSING_EXTRA)
    except KvsimError as error:
        return _fail(error, EXIT_BAD_INPUT)
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return EXIT_FITS
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return _exit_code(result)


def _exit_code(result: Mapping[str, object]) -> int:
    if result.get("interrupted"):
        return EXIT_INTERRUPTED
    return EXIT_DOES_NOT_FIT if result.get("fits") is False else EXIT_FITS


def _fail(error: KvsimError, code: int) -> int:
    print(f"kvsim: {' '.join(str(error).split())}", file=sys.stderr)
    return code
