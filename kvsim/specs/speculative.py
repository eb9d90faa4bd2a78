"""Drafters of speculative decoding whose share of the cache is known."""

from dataclasses import dataclass

from kvsim.errors import SpecError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Drafter:
    """What one method of drafting means for the cache and the schedule.

    Source:
        vLLM `SpeculativeConfig`, vllm/config/speculative.py, and `VllmConfig.__post_init__`,
        vllm/config/vllm.py, 0.32.0.
    """

    adds_layers: bool  # its attention layers join the model's own
    runs_async: bool  # the engine keeps asynchronous scheduling


DRAFTERS = {
    "mtp": Drafter(adds_layers=True, runs_async=True),
    "ngram": Drafter(adds_layers=False, runs_async=False),
    "ngram_gpu": Drafter(adds_layers=False, runs_async=True),
    "suffix": Drafter(adds_layers=False, runs_async=False),
    "medusa": Drafter(adds_layers=False, runs_async=False),
}

OWN_CHECKPOINT = ("eagle", "eagle3", "draft_model", "dflash", "dspark", "mlp_speculator")
"""Methods whose layers another checkpoint describes."""


def find_drafter(method: str, num_tokens: int | None) -> Drafter:
    """The drafter of that name.

    Raises:
        SpecError: for a name that is none, or without a number of tokens.
        UnsupportedError: for a drafter with a checkpoint of its own.

    Example:
        >>> find_drafter("mtp", 1).adds_layers
        True
    """
    if method in OWN_CHECKPOINT:
        msg = f"speculative_method={method}: its layers stand in another checkpoint's config"
        raise UnsupportedError(msg)
    if method not in DRAFTERS:
        msg = f"speculative_method={method[:40]} must be one of {', '.join(DRAFTERS)}"
        raise SpecError(msg)
    if num_tokens is None:
        msg = f"num_speculative_tokens must be given with speculative_method={method}"
        raise SpecError(msg)
    return DRAFTERS[method]
