"""What is measured: a model with random weights or a user's own, its cache, its steps."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.live.extras import load, quiet_transformers

LOWEST_TOKEN, HIGHEST_TOKEN = 5, 100
"""Ids that prompts are drawn from: below are padding and ends, above may be images."""

MAPPINGS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
)
CACHE_WORDS = ("past_key_values", "cache_params", "cache")
"""Under what models take and return their cache: transformers before 5.24, Mamba's, since 5.24."""

HELD_APART = "__float__"
"""How a config writes an infinite number that JSON has no word for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model in memory, and what kvsim reads from its config."""

    name: str
    model: Any
    spec: kvsim.ModelSpec
    device: str
    dtype: str

    @property
    def config(self) -> Any:  # noqa: ANN401 - a transformers config
        """The model's own config."""
        return self.model.config

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether a prompt goes to an encoder."""
        return bool(self.config.is_encoder_decoder)

    def prompt(self, num_tokens: int, batch_size: int, seed: int) -> Any:  # noqa: ANN401 - a tensor
        """Random ids, int64, shape (batch_size, num_tokens)."""
        torch = load("torch")
        generator = torch.Generator().manual_seed(seed)
        highest = min(HIGHEST_TOKEN, self.config.get_text_config(decoder=True).vocab_size)
        shape = (batch_size, num_tokens)
        ids = torch.randint(LOWEST_TOKEN, highest, shape, generator=generator)
        return ids.to(self.device)


@dataclass(slots=True)
class Generation:
    """One greedy generation, step by step; `cache` is what the model returned last."""

    subject: Subject
    cache: Any
    token: Any = None
    encoder_output: Any = None

    def prefill(self, ids: Any, **options: Any) -> None:  # noqa: ANN401 - a tensor; a model's own
        """The prompt in one step; an encoder-decoder starts its decoder with one token."""
        if self.subject.is_encoder_decoder:
            out = self._step(input_ids=ids, decoder_input_ids=ids[:, :1], **options)
            self.encoder_output = out.encoder_last_hidden_state
        else:
            out = self._step(input_ids=ids, **options)
        self._read(out)

    def decode(self) -> None:
        """One more token from the one before."""
        if self.subject.is_encoder_decoder:
            outputs = load("transformers.modeling_outputs").BaseModelOutput
            known = outputs(last_hidden_state=self.encoder_output)
            out = self._step(decoder_input_ids=self.token, encoder_outputs=known)
        else:
            out = self._step(input_ids=self.token)
        self._read(out)

    def _step(self, **inputs: Any) -> Any:  # noqa: ANN401 - what the model takes and returns
        torch = load("torch")
        word = cache_word(self.subject.model)
        with torch.no_grad():
            return self.subject.model(**inputs, **{word: self.cache}, use_cache=True)

    def _read(self, out: Any) -> None:  # noqa: ANN401 - a model's output
        returned = getattr(out, cache_word(self.subject.model), None)
        if returned is None:
            msg = f"{self.subject.name}: the model returns no cache"
            raise kvsim.UnsupportedError(msg)
        self.cache = returned
        self.token = out.logits[:, -1:].argmax(-1)


def cache_word(model: Any) -> str:  # noqa: ANN401 - a transformers model
    """The argument under which a model takes its cache, and its output returns it.

    Raises:
        UnsupportedError: for a model that takes none: it cannot generate with a cache.
    """
    taken = inspect.signature(type(model).forward).parameters
    for word in CACHE_WORDS:
        if word in taken:
            return word
    msg = f"{type(model).__name__} takes no cache"
    raise kvsim.UnsupportedError(msg)


def read_config(path: Path) -> dict[str, Any]:
    """A config.json as a dict.

    Raises:
        FileError: if it cannot be read or holds no object.
    """
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path.name}: {error}"
        raise kvsim.FileError(msg) from None
    if not isinstance(config, dict):
        msg = f"{path.name}: not an object"
        raise kvsim.FileError(msg)
    return config


def from_config(
    config: Mapping[str, Any], *, name: str, dtype: str, device: str, seed: int, cls: str = ""
) -> Subject:
    """A model of this config with random weights.

    Raises:
        SpecError: if transformers does not know its type.
        UnsupportedError: if no class of it generates text.
    """
    transformers, torch = quiet_transformers(), load("torch")
    fields = {key: _number(value) for key, value in config.items() if key != "architectures"}
    kind = fields.pop("model_type", None)
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if kind not in known:
        msg = f"{name}: transformers {transformers.__version__} does not know model_type={kind}"
        raise kvsim.SpecError(msg)
    built = known[kind].from_dict(fields)
    torch.manual_seed(seed)
    with torch.device(device):
        model = model_class(built, cls, name)._from_config(built, dtype=getattr(torch, dtype))
    return Subject(
        name=name,
        model=model.eval(),
        spec=kvsim.load_model(dict(config)),
        device=device,
        dtype=dtype,
    )


def from_name(name: str, *, dtype: str, device: str) -> Subject:
    """A user's model: a folder, or a hub's id.

    Raises:
        FileError: if it cannot be loaded.
        UnsupportedError: if no class of it generates text.
    """
    transformers, torch = quiet_transformers(), load("torch")
    try:
        config = transformers.AutoConfig.from_pretrained(name)
        model = model_class(config, "", name).from_pretrained(name, dtype=getattr(torch, dtype))
    except (OSError, ValueError) as error:
        msg = f"model={name}: {error}"
        raise kvsim.FileError(msg) from None
    return Subject(
        name=Path(name).name,
        model=model.to(device).eval(),
        spec=kvsim.load_model(config.to_dict()),
        device=device,
        dtype=dtype,
    )


def model_class(config: Any, cls: str, name: str) -> Any:  # noqa: ANN401 - transformers' own
    """The class that generates text from such a config."""
    transformers = quiet_transformers()
    if cls:
        return getattr(transformers, cls)
    auto = transformers.models.auto.modeling_auto
    for mapping in MAPPINGS:
        found = getattr(auto, mapping)
        if type(config) in found:
            return found[type(config)]
    msg = f"{name}: no class of model_type={config.model_type} generates text"
    raise kvsim.UnsupportedError(msg)


def _number(value: object) -> object:
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, dict):
        if list(value) == [HELD_APART]:
            return float(value[HELD_APART])
        return {key: _number(item) for key, item in value.items()}
    return value
