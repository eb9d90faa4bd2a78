"""Every error the library raises on purpose.

KvsimError
├── SpecError(ValueError)       a config, spec or setting cannot describe a real system
│   ├── MissingFieldError       a config leaves out a field that decides
│   └── UnknownNameError        a name is in no catalogue; carries the nearest names
├── UnsupportedError            kvsim, or the engine, does not do this; nothing was guessed
├── CapacityError               the cache memory holds no request of the longest length
├── FileError                   a file cannot be read, or is not what its name says
├── WorkerError                 a cluster is not there, or workers die on the same task
└── MissingExtraError           an optional dependency is not installed
"""

from collections.abc import Sequence

from kvsim.message import Message

LONGEST_MESSAGE = 2000
"""Characters of a message; what follows is cut."""


class KvsimError(Exception):
    """Base of all errors below; catch it at the outer edge only.

    A message quotes what users and files say, and goes to terminals and pages: control characters
    are written out, so that they do nothing there, and its length is bounded. `words` is the same
    as a `Message` where its rule and values are known apart.
    """

    def __init__(self, message: str = "") -> None:
        shown = "".join(
            c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in message[:LONGEST_MESSAGE]
        )
        cut = len(message) > LONGEST_MESSAGE or len(shown) > LONGEST_MESSAGE
        super().__init__(shown[: LONGEST_MESSAGE - 3] + "..." if cut else shown)
        is_whole = isinstance(message, Message) and shown == message
        self.words: str = message if is_whole else str(self)


class SpecError(KvsimError, ValueError):
    """A value is impossible. The message names the field, the value and the rule."""


class MissingFieldError(SpecError):
    """A field that decides is not there, and nothing else says what it would be."""


class UnknownNameError(SpecError):
    """A name that no catalogue holds; the message offers the nearest ones."""

    def __init__(self, *, what: str, name: str, nearest: Sequence[str]) -> None:
        known = {"what": what, "name": name}
        message = Message("{what}={name} is not in the catalogue", **known)
        if nearest:
            message = Message(
                "{what}={name} is not in the catalogue, did you mean {nearest}?",
                **known,
                nearest=" or ".join(nearest),
            )
        super().__init__(message)
        self.nearest = tuple(nearest)


class UnsupportedError(KvsimError):
    """The rule for this case is not known, or the engine refuses it; the message says which."""


class CapacityError(KvsimError):
    """The engine would not start: one request of `max_model_len` tokens does not fit.

    `needed_bytes` and `available_bytes` are on one rank, the latter without the null block;
    `estimated_max_model_len` is the longest that fits, None where the engine prints none.
    """

    def __init__(
        self,
        *,
        max_model_len: int,
        needed_bytes: int,
        available_bytes: int,
        estimated_max_model_len: int | None,
    ) -> None:
        needs = Message(
            "max_model_len={max_model_len} needs {needed} bytes of KV cache for one request, but "
            "{available} are available",
            max_model_len=max_model_len,
            needed=f"{needed_bytes:,}",
            available=f"{max(0, available_bytes):,}",
        )
        if estimated_max_model_len is not None:
            longest = Message(
                "the estimated maximum length is {longest}", longest=estimated_max_model_len
            )
            needs = Message.of_all((needs, longest))
        super().__init__(needs)
        self.max_model_len = max_model_len
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes
        self.estimated_max_model_len = estimated_max_model_len


class FileError(KvsimError):
    """A file that cannot be read as what it should be."""


class WorkerError(KvsimError):
    """A cluster that cannot be reached, or a task on which workers die again and again."""


class MissingExtraError(KvsimError):
    """An optional dependency is missing; the message names the extra that brings it."""

    def __init__(self, *, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed: pip install 'kvsim[{extra}]'")
        self.package = package
        self.extra = extra
