"""Sizes of the rotary tables that vLLM keeps beside a model's weights."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.io.hf_config.fields import Fields
from kvsim.io.limits import MAX_CONFIG_SIZE
from kvsim.specs.attention import CrossAttention, FullAttention, SharedCache, SlidingWindow
from kvsim.specs.latent import Indexer, LatentAttention, SlidingLatentAttention
from kvsim.specs.model import Layer
from kvsim.specs.vllm_traits import RotaryTable

USUAL_POSITIONS = 8192
"""Positions where a file states none.

Source: what most of vLLM's model classes fall back to (32 of 41 that name a default), 0.32.0.
"""

POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
"""Where a file states its positions; DBRX has the third, ChatGLM the fourth."""

WITHOUT_ROTARY = frozenset(
    (
        *("bart", "bert", "biogpt", "bloom", "camembert", "electra", "gpt2", "gpt_bigcode"),
        *("gpt_neo", "jais", "jamba", "kimi_linear", "longt5", "mamba", "mamba2", "marian"),
        *("falcon_mamba", "mbart", "mpt", "mt5", "nemotron_h", "openai-gpt", "opt", "pegasus"),
        *("roberta", "rwkv", "t5", "umt5", "whisper", "xglm", "xlm-roberta"),
    )
)
"""Families that know positions otherwise: learned, by a bias, or by recurrence alone."""

RUN_BY_TRANSFORMERS = frozenset(
    (
        *("arcee", "bamba", "bitnet", "cwm", "diffllama", "doge", "dots1", "flex_olmo", "glm"),
        *("gpt_bigcode", "gpt_neox", "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "jais2"),
        *("jetmoe", "mellum", "minimax", "ministral", "nanbeige", "olmo", "olmo2", "olmo3"),
        *("persimmon", "phi", "seed_oss", "smollm3", "solar_open", "starcoder2", "vaultgemma"),
    )
)
"""Families without a class of vLLM's own: transformers computes each step's cosines anew.

Source:
    vLLM `_TRANSFORMERS_SUPPORTED_MODELS`, and families that are in no list there,
    model_executor/models/registry.py, 0.32.0; the recorded layer specs name the class of 15.
"""

MROPE_POSITIONS = 4
"""Times that a table for images and video is longer than the text.

Source: vLLM `MRotaryEmbedding`, model_executor/layers/rotary_embedding/mrope.py, 0.32.0.
"""

TEXT_LONG_MROPE = frozenset(("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"))
"""Families whose tables are as long as the text: their videos' tokens are not pruned by default.

Source: vLLM `mrope_positions_factor`, model_executor/models/qwen3_vl.py, 0.32.0.
"""

FLOAT32 = frozenset(("gpt_oss",))
"""Families whose class asks for a table in float32.

Source: vLLM `OAIAttention`, model_executor/models/gpt_oss.py, 0.32.0.
"""

PLAIN_WINDOWS = frozenset(("gemma3",))
"""Families whose windows rotate unscaled where the file has one setting for all layers."""

LOCAL_BASE = 10_000.0
"""The windows' base where the file states none, other than the base of full attention."""

WITH_LOCAL_BASE = frozenset(("gemma3", "gemma3n"))
"""Families whose layers have two bases.

Source: `default_theta` of transformers' Gemma 3 and 3n configuration classes, 5.23.
"""

USUAL_SHARES = {
    **dict.fromkeys(("chatglm", "glm4", "glm4_moe", "nemotron"), 0.5),
    **dict.fromkeys(("qwen3_5", "qwen3_5_moe", "qwen3_next", "stablelm"), 0.25),
}
"""Shares of the head that are rotated where the file states none.

Source:
    vLLM `GLMAttention`, model_executor/models/chatglm.py, 0.32.0; for the others, transformers'
    configuration classes, 5.23.
"""

LISTED = {"rope_theta": "rope_theta", "partial_rotary_factor": "partial_rotary_factors"}
"""Settings, and the fields that may list them layer by layer."""

LOCAL_BASES = ("rope_local_base_freq", "local_rope_theta", "swa_rope_theta")
PARTIAL = ("partial_rotary_factor", "rotary_pct")
SLIDING, FULL = "sliding_attention", "full_attention"


@dataclass(frozen=True, slots=True, order=True)
class _Rotated:
    """What some layers rotate: so many elements of a head."""

    kind: str
    head: int
    is_latent: bool = False  # the part of a latent's head that is rotated is rotated whole
    is_indexer: bool = False  # halves are paired, neighbours elsewhere


def rotary_tables(
    f: Fields, *, model_type: str, layers: Sequence[Layer]
) -> tuple[RotaryTable, ...]:
    """A table for every distinct setting among the layers; none without a rotation.

    None, too, where a rotation is stated in a form that is not known: the tables are small, and
    a cache does not depend on them.

    Source:
        vLLM `get_rope`, model_executor/layers/rotary_embedding/__init__.py, 0.32.0: tables are
        remembered by head, width, positions, pairing and settings, so that layers share them.
    """
    try:
        return _tables(f, model_type.removesuffix("_text"), layers)
    except SpecError:
        return ()


def _tables(f: Fields, family: str, layers: Sequence[Layer]) -> tuple[RotaryTable, ...]:
    positions_by = f.text("position_embedding_type", default="rope")
    no_table = family in WITHOUT_ROTARY | RUN_BY_TRANSFORMERS
    if no_table or positions_by not in ("rope", "rotary") or f.flag("alibi") or f.flag("use_alibi"):
        return ()
    tables: dict[object, RotaryTable] = {}
    rotated = {(part, _own(f, i)) for i, layer in enumerate(layers) for part in _parts(f, layer)}
    for part, own in sorted(rotated):
        stated = f.overlaid(dict(own), "")
        settings, base = _settings(stated, part, family)
        kind = settings.text("rope_type", "type", default="default") if settings else "default"
        whole = part.is_latent or kind == "proportional"  # the latter keeps rows for all of a head
        table = RotaryTable(
            num_positions=_positions(stated, settings, kind, family),
            width=part.head if whole else _width(stated, settings, part.head, family),
            is_float32=family in FLOAT32,
            is_float32_in_eager=part.is_latent and kind == "yarn",
        )
        tables[table, part.head, kind, base, part.is_indexer] = table
    return tuple(tables.values())


def _own(f: Fields, index: int) -> tuple[tuple[str, float], ...]:
    """What lists of the config state for one layer (Step-3.5)."""
    lists = ((name, f.raw(listed)) for name, listed in LISTED.items())
    own = [(name, each[index : index + 1]) for name, each in lists if isinstance(each, list)]
    if not all(len(one) == 1 and isinstance(one[0], int | float) for _, one in own):
        msg = f"{', '.join(LISTED.values())} must be numbers, one a layer"
        raise SpecError(msg)
    return tuple((name, one[0]) for name, one in own)


def _parts(f: Fields, layer: Layer) -> Iterator[_Rotated]:
    """What one layer rotates."""
    for behaviour in layer:
        mixer = behaviour.attention if isinstance(behaviour, SharedCache) else behaviour
        windowed = isinstance(mixer, SlidingWindow | SlidingLatentAttention)
        kind = SLIDING if windowed else FULL
        if isinstance(mixer, LatentAttention) and mixer.qk_rope_head_dim:
            yield _Rotated(kind, mixer.qk_rope_head_dim, is_latent=True)
            if any(isinstance(b, Indexer) for b in layer):
                apart = not f.flag("indexer_rope_interleave")
                yield _Rotated(kind, mixer.qk_rope_head_dim, is_latent=True, is_indexer=apart)
        elif isinstance(mixer, FullAttention) and not isinstance(mixer, CrossAttention):
            yield _Rotated(kind, mixer.head_dim)


def _settings(f: Fields, part: _Rotated, family: str) -> tuple[Fields | None, float | None]:
    """The scaling and the base of a kind of layers; newer files have them by kind."""
    shared = f.section("rope_parameters") or f.section("rope_scaling")
    base = f.number(*LOCAL_BASES) if part.kind == SLIDING else None
    own = shared.section(part.kind) if shared is not None else None
    if own is not None:
        return own, own.number("rope_theta")
    if part.kind == SLIDING and family in WITH_LOCAL_BASE:
        base = base or LOCAL_BASE
    if part.kind == SLIDING and family in PLAIN_WINDOWS:
        return None, base
    stated = shared.number("rope_theta") if shared is not None else None
    return shared, base or stated or f.number("rope_theta")


def _positions(f: Fields, settings: Fields | None, kind: str, family: str) -> int:
    """Positions of one table.

    Source:
        vLLM `_compute_cos_sin_cache` of every class in model_executor/layers/rotary_embedding,
        0.32.0: only linear scaling and YaRN multiply by the factor.
    """
    stated = f.size(*POSITIONS) or USUAL_POSITIONS
    if settings is None:
        return stated
    factor = settings.number("factor") or 1.0
    original = settings.size("original_max_position_embeddings")
    original = original or f.size("original_max_position_embeddings")
    positions: float = stated
    if kind in ("longrope", "su"):  # one table for short texts, one for long, in one tensor
        positions = stated + (original or stated)
    elif kind == "yarn":
        positions = (original or stated) * factor
    elif kind == "linear":
        positions = stated * factor
    if not 1 <= positions <= MAX_CONFIG_SIZE:
        msg = f"{settings.name_of('factor')}={factor:g} leaves no possible number of positions"
        raise SpecError(msg)
    is_longer = settings.has("mrope_section") and family not in TEXT_LONG_MROPE
    return math.ceil(positions) * (MROPE_POSITIONS if is_longer else 1)


def _width(f: Fields, settings: Fields | None, head: int, family: str) -> int:
    """Elements of a head that are rotated."""
    own = settings.number(*PARTIAL) if settings is not None else None
    factor = own or f.number(*PARTIAL)
    if factor is None and (rotated := f.size("rotary_dim")):
        return rotated
    factor = USUAL_SHARES.get(family, 1.0) if factor is None else factor
    return int(head * min(max(factor, 0.0), 1.0))
