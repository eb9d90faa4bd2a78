"""Ollama's layout: its defaults on llama-server's, which it runs as a child since 0.30."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kvsim.engines.layout import SequenceBytes
from kvsim.engines.llama_cpp import NOT_MODELED, LlamaCppLayout, llama_cpp_layout
from kvsim.engines.llama_cpp_model import is_recurrent, window_of
from kvsim.engines.llama_cpp_rules import ERAS
from kvsim.errors import SpecError, UnsupportedError
from kvsim.message import Message
from kvsim.specs.attention import FullAttention
from kvsim.specs.engine import EngineName, parse_version
from kvsim.specs.llama_cpp import FlashAttention, LlamaCpp, Ollama
from kvsim.specs.model import ModelSpec
from kvsim.units import GiB, MiB

SERVER_SINCE = (0, 30)  # commit 9db4bdbad: its own engines are gone
DEFAULT_CONTEXTS = ((47 * GiB, 262144), (23 * GiB, 32768))
"""GPU memory from which a context is the default, server/routes.go `Serve`; below: 4096."""

LEAST_DEFAULT_CONTEXT = 4096
LEAST_CONTEXT = 4
LEAST_VISION_CONTEXT = 2048
BATCHES = (
    # most tokens of context, batch, extra bytes and share of free memory that it may use
    (4096, 512, 0, 1.0),
    (32768, 1024, 768 * MiB, 0.75),
    (None, 2048, 2 * GiB, 0.6),
)
"""server/sched.go `automaticGenerationBatch`, fb3076099."""

MOST_USED_SHARE = 0.8  # of free memory, prediction and surcharge together
BYTES_PER_VALUE = 2  # the prediction's, whatever the cache's format
LEFT_OUT = "whether Ollama lowers num_batch, which it decides by free memory and the file's size"


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaSlot:
    """One slot's cache as Ollama has llama-server allocate it.

    A context that is not given is the sequence's length.
    """

    model: ModelSpec
    settings: Ollama
    gpu_bytes: tuple[int, ...] = ()
    engine: EngineName = EngineName.OLLAMA

    @property
    def engine_version(self) -> str:
        """The version whose rules apply."""
        return self.settings.engine_version

    @property
    def not_modeled(self) -> tuple[str, ...]:
        """What llama-server leaves out, and Ollama's own choices."""
        return (*NOT_MODELED, LEFT_OUT, *self.model.not_modeled)

    def sequence(self, num_tokens: int) -> SequenceBytes:
        """What one slot of `num_tokens` tokens holds.

        Raises:
            SpecError: for more tokens than `num_ctx`.
        """
        settings = self.settings
        if settings.num_ctx is None:
            settings = replace(settings, num_ctx=num_tokens)
        return ollama_layout(self.model, settings, gpu_bytes=self.gpu_bytes).sequence(num_tokens)


def ollama_layout(
    model: ModelSpec, settings: Ollama, *, gpu_bytes: Sequence[int] = ()
) -> LlamaCppLayout:
    """The caches that Ollama has llama-server allocate.

    Args:
        model: what `load_model` returned.
        settings: environment variables and model parameters.
        gpu_bytes: total memory of each GPU; none: on the CPU. It decides the default context.

    Raises:
        UnsupportedError: for versions before 0.30 and models with window or recurrent layers:
            which of its two engines ran a model is not known.

    Example:
        >>> from kvsim.api import load_model
        >>> layout = ollama_layout(load_model("gpt-oss-20b"), Ollama(), gpu_bytes=[24 * 2**30])
        >>> [(cache.cells, cache.total_bytes // 2**20) for cache in layout.caches]
        [(32768, 768), (1280, 30)]
    """
    flags = llama_server_flags(model, settings, gpu_bytes=gpu_bytes)
    layout = llama_cpp_layout(model, flags)
    return replace(layout, engine=EngineName.OLLAMA, engine_version=settings.engine_version)


def llama_server_flags(
    model: ModelSpec, settings: Ollama, *, gpu_bytes: Sequence[int] = ()
) -> LlamaCpp:
    """The flags that Ollama starts llama-server with.

    Raises:
        UnsupportedError: for a version whose engine is not known for this model.

    Source:
        Ollama llm/llama_server.go `startLlamaServer`, server/sched.go, fb3076099.
    """
    has_server = parse_version(settings.engine_version) >= SERVER_SINCE
    if not has_server and (window_of(model, ERAS[-1]) is not None or is_recurrent(model)):
        msg = Message(
            "engine_version={engine_version}: before 0.30 two engines laid windows and states "
            "out in two ways, and which one ran this model is not known",
            engine_version=settings.engine_version,
        )
        raise UnsupportedError(msg)
    slots = 1 if model.llama_cpp.one_slot_in_ollama else settings.num_parallel
    context = _context(model, settings, gpu_bytes)
    flash = {None: FlashAttention.AUTO, True: FlashAttention.ON, False: FlashAttention.OFF}
    batch = settings.num_batch or _batch(model, settings, context * slots, gpu_bytes)
    return LlamaCpp(
        ctx_size=context * slots,
        parallel=slots,
        kv_unified=None if has_server else True,
        cache_type_k=settings.kv_cache_type,
        cache_type_v=settings.kv_cache_type,
        flash_attn=flash[settings.flash_attention],
        batch_size=batch,
        ubatch_size=batch,
        gpu_layers=settings.num_gpu,
        spec_draft_n_max=settings.draft_num_predict,
    )


def _context(model: ModelSpec, settings: Ollama, gpu_bytes: Sequence[int]) -> int:
    """Tokens of one slot: asked for, or by the memory of all GPUs; never above the model's."""
    asked = settings.num_ctx
    if asked is None:
        memory = sum(gpu_bytes) - settings.gpu_overhead * len(gpu_bytes)
        fitting = (tokens for least, tokens in DEFAULT_CONTEXTS if memory >= least)
        asked = next(fitting, LEAST_DEFAULT_CONTEXT)
    asked = max(asked, LEAST_VISION_CONTEXT if model.is_multimodal else LEAST_CONTEXT)
    return asked if model.max_model_len is None else min(asked, model.max_model_len)


def _batch(model: ModelSpec, settings: Ollama, context: int, gpu_bytes: Sequence[int]) -> int:
    """Tokens computed at once: by context, and less where the prediction fills the GPUs.

    Source:
        Ollama server/sched.go `automaticGenerationBatch`, fb3076099.
    """
    if settings.flash_attention is False and gpu_bytes:
        msg = "num_batch must be given: without flash attention it depends on the GPU's maker"
        raise SpecError(msg)
    sized = next(i for i, row in enumerate(BATCHES) if row[0] is None or context <= row[0])
    available = sum(gpu_bytes) - settings.gpu_overhead * len(gpu_bytes)
    predicted = predicted_bytes(model, context)
    if predicted is None or not gpu_bytes:
        return BATCHES[sized][1]
    for _, batch, surcharge, share in reversed(BATCHES[1 : sized + 1]):
        fits = predicted + surcharge <= MOST_USED_SHARE * available
        if fits and predicted <= share * available:
            return batch
    return BATCHES[0][1]


def predicted_bytes(model: ModelSpec, context: int) -> int | None:
    """Memory that Ollama's scheduler predicts; None without the file's tensors.

    It never sizes the cache, and counts every layer as full attention in f16 with heads of
    equal width: wrong by design for windows, latents, hybrids and quantised caches.

    Source:
        Ollama `PredictServerVRAM`, fb3076099.
    """
    if not model.tensors:
        return None
    heads = [
        b.num_kv_heads if isinstance(b, FullAttention) else 1
        for group in model.layer_groups
        for b in group.layer
    ]
    width = model.hidden_size // model.num_attention_heads
    values = 2 * model.num_layers * min(heads, default=1) * width * context
    return sum(tensor.num_bytes for tensor in model.tensors) + values * BYTES_PER_VALUE


def reported_kv_bytes(layout: LlamaCppLayout) -> int:
    """Cache bytes that `ollama ps` counts on one device: of two KV lines only the last.

    Source:
        Ollama `memoryParsingWriter`, fb3076099; pull request 17037 corrects it.
    """
    with_rows = [cache for cache in layout.caches if cache.rows]
    return with_rows[-1].total_bytes if with_rows else 0
