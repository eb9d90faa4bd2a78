"""Launch lines read: the flags of four engines as settings."""

import dataclasses
import json
import shlex
import types
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, get_args, get_origin

from kvsim.errors import SpecError
from kvsim.io.commands.dialects import DEGREES, DIALECTS, EXPERTS, NOT_ON_A_LINE, Dialect
from kvsim.io.commands.words import share, whole
from kvsim.io.limits import MAX_LAUNCH_LETTERS, MAX_LAUNCH_WORDS
from kvsim.specs.engine import EngineName
from kvsim.specs.launch import LaunchCommand
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.parallel import Parallelism


def parse_command(line: str) -> LaunchCommand:
    """The settings that a launch line asks for.

    Flags that decide no memory known here, as a port does, are listed in `ignored`. The version
    of the engine is not on the line: the newest is meant.

    Args:
        line: a shell line with `vllm serve`, `python -m vllm.entrypoints.openai.api_server`, the
            vllm-openai image, `python -m sglang.launch_server`, `sglang serve`, `llama-server` or
            `trtllm-serve`.

    Raises:
        SpecError: for a line of no known engine, or a flag with an impossible value.

    Example:
        >>> command = parse_command("vllm serve acme/tiny -tp 2 --max-model-len 32K --port 80")
        >>> command.settings.max_model_len, command.parallel.tensor_parallel_size, command.ignored
        (32768, 2, ('--port',))
    """
    words = _words(line)
    dialect, rest = _program(words)
    flags, arguments = _flags(rest)
    model = next((flags.pop(name)[0] for name in dialect.models if flags.get(name)), None)
    if model is None and dialect.is_positional and arguments:
        model = arguments.pop(0)
    degrees = {DEGREES[n]: whole(n, _one(n, flags.pop(n))) for n in list(flags) if n in DEGREES}
    experts = bool(EXPERTS & set(flags)) or _has_experts(flags)
    for name in EXPERTS:
        flags.pop(name, None)
    settings, ignored = _settings(dialect, flags)
    return LaunchCommand(
        engine=dialect.engine,
        model=model,
        settings=settings,
        parallel=Parallelism(**degrees, enable_expert_parallel=experts),
        ignored=tuple(ignored),
    )


def is_launch_line(line: str) -> bool:
    """Whether `parse_command` knows a program on the line.

    Example:
        >>> is_launch_line("vllm serve acme/tiny"), is_launch_line("acme/tiny --engine vllm")
        (True, False)
    """
    try:
        _program(_words(line))
    except SpecError:
        return False
    return True


def _has_experts(flags: dict[str, list[str]]) -> bool:
    for name in ("ep_size", "ep", "expert_parallel_size"):
        if flags.get(name):
            return whole(name, _one(name, flags.pop(name))) > 1
    return False


def _words(line: str) -> list[str]:
    if len(line) > MAX_LAUNCH_LETTERS:
        msg = f"command: longer than {MAX_LAUNCH_LETTERS} letters"
        raise SpecError(msg)
    try:
        words = shlex.split(line.replace("\\\n", " "))
    except ValueError as error:
        msg = f"command: {error}"
        raise SpecError(msg) from None
    return words[:MAX_LAUNCH_WORDS]


def _program(words: list[str]) -> tuple[Dialect, list[str]]:
    """Whose line this is, and what follows its program."""
    for i, word in enumerate(words):
        last = word.rsplit("/", 1)[-1]
        following = words[i + 1] if i + 1 < len(words) else ""
        if last == "vllm" and following == "serve":
            return DIALECTS[EngineName.VLLM], words[i + 2 :]
        if "vllm.entrypoints" in word or last.startswith("vllm-openai"):
            return DIALECTS[EngineName.VLLM], words[i + 1 :]
        if word == "sglang.launch_server" or (last == "sglang" and following == "serve"):
            return DIALECTS[EngineName.SGLANG], words[i + (1 if "." in word else 2) :]
        if last in ("llama-server", "llama-server.exe"):
            return DIALECTS[EngineName.LLAMA_CPP], words[i + 1 :]
        if last == "trtllm-serve":
            return DIALECTS[EngineName.TENSORRT_LLM], words[
                i + (2 if following == "serve" else 1) :
            ]
    names = ", ".join(DIALECTS)
    msg = f"command={' '.join(words)[:60]!r} must be a launch line of {names}"
    raise SpecError(msg)


def _flags(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Flags, dashes as underscores, with the words that follow each; and the words before any.

    Of a flag that is given twice the last counts.
    """
    flags: dict[str, list[str]] = {}
    arguments: list[str] = []
    current: list[str] | None = None
    for word in words:
        if word[:1] == "-" and len(word) > 1 and not word[1:].replace(".", "", 1).isdigit():
            name, mark, value = word.lstrip("-").partition("=")
            current = flags[name.replace("-", "_")] = [value] if mark else []
        elif current is None:
            arguments.append(word)
        else:
            current.append(word)
    return flags, arguments


def _settings(dialect: Dialect, flags: dict[str, list[str]]) -> tuple[Any, list[str]]:
    """The engine's settings, and the flags that are none of them."""
    fields = {
        f.name: f for f in dataclasses.fields(dialect.settings) if f.name not in NOT_ON_A_LINE
    }
    values: dict[str, Any] = {}
    ignored: list[str] = []
    for name, words in flags.items():
        field, is_off = dialect.aliases.get(name, name), False
        if field not in fields and field.startswith("no_"):
            field, is_off = field.removeprefix("no_"), True
        special = SPECIAL.get((dialect.engine, field))
        if special is not None and not is_off:
            values |= special(words)
        elif field in fields:
            values[field] = False if is_off else _value(field, fields[field].type, words)
        else:
            ignored.append("--" + name.replace("_", "-"))
    return dialect.settings(**values), ignored


def _value(name: str, annotation: object, words: list[str]) -> object:
    """Words as the field's type has them."""
    kind = annotation
    if get_origin(kind) is types.UnionType:
        kind = next(t for t in get_args(kind) if t is not types.NoneType)
    if kind is bool:
        return _switch(name, words)
    if get_origin(kind) is tuple:
        parts = [part for word in words for part in word.split(",")]
        return (
            tuple(share(name, part) for part in parts)
            if get_args(kind)[0] is float
            else tuple(words)
        )
    word = _one(name, words)
    if kind is int:
        return whole(name, word)
    if kind is float:
        return share(name, word)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if word not in list(kind):
            msg = f"{name}={word[:40]!r} must be one of {', '.join(kind)}"
            raise SpecError(msg)
        return kind(word)
    return word


def _switch(name: str, words: list[str]) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    if not words:
        return True
    if words[0].lower() not in known:
        msg = f"{name}={words[0][:40]!r} must be true or false"
        raise SpecError(msg)
    return known[words[0].lower()]


def _one(name: str, words: list[str]) -> str:
    if not words:
        msg = f"{name} needs a value"
        raise SpecError(msg)
    return words[0]


def _vllm_length(words: list[str]) -> dict[str, object]:
    word = _one("max_model_len", words)
    if word in ("auto", "-1"):
        return {"auto_max_model_len": True}
    return {"max_model_len": whole("max_model_len", word)}


def _drafting(words: list[str]) -> dict[str, object]:
    """`--speculative-config`: its method and how many tokens it drafts."""
    text = _one("speculative_config", words)
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"speculative_config={text[:40]!r}: {error}"
        raise SpecError(msg) from None
    method = config.get("method") if isinstance(config, dict) else None
    drafted = config.get("num_speculative_tokens") if isinstance(config, dict) else None
    if not isinstance(method, str) or isinstance(drafted, bool) or not isinstance(drafted, int):
        msg = "speculative_config must hold a method and num_speculative_tokens"
        raise SpecError(msg)
    return {"speculative_method": method, "num_speculative_tokens": drafted}


def _sglang_chunk(words: list[str]) -> dict[str, object]:
    size = whole("chunked_prefill_size", _one("chunked_prefill_size", words))
    return {"disable_chunked_prefill": True} if size < 1 else {"chunked_prefill_size": size}


def _llama_flash(words: list[str]) -> dict[str, object]:
    word = words[0].lower() if words else "on"
    known = {"1": "on", "0": "off", "true": "on", "false": "off"}
    return {"flash_attn": _value("flash_attn", FLASH, [known.get(word, word)])}


def _llama_ram(words: list[str]) -> dict[str, object]:
    size = whole("cache_ram", _one("cache_ram", words))
    return {"cache_ram": None if size < 0 else size}


FLASH = next(f.type for f in dataclasses.fields(LlamaCpp) if f.name == "flash_attn")

SPECIAL: Mapping[tuple[EngineName, str], Callable[[list[str]], dict[str, object]]] = {
    (EngineName.VLLM, "max_model_len"): _vllm_length,
    (EngineName.VLLM, "speculative_config"): _drafting,
    (EngineName.SGLANG, "chunked_prefill_size"): _sglang_chunk,
    (EngineName.LLAMA_CPP, "flash_attn"): _llama_flash,
    (EngineName.LLAMA_CPP, "cache_ram"): _llama_ram,
}
"""Flags whose words are more, or less, than one field's value."""
