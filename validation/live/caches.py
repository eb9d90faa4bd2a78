"""transformers' cache classes, built for a subject as kvsim's settings say."""

from typing import Any

import kvsim
from validation.live.extras import has, quiet_transformers
from validation.live.subject import Subject

BACKEND_PACKAGES = {
    kvsim.QuantizedBackend.QUANTO: ("optimum.quanto", "optimum-quanto"),
    kvsim.QuantizedBackend.HQQ: ("hqq.core.quantize", "hqq"),
}
"""Modules that quantise, and the packages that bring them."""

HQQ_AXIS = 1
"""hqq takes axes 0 and 1; 1 groups values that lie together."""


def new_cache(subject: Subject, settings: kvsim.Transformers) -> Any:  # noqa: ANN401 - a Cache
    """An empty cache; an encoder-decoder gets one for its own tokens and one for the encoder's.

    Raises:
        UnsupportedError: if what quantises it is not installed, or the class refuses the model.
    """
    transformers = quiet_transformers()
    config = subject.config.get_text_config(decoder=True)
    kinds = kvsim.CacheImplementation
    match settings.cache_implementation:
        case kinds.DYNAMIC:
            own = transformers.DynamicCache(config=config)
        case kinds.STATIC:
            length = settings.max_cache_len
            own = transformers.StaticCache(config=config, max_cache_len=length)
        case kinds.QUANTIZED:
            own = _quantized(config, settings)
    if not subject.is_encoder_decoder:
        return own
    cross = transformers.DynamicCache(config=config)
    return transformers.EncoderDecoderCache(own, cross)


def missing_package(settings: kvsim.Transformers) -> str | None:
    """The package that these settings need and that is not there."""
    if settings.cache_implementation is not kvsim.CacheImplementation.QUANTIZED:
        return None
    module, package = BACKEND_PACKAGES[settings.backend]
    return None if has(module) else package


def _quantized(config: Any, settings: kvsim.Transformers) -> Any:  # noqa: ANN401 - transformers' own
    axes = {}
    if settings.backend is kvsim.QuantizedBackend.HQQ:
        axes = {"axis_key": HQQ_AXIS, "axis_value": HQQ_AXIS}
    try:
        return quiet_transformers().QuantizedCache(
            backend=str(settings.backend),
            config=config,
            nbits=settings.nbits,
            q_group_size=settings.q_group_size,
            residual_length=settings.residual_length,
            **axes,
        )
    except ValueError as error:
        raise kvsim.UnsupportedError(str(error)) from None


def self_cache(cache: Any) -> Any:  # noqa: ANN401 - a Cache
    """The decoder's own part of a cache."""
    return getattr(cache, "self_attention_cache", cache)
