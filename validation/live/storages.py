"""What a cache object holds: every tensor reachable from it, live and as storage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from validation.live.extras import load

CONTAINERS = (list, tuple, set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Bytes of a cache's tensors.

    `live_bytes` counts elements, aliases once; `storages` are the sizes of the unique storages
    that they pin. Counters of tokens (int64) are no cache: `counter_bytes`.
    """

    live_bytes: int
    storages: tuple[int, ...]
    counter_bytes: int

    @property
    def storage_bytes(self) -> int:
        """All unique storages."""
        return sum(self.storages)

    def rounded_bytes(self, grain: int) -> int:
        """The storages as an allocator counts that rounds each up to whole grains."""
        return sum(-(-size // grain) * grain for size in self.storages)


def holdings(cache: object) -> Holdings:
    """What the cache holds now."""
    torch = load("torch")
    live: dict[Any, int] = {}
    storages: dict[int, int] = {}
    counters = 0
    for tensor in tensors(cache, torch.Tensor, set()):
        size = tensor.numel() * tensor.element_size()
        if tensor.dtype is torch.int64:
            counters += size
            continue
        storage = tensor.untyped_storage()
        if storage.nbytes():
            view = (storage.data_ptr(), tensor.storage_offset(), tuple(tensor.shape))
            live[view] = size
            storages[storage.data_ptr()] = storage.nbytes()
    return Holdings(
        live_bytes=sum(live.values()),
        storages=tuple(storages.values()),
        counter_bytes=counters,
    )


def tensors(thing: object, kind: type, seen: set[int]) -> Iterator[Any]:
    """Plain tensors reachable through attributes, containers and tensors made of tensors."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, kind):
        parts = getattr(thing, "__tensor_flatten__", None)
        if parts is None or type(thing) is kind:
            yield thing
            return
        children = [getattr(thing, name) for name in parts()[0]]
    elif isinstance(thing, dict):
        children = list(thing.values())
    elif isinstance(thing, CONTAINERS):
        children = list(thing)
    else:
        children = list(getattr(thing, "__dict__", {}).values())
    for child in children:
        yield from tensors(child, kind, seen)
