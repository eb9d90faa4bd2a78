"""An engine's answer where it is not vLLM: memory of every device, verdict, what would help."""

from dataclasses import dataclass, replace

from kvsim.analytic.capacity import Verdict
from kvsim.analytic.host_memory import HostMemory
from kvsim.analytic.memory_bar import MemoryBar, SegmentName, stacked
from kvsim.planner.advise import Fix
from kvsim.planner.answer import plain
from kvsim.planner.engine_memory import BEFORE, BESIDE, WEIGHTS, Held, MemoryPart
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.overheads import Interval, exact, total
from kvsim.specs.pool_settings import PoolSettings

Json = dict[str, object]

SEGMENTS = {
    WEIGHTS: SegmentName.WEIGHTS,
    BEFORE: SegmentName.RUNTIME,
    BESIDE: SegmentName.BUFFERS,
}
"""Parts of a device's memory that the engine takes; another part is what it keeps free."""

ONLY_LIKELY = "it fits at the likely estimates, not at the cautious ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceShare:
    """One device's memory; parts and cache add up to what is free, at the likely estimates."""

    free_bytes: Interval
    parts: tuple[MemoryPart, ...]
    cache_bytes: Interval  # what the parts leave
    needed_bytes: int  # what is asked for takes of it

    @property
    def missing_bytes(self) -> int:
        """What lacks at the likely estimates; negative where something is left."""
        return self.needed_bytes - self.cache_bytes.best

    @property
    def weights_bytes(self) -> Interval:
        """The weights among the parts."""
        return total(part.num_bytes for part in self.parts if part.name == WEIGHTS)

    def bar(self, total_bytes: int) -> MemoryBar:
        """The device's memory at the likely estimates; what is kept free lies behind the cache."""
        taken = dict.fromkeys(SEGMENTS.values(), 0)
        for part in self.parts:
            if part.name in SEGMENTS:
                taken[SEGMENTS[part.name]] += part.num_bytes.best
        return stacked(
            taken,
            cache_bytes=self.cache_bytes.best,
            needed_bytes=self.needed_bytes,
            free_bytes=self.free_bytes.best,
            total_bytes=total_bytes,
        )

    def as_dict(self) -> Json:
        """The share as plain values."""
        return {
            "free_bytes": plain(self.free_bytes),
            "parts": [{"name": part.name, **plain(part.num_bytes)} for part in self.parts],
            "weights_bytes": plain(self.weights_bytes),
            "kv_cache_bytes": plain(self.cache_bytes),
            "needed_bytes": self.needed_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one engine makes of one deployment: judged, not yet advised on."""

    engine: EngineName
    engine_version: str | None
    settings: PoolSettings
    deployment: Deployment
    num_tokens: int
    concurrent_requests: int
    devices: tuple[DeviceShare, ...]
    low: Held
    best: Held
    high: Held
    request_bytes: int  # of one request of `num_tokens`, over what `is_per_rank` says
    bytes_per_token: int
    is_per_rank: bool
    host: HostMemory | None
    host_bytes: tuple[MemoryPart, ...]
    verdict: Verdict
    reasons: tuple[str, ...]
    not_modeled: tuple[str, ...]

    @property
    def started_settings(self) -> PoolSettings:
        """The settings with the context and slots that were judged, where no flag states them."""
        own = self.settings
        if not isinstance(own, LlamaCpp) or own.ctx_size is not None:
            return own
        slots = own.parallel or self.concurrent_requests
        return replace(own, ctx_size=self.num_tokens * slots, parallel=slots)

    @property
    def tightest(self) -> DeviceShare:
        """The device that lacks most, or has least to spare."""
        return max(self.devices, key=lambda device: device.missing_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePlan:
    """What a deployment holds under an engine that is not vLLM, and what would help.

    `longest_model_len` is the longest request of which as many as asked for still fit.
    """

    judged: Judged
    longest_model_len: int
    fixes: tuple[Fix, ...]
    command: str = ""  # the engine's launch line

    @property
    def fits(self) -> bool:
        """Whether what is asked fits at the likely estimates."""
        return self.judged.verdict.fits

    def as_dict(self) -> Json:
        """The plan as plain values; intervals as objects with low, best, high and source."""
        j = self.judged
        tightest = j.tightest
        return {
            "engine": str(j.engine),
            "engine_version": j.engine_version,
            "model": j.deployment.model.name,
            "gpu": j.deployment.accelerator.name,
            "num_gpus": j.deployment.parallel.num_ranks,
            "fits": self.fits,
            "verdict": str(j.verdict),
            "concurrent_requests": j.concurrent_requests,
            "needed_bytes": tightest.needed_bytes,
            "available_bytes": tightest.cache_bytes.best,
            "missing_bytes": max(0, tightest.missing_bytes),
            "reasons": list(j.reasons),
            "settings": {"max_model_len": j.num_tokens, **_settings(j.settings)},
            "parallel": plain(j.deployment.parallel),
            "budget": {"total_bytes": plain(_total(j)), **tightest.as_dict()},
            "devices": [device.as_dict() for device in j.devices],
            "capacity": self._capacity(),
            "host": _host(j),
            "command": self.command,
            "fixes": [plain(fix) for fix in self.fixes],
            "not_modeled": list(j.not_modeled),
        }

    def _capacity(self) -> Json:
        j = self.judged
        ends = {"low": j.low, "best": j.best, "high": j.high}
        return {
            "kv_cache_tokens": {end: held.tokens for end, held in ends.items()},
            "max_requests": {end: held.requests for end, held in ends.items()},
            "longest_model_len": self.longest_model_len,
            "request_bytes": j.request_bytes,
            "bytes_per_token": j.bytes_per_token,
            "per_rank": j.is_per_rank,
        }


def _settings(settings: PoolSettings) -> Json:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in plain(settings).items()
    }


def _total(judged: Judged) -> Interval:
    return judged.deployment.accelerator.total_bytes


def _host(judged: Judged) -> Json:
    host = judged.host
    return {
        "parts": [{"name": part.name, **plain(part.num_bytes)} for part in judged.host_bytes],
        "total_bytes": None if host is None else host.total_bytes,
        "left_bytes": None if host is None else plain(host.left_bytes),
    }


def verdict_of(*, best: bool, low: bool) -> Verdict:
    """A verdict from whether it fits at the likely and at the cautious estimates."""
    if not best:
        return Verdict.DOES_NOT_FIT
    return Verdict.FITS if low else Verdict.TIGHT


def host_parts(named: dict[str, int]) -> tuple[MemoryPart, ...]:
    """Parts of host memory; those that are nothing are left out."""
    return tuple(MemoryPart(name, exact(size)) for name, size in named.items() if size)
