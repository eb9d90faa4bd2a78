"""A model by its id on a hub: its config, and the headers of its safetensors files."""

import os
import re
from dataclasses import dataclass
from importlib import import_module, util
from pathlib import Path
from typing import NoReturn

from kvsim.errors import FileError
from kvsim.io.limits import MAX_CONFIG_BYTES
from kvsim.io.safetensors import DTYPE_BITS
from kvsim.specs.tensors import Tensor

MODELSCOPE = "modelscope:"
"""Before an id of ModelScope, whose ids look like those of the Hugging Face hub."""

_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
CONFIG = "config.json"
TIMEOUT_S = 10
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True, slots=True)
class HubModel:
    """What a hub says of a model; no tensors where only the config could be had."""

    config_text: str
    tensors: tuple[Tensor, ...]


def is_hub_id(name: str) -> bool:
    """Whether a name looks like an id: owner/name, or modelscope:owner/name.

    Example:
        >>> is_hub_id("meta-llama/Llama-3.1-8B"), is_hub_id("llama-3.1-8b")
        (True, False)
    """
    return _ID.fullmatch(name.removeprefix(MODELSCOPE)) is not None


def is_offline() -> bool:
    """Whether this process was told to ask no hub."""
    asked = (os.environ.get(name, "") for name in OFFLINE)
    return any(value.upper() in ("1", "ON", "YES", "TRUE") for value in asked)


def fetch_model(name: str, *, anonymous: bool = False) -> HubModel:
    """The config and the tensors' sizes of a model on a hub; header bytes only.

    Args:
        name: its id, owner/name, or modelscope:owner/name.
        anonymous: show the hub no token, whatever this machine has one for.

    Raises:
        FileError: if the hub cannot be reached, or has no such model or no config of it, or its
            client is not installed.
    """
    if name.startswith(MODELSCOPE):
        if anonymous:
            _refuse(name, "ModelScope's client cannot be told to show no token")
        return HubModel(_modelscope_config(name), ())
    import huggingface_hub as hub  # noqa: PLC0415 - only ids that the catalogue lacks need it
    from huggingface_hub import errors  # noqa: PLC0415
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined] # noqa: PLC0415

    token = _token(anonymous=anonymous)
    # what others' tokens fetched is not shown to who shows none
    cached = None if anonymous else hub.try_to_load_from_cache(name, CONFIG)
    try:
        if isinstance(cached, str):
            text = _text(Path(cached), name)
        else:
            url = hub.hf_hub_url(name, CONFIG)
            hub.get_hf_file_metadata(url, timeout=TIMEOUT_S, token=token)
            text = _text(Path(hub.hf_hub_download(name, CONFIG, token=token)), name)
    except errors.LocalEntryNotFoundError as error:  # a subclass of what follows
        _refuse(name, f"the hub cannot be reached ({_first_line(error)})")
    except errors.EntryNotFoundError:
        _refuse(name, f"it has no {CONFIG} on the hub")
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        _refuse(name, "the hub has no public model of this name")
    except (HTTPError, OSError) as error:
        _refuse(name, f"the hub cannot be reached ({_first_line(error)})")
    return HubModel(text, _hub_tensors(name, anonymous=anonymous))


def _hub_tensors(name: str, *, anonymous: bool) -> tuple[Tensor, ...]:
    """The tensors by their files' headers; none where they cannot be had."""
    import huggingface_hub as hub  # noqa: PLC0415
    from huggingface_hub import errors  # noqa: PLC0415
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined] # noqa: PLC0415

    unavailable = (
        errors.NotASafetensorsRepoError,
        errors.SafetensorsParsingError,
        HTTPError,
        OSError,
    )
    try:
        files = hub.get_safetensors_metadata(name, token=_token(anonymous=anonymous)).files_metadata
    except unavailable:
        return ()
    return tuple(
        Tensor(tensor, info.dtype, tuple(info.shape), info.data_offsets[1] - info.data_offsets[0])
        for file in files.values()
        for tensor, info in file.tensors.items()
        if info.dtype in DTYPE_BITS
    )


def _token(*, anonymous: bool) -> bool | None:
    """What the hub's client takes for a token: none at all, or None for this machine's."""
    return False if anonymous else None


def _modelscope_config(name: str) -> str:
    """The config that ModelScope's client downloads."""
    if util.find_spec("modelscope") is None:
        _refuse(name, "its client is not installed: pip install modelscope")
    download = import_module("modelscope.hub.file_download").model_file_download
    try:
        path = download(model_id=name.removeprefix(MODELSCOPE), file_path=CONFIG)
    except (OSError, ValueError) as error:
        _refuse(name, f"ModelScope cannot be reached ({_first_line(error)})")
    return _text(Path(path), name)


def _text(path: Path, name: str) -> str:
    with path.open("rb") as file:
        raw = file.read(MAX_CONFIG_BYTES + 1)
    if len(raw) > MAX_CONFIG_BYTES:
        _refuse(name, f"its {CONFIG} is larger than {MAX_CONFIG_BYTES} bytes")
    return raw.decode("utf-8-sig", "replace")


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:100]


def _refuse(name: str, why: str) -> NoReturn:
    msg = f"model={name[:80]} is not in the catalogue, and {why}"
    raise FileError(msg) from None
