"""What llama.cpp makes of its flags: context, cells per slot, batch, streams."""

from dataclasses import dataclass

from kvsim.engines.llama_cpp_rules import Rules
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.llama_cpp import FlashAttention, LlamaCpp
from kvsim.specs.model import ModelSpec
from kvsim.units import ceil_div, round_up

CELL_PAD = 256  # llama_context::llama_context, and llama_kv_cache_iswa for the window cache
CELL_PAD_WITHOUT_FLASH = 32  # llama_kv_cache_unified::get_padding, before 2025-11
MAX_SLOTS = 256  # LLAMA_MAX_SEQ, src/llama-cparams.h


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaCppContext:
    """A context's resolved sizes, under the names of llama.cpp's own log lines."""

    n_ctx: int
    n_ctx_seq: int  # cells of one stream
    n_seq_max: int
    n_batch: int
    n_ubatch: int
    kv_unified: bool
    n_rs_seq: int
    flash_attn: bool

    @property
    def num_streams(self) -> int:
        """Caches side by side: one for all slots, or one each."""
        return 1 if self.kv_unified else self.n_seq_max


def resolve_context(model: ModelSpec, settings: LlamaCpp, rules: Rules) -> LlamaCppContext:
    """The context that llama.cpp would create.

    Args:
        model: for the context that it was trained with, and whether its state rolls back.
        settings: the flags; what is not given is the server's default.
        rules: of the build.

    Raises:
        SpecError: if the context is not given and the model states none, or too many slots.
        UnsupportedError: where the build has no such choice.

    Source:
        llama.cpp `llama_context::llama_context`, src/llama-context.cpp, 0.5.0-dev.
    """
    slots = settings.parallel or rules.default_slots
    if slots > MAX_SLOTS:
        msg = Message("parallel={slots} must be <= {max_slots}", slots=slots, max_slots=MAX_SLOTS)
        raise SpecError(msg)
    unified = _is_unified(settings, rules)
    asked = _asked_tokens(model, settings, num_streams=1 if unified else slots)
    flash_attn = model.llama_cpp.has_flash_attn and (
        settings.flash_attn is FlashAttention.ON
        or (settings.flash_attn is FlashAttention.AUTO and rules.has_auto_flash_attn)
    )
    n_batch = min(asked, settings.batch_size)
    per_stream = _cells(asked, slots, unified=unified, rules=rules, flash_attn=flash_attn)
    return LlamaCppContext(
        n_ctx=per_stream if unified else per_stream * slots,
        n_ctx_seq=per_stream,
        n_seq_max=slots,
        n_batch=n_batch,
        n_ubatch=min(n_batch, settings.ubatch_size),
        kv_unified=unified,
        n_rs_seq=settings.spec_draft_n_max if model.llama_cpp.rolls_back else 0,
        flash_attn=flash_attn,
    )


def _is_unified(settings: LlamaCpp, rules: Rules) -> bool:
    """Whether all slots share one cache; without the flag only if their number was not given."""
    if not rules.has_streams:
        if settings.kv_unified is False and (settings.parallel or 1) > 1:
            msg = f"kv_unified=False: builds of {rules.since} have one cache for all slots"
            raise UnsupportedError(msg)
        return True
    if settings.kv_unified is not None:
        return settings.kv_unified
    return settings.parallel is None and rules.default_slots > 1


def _asked_tokens(model: ModelSpec, settings: LlamaCpp, *, num_streams: int) -> int:
    """The context before padding; one that was not given is the model's own for every stream.

    Source:
        common/fit.cpp `common_params_fit_impl`, 0.5.0-dev, for the context of every stream.
    """
    if settings.ctx_size:
        return settings.ctx_size
    if model.max_model_len is None:
        msg = Message("ctx_size must be given: {name} states no context length", name=model.name)
        raise SpecError(msg)
    if settings.ctx_size == 0:
        return model.max_model_len
    return model.max_model_len * num_streams


def _cells(asked: int, slots: int, *, unified: bool, rules: Rules, flash_attn: bool) -> int:
    """Cells of one stream, padded."""
    if rules.pads_alike:
        padded = round_up(asked, CELL_PAD)
        return padded if unified else round_up(padded // slots, CELL_PAD)
    pad = CELL_PAD if flash_attn else CELL_PAD_WITHOUT_FLASH
    return round_up(asked if unified else ceil_div(asked, slots), pad)


def window_cells(window: int, context: LlamaCppContext, rules: Rules, *, own: bool) -> int:
    """Cells of one stream's window cache: the window, and the tokens computed at once.

    Args:
        window: tokens that a query attends to, itself included.
        context: the resolved context.
        rules: of the build.
        own: whether every slot has a stream here even where the context is unified.

    Source:
        llama.cpp `llama_kv_cache_iswa::llama_kv_cache_iswa`, src/llama-kv-cache-iswa.cpp.

    Example:
        Four slots that share a cache pay four windows of 128, and 512 tokens computed at once:

        >>> from kvsim.engines.llama_cpp_rules import ERAS
        >>> context = LlamaCppContext(n_ctx=8192, n_ctx_seq=8192, n_seq_max=4, n_batch=2048,
        ...     n_ubatch=512, kv_unified=True, n_rs_seq=0, flash_attn=True)
        >>> window_cells(128, context, ERAS[-1], own=False)
        1024
    """
    shared_by = context.n_seq_max if context.kv_unified and not own else 1
    wanted = window * shared_by + context.n_ubatch
    if rules.pads_alike:
        return round_up(min(context.n_ctx_seq, wanted), CELL_PAD)
    pad = CELL_PAD if context.flash_attn else CELL_PAD_WITHOUT_FLASH
    return min(context.n_ctx_seq, round_up(wanted, pad))
