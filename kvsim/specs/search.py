"""Settings that a search varies: those of the engine and of parallelism."""

from collections.abc import Iterable
from dataclasses import fields

from kvsim.errors import SpecError
from kvsim.specs.engine import Vllm
from kvsim.specs.parallel import Parallelism

NOT_SEARCHED = {
    "data_parallel_size": "replicas are what is asked for",
    "auto_max_model_len": "the context is the longest request's, or stated",
    "speculative_method": "how many drafts are right is not known",
    "num_speculative_tokens": "how many drafts are right is not known",
}
"""Settings that a search does not vary, and why."""


def searched_settings() -> dict[str, str]:
    """Names that a search can vary, each with what it says."""
    return {
        field.name: field.metadata["doc"]
        for spec in (Vllm, Parallelism)
        for field in fields(spec)
        if field.name not in NOT_SEARCHED
    }


def check_searched(names: Iterable[str]) -> None:
    """SpecError for a setting that there is not, or that is not searched.

    Example:
        >>> check_searched(["kv_cache_dtype", "tensor_parallel_size"])
    """
    known = searched_settings()
    for name in names:
        if name in NOT_SEARCHED:
            msg = f"{name} is not searched: {NOT_SEARCHED[name]}"
            raise SpecError(msg)
        if name not in known:
            msg = f"settings={name[:40]} must be one of {', '.join(sorted(known))}"
            raise SpecError(msg)
