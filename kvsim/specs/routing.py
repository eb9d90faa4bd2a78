"""Routing: which of several replicas a request is sent to."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError
from kvsim.specs.option import option


class RoutingPolicy(StrEnum):
    """What a router goes by."""

    ROUND_ROBIN = "round-robin"
    LEAST_LOADED = "least-loaded"
    PREFIX_AWARE = "prefix-aware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """A router's policy and, for the prefix-aware one, when it lets go of a cached prefix.

    The thresholds have the names and the values of SGLang's router.

    Source:
        SGLang `CacheAwareConfig`, sgl-router/src/policies/mod.rs, and the defaults of its command
        line, sgl-router/src/main.rs.
    """

    routing: RoutingPolicy = option(
        RoutingPolicy.ROUND_ROBIN, "which of several replicas a request is sent to"
    )
    cache_threshold: float = option(
        0.3, "share of a prompt that must be cached for prefix-aware routing to follow it"
    )
    balance_abs_threshold: int = option(
        64, "requests more on one replica than on another, beyond which prefixes do not count"
    )
    balance_rel_threshold: float = option(
        1.5, "and times as many: both must be exceeded for prefixes not to count"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.cache_threshold <= 1:
            msg = f"cache_threshold={self.cache_threshold:g} must be in [0, 1]"
            raise SpecError(msg)
        for name, least in (("balance_abs_threshold", 0), ("balance_rel_threshold", 1)):
            if not least <= getattr(self, name) < float("inf"):
                msg = f"{name}={getattr(self, name):g} must be >= {least}"
                raise SpecError(msg)

    @classmethod
    def of(cls, asked: "Routing | str") -> "Routing":
        """Rules from a policy's name, with the thresholds that routers start with.

        Raises:
            SpecError: for a policy that there is not.
        """
        if isinstance(asked, Routing):
            return asked
        if asked not in list(RoutingPolicy):
            msg = f"routing={asked[:40]} must be one of {', '.join(RoutingPolicy)}"
            raise SpecError(msg)
        return cls(routing=RoutingPolicy(asked))
