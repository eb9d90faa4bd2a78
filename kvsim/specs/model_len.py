"""The longest context that an engine takes a model for."""

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.model import ModelSpec

DEFAULT_MODEL_LEN = 2048  # tokens, where a config states no length


def resolve_max_model_len(asked: int | None, model: ModelSpec) -> int:
    """The asked context, or the model's own; SpecError if it is longer than the model's.

    Source:
        vLLM `_get_and_verify_max_len`, vllm/config/model.py, 0.32.0.
    """
    longest = model.vllm.max_model_len or model.max_model_len
    if asked is None:
        return longest or DEFAULT_MODEL_LEN
    if longest is not None and asked > longest:
        msg = Message(
            "max_model_len={asked} must be <= the model's maximum of {longest}",
            asked=asked,
            longest=longest,
        )
        raise SpecError(msg)
    return asked
