"""A GGUF file's metadata under its architecture's prefix, each value checked as it is read."""

from collections.abc import Mapping
from dataclasses import dataclass

from kvsim.errors import MissingFieldError, SpecError

MAX_LAYERS = 512  # LLAMA_MAX_LAYERS, src/llama-hparams.h
MAX_WHOLE = 2**31 - 1  # no size of a model comes near


@dataclass(frozen=True, slots=True)
class GgufFields:
    """Reads `<architecture>.<name>` values; SpecError names the key, the value and the rule."""

    metadata: Mapping[str, object]
    architecture: str

    def key(self, name: str) -> str:
        """The key in full."""
        return f"{self.architecture}.{name}"

    def has(self, name: str) -> bool:
        """Whether the file states it."""
        return self.key(name) in self.metadata

    def whole(self, name: str, *, default: int | None = None, low: int = 0) -> int:
        """A whole number; MissingFieldError where there is neither a value nor a default."""
        value = self.metadata.get(self.key(name), default)
        if value is None:
            msg = f"{self.key(name)} is missing"
            raise MissingFieldError(msg)
        return self._checked(name, value, low)

    def per_layer(self, name: str, num_layers: int, *, default: int | None = None) -> list[int]:
        """A number for every layer: the file states one for all, or a list of them."""
        value = self.metadata.get(self.key(name), default)
        if not isinstance(value, list | tuple):
            return [self.whole(name, default=default)] * num_layers
        if len(value) < num_layers:
            msg = (
                f"{self.key(name)} has {len(value)} values, "
                f"{self.key('block_count')}={num_layers} needs as many"
            )
            raise SpecError(msg)
        return [self._checked(name, one, 0) for one in value[:num_layers]]

    def is_list(self, name: str) -> bool:
        """Whether the file states it layer by layer."""
        return isinstance(self.metadata.get(self.key(name)), list | tuple)

    def _checked(self, name: str, value: object, low: int) -> int:
        number = int(value) if isinstance(value, bool) else value
        if not isinstance(number, int) or not low <= number <= MAX_WHOLE:
            shown = str(value)[:40]
            msg = f"{self.key(name)}={shown} must be a whole number from {low} to {MAX_WHOLE}"
            raise SpecError(msg)
        return number
