"""llama.cpp's cache rules by the date of the build, and those of its fork ik_llama.cpp."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import SpecError, UnsupportedError
from kvsim.specs.llama_cpp import NEWEST_LLAMA_CPP, FlashAttention, LlamaCpp

FOUR_SLOTS = 4  # llama-server's slots where nobody says how many


class LatentStorage(StrEnum):
    """How latent attention is stored."""

    KEYS_ONLY = "latent and rotary key, once"
    KEYS_AND_VALUES = "latent and rotary key, and the latent again as value"
    EXPANDED = "keys and values of every head"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a build does; `since` is the month in which its last change was merged."""

    since: str
    latent: LatentStorage = LatentStorage.KEYS_ONLY
    has_window_cache: bool = True
    has_streams: bool = True  # a slot can have cells of its own
    pads_alike: bool = True  # to 256 cells whatever the attention; else 32 without flash attention
    default_slots: int = FOUR_SLOTS
    has_auto_flash_attn: bool = True
    same_latent_types: bool = True  # refuses unequal formats where only keys are stored


ERAS = (
    Rules(
        since="2023-08",
        latent=LatentStorage.EXPANDED,
        has_window_cache=False,
        has_streams=False,
        pads_alike=False,
        default_slots=1,
        has_auto_flash_attn=False,
        same_latent_types=False,
    ),
    Rules(
        since="2025-04",
        latent=LatentStorage.KEYS_AND_VALUES,
        has_window_cache=False,
        has_streams=False,
        pads_alike=False,
        default_slots=1,
        has_auto_flash_attn=False,
        same_latent_types=False,
    ),
    Rules(
        since="2025-05-20",
        latent=LatentStorage.KEYS_AND_VALUES,
        has_streams=False,
        pads_alike=False,
        default_slots=1,
        has_auto_flash_attn=False,
        same_latent_types=False,
    ),
    Rules(
        since="2025-07-17",
        latent=LatentStorage.KEYS_AND_VALUES,
        pads_alike=False,
        default_slots=1,
        has_auto_flash_attn=False,
        same_latent_types=False,
    ),
    Rules(
        since="2025-11",
        latent=LatentStorage.KEYS_AND_VALUES,
        same_latent_types=False,
    ),
    Rules(since="2026-01-24", same_latent_types=False),
    Rules(since="2026-07"),
)
"""Changes to the cache, oldest first; a build dated by its month alone has the month's changes.

Source: llama.cpp pull requests 12801 (latent, 2025-04), 13194 (window cache, 2025-05), 14363
(streams, 2025-07), 16736 and 17046 (four slots, padding, 2025-11), 19067 (keys only, 2026-01),
25871 (same types, 2026-07); between 2025-07 and 2025-11 as read in tree 4227c9be4.
"""


def rules_for(settings: LlamaCpp, *, is_latent: bool) -> Rules:
    """The rules of the build that the settings name.

    Raises:
        SpecError: if ik_llama.cpp's mode decides and is not given.
        UnsupportedError: for a build older than the first whose rules are known.
    """
    if settings.is_ik:
        return _ik_rules(settings, is_latent=is_latent)
    if settings.engine_version == NEWEST_LLAMA_CPP:
        return ERAS[-1]
    version = settings.engine_version
    past = [era for era in ERAS if era.since <= version or era.since.startswith(version)]
    if not past:
        msg = f"engine_version={version}: rules are known since {ERAS[0].since}"
        raise UnsupportedError(msg)
    return past[-1]


def _ik_rules(settings: LlamaCpp, *, is_latent: bool) -> Rules:
    """The fork's: no window cache, no streams, latent attention as `-mla` says.

    Source:
        ik_llama.cpp `-mla`; pull request 473: mode 1 keeps a transposed copy of the latent
        without flash attention alone, modes 2 and 3 never do.
    """
    latent = LatentStorage.EXPANDED
    if is_latent:
        if settings.mla is None:
            msg = "mla must be given: ik_llama.cpp's default changed over time"
            raise SpecError(msg)
        latent = LatentStorage.KEYS_ONLY if settings.mla else LatentStorage.EXPANDED
        if settings.mla == 1 and settings.flash_attn is not FlashAttention.ON:
            latent = LatentStorage.KEYS_AND_VALUES
    return Rules(
        since="ik_llama.cpp",
        latent=latent,
        has_window_cache=False,
        has_streams=False,
        pads_alike=False,
        default_slots=1,
        has_auto_flash_attn=False,
        same_latent_types=False,
    )
