"""llama.cpp's and Ollama's settings under their own flag names, and one model's departures."""

import re
from dataclasses import dataclass
from enum import StrEnum

from kvsim.dtypes import BF16, FP16, FP32, IQ4_NL, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, DType
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option

NEWEST_LLAMA_CPP = "0.5.0-dev"
NEWEST_OLLAMA = "0.33.0"

CACHE_TYPES: dict[str, DType] = {
    "f32": FP32,
    "f16": FP16,
    "bf16": BF16,
    "q8_0": Q8_0,
    "q4_0": Q4_0,
    "q4_1": Q4_1,
    "iq4_nl": IQ4_NL,
    "q5_0": Q5_0,
    "q5_1": Q5_1,
}
"""What `--cache-type-k` and `--cache-type-v` accept.

Source: llama.cpp `kv_cache_types`, common/arg.cpp, 0.5.0-dev.
"""

_DATE = re.compile(r"20\d\d-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?", re.ASCII)
MLA_MODES = 4  # -mla 0 to 3


class Variant(StrEnum):
    """llama.cpp itself, or the fork whose cache differs."""

    LLAMA_CPP = "llama.cpp"
    IK = "ik_llama.cpp"


class FlashAttention(StrEnum):
    """What `--flash-attn` accepts."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCpp:
    """llama-server's settings; None means the engine's own default.

    llama.cpp has no release that dates a change: `engine_version` is the newest, or the date of
    the build as 2025-05 or 2025-05-09.
    """

    variant: Variant = option(Variant.LLAMA_CPP, "llama.cpp, or its fork ik_llama.cpp")
    ctx_size: int | None = option(None, "context over all slots, tokens; 0: the model's")
    parallel: int | None = option(None, "server slots; default: 4 that share one cache")
    kv_unified: bool | None = option(None, "one cache for all slots instead of one each")
    batch_size: int = option(2048, "most tokens in one batch")
    ubatch_size: int = option(512, "most tokens computed at once; it widens window caches")
    cache_type_k: str = option("f16", "storage format of keys")
    cache_type_v: str = option("f16", "storage format of values")
    flash_attn: FlashAttention = option(FlashAttention.AUTO, "flash attention: auto, on or off")
    swa_full: bool = option(False, "window layers keep the whole context")
    gpu_layers: int | None = option(None, "layers on GPUs, counted from the last; default: all")
    tensor_split: tuple[float, ...] = option((), "share of each GPU; default: by free memory")
    kv_offload: bool = option(True, "keep the cache on the GPU of its layer")
    n_cpu_moe: int = option(0, "first layers whose experts stay in host memory")
    cpu_moe: bool = option(False, "all experts stay in host memory")
    cache_ram: int | None = option(8192, "MiB of host memory for saved prompts; None: no limit")
    ctx_checkpoints: int = option(32, "most checkpoints of window and recurrent state per slot")
    checkpoint_min_step: int = option(8192, "least tokens between two checkpoints")
    spec_draft_n_max: int = option(0, "most drafted tokens of a draft that rolls back; 0: no draft")
    mla: int | None = option(None, "ik_llama.cpp: how latent attention is stored, 0 to 3")
    engine_version: str = option(NEWEST_LLAMA_CPP, "newest, or the date of the build")

    def __post_init__(self) -> None:
        check_positive(batch_size=self.batch_size, ubatch_size=self.ubatch_size)
        if self.parallel is not None:
            check_positive(parallel=self.parallel)
        for name in ("ctx_size", "gpu_layers", "n_cpu_moe", "cache_ram", "ctx_checkpoints"):
            _check_whole(name, getattr(self, name))
        _check_whole("spec_draft_n_max", self.spec_draft_n_max)
        _check_whole("checkpoint_min_step", self.checkpoint_min_step)
        for name in ("cache_type_k", "cache_type_v"):
            cache_type(getattr(self, name), field=name)
        if any(share < 0 for share in self.tensor_split):
            msg = Message(
                "tensor_split={tensor_split} must hold shares >= 0", tensor_split=self.tensor_split
            )
            raise SpecError(msg)
        if self.mla is not None and (self.mla not in range(MLA_MODES) or not self.is_ik):
            msg = Message(
                "mla={mla} must be 0 to 3, and is a flag of {ik} alone", mla=self.mla, ik=Variant.IK
            )
            raise SpecError(msg)
        if self.engine_version != NEWEST_LLAMA_CPP and not _DATE.fullmatch(self.engine_version):
            msg = Message(
                "engine_version={engine_version} must be {newest_llama_cpp} or the date of "
                "the build as 2025-05 or 2025-05-09",
                engine_version=self.engine_version[:40],
                newest_llama_cpp=NEWEST_LLAMA_CPP,
            )
            raise SpecError(msg)

    @property
    def is_ik(self) -> bool:
        """Whether the fork's rules apply."""
        return self.variant is Variant.IK


@dataclass(frozen=True, slots=True, kw_only=True)
class Ollama:
    """Ollama's environment variables and model parameters; None means its own default."""

    num_ctx: int | None = option(None, "context of one slot, tokens; default: by GPU memory")
    num_parallel: int = option(1, "slots (OLLAMA_NUM_PARALLEL)")
    kv_cache_type: str = option("f16", "storage format of the cache (OLLAMA_KV_CACHE_TYPE)")
    flash_attention: bool | None = option(None, "OLLAMA_FLASH_ATTENTION; default: auto")
    num_batch: int | None = option(None, "tokens computed at once; default: by context")
    num_gpu: int | None = option(None, "layers on GPUs; default: as many as fit")
    draft_num_predict: int = option(0, "most drafted tokens of a model that drafts for itself")
    gpu_overhead: int = option(0, "bytes that each GPU keeps free (OLLAMA_GPU_OVERHEAD)")
    engine_version: str = option(NEWEST_OLLAMA, "Ollama version whose rules apply")

    def __post_init__(self) -> None:
        check_positive(num_parallel=self.num_parallel)
        for name in ("num_ctx", "num_batch"):
            if (value := getattr(self, name)) is not None:
                check_positive(**{name: value})
        for name in ("num_gpu", "draft_num_predict", "gpu_overhead"):
            _check_whole(name, getattr(self, name))
        cache_type(self.kv_cache_type, field="kv_cache_type")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppTraits:
    """What llama.cpp does with one model that its cache behaviours alone do not say.

    Source:
        llama.cpp `llama_model::create_memory`, src/llama-model.cpp, and the architectures in
        src/models, 0.5.0-dev.
    """

    refusal: str | None = None  # why llama.cpp does not load this model
    creates_cache: bool = True  # False: an encoder, or a model that denoises its whole answer
    has_flash_attn: bool = True  # False: the engine switches it off
    ignores_window: bool = False  # the architecture stores window layers at the full context
    rolls_back: bool = False  # keeps a snapshot of its state for each drafted token
    expanded_head_dim: int | None = None  # a latent's key per head once expanded
    expanded_v_head_dim: int | None = None
    stores_latent: bool = True  # False: a file without the latent's sizes, expanded for good
    index_v_head_dim: int = 0  # values that the index cache keeps beside its keys
    index_entries: int = 1  # rows that one index key takes: key, gate and pooled key are three
    one_slot_in_ollama: bool = False  # it serves the family one request at a time
    num_draft_layers: int = 0  # layers behind the model's own that only drafting uses


def cache_type(name: str, *, field: str) -> DType:
    """The storage format that a flag names.

    Raises:
        UnsupportedError: for a format that llama.cpp does not have.

    Example:
        >>> cache_type("q8_0", field="cache_type_k").nbytes(128)
        136
    """
    try:
        return CACHE_TYPES[name.lower()]
    except KeyError:
        msg = Message(
            "{field}={name} must be one of {known}",
            field=field,
            name=name[:40],
            known=", ".join(CACHE_TYPES),
        )
        raise UnsupportedError(msg) from None


def _check_whole(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        msg = Message("{name}={value} must be a whole number >= 0", name=name, value=f"{value!r}")
        raise SpecError(msg)
