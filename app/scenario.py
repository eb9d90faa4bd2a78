"""What a visitor asks: the inputs, their names in a link, and the deployment they describe."""

# long: every input of the pages stands here once, beside the deployment that they describe

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import kvsim
from app.engine_charts import FIGURES
from app.engine_fields import DIVIDES_LAYERS, ENGINE, OWN, OWN_FIELDS, VLLM, settings
from app.fields import Field, Kind, Value
from app.paging_fields import PAGING
from app.run_fields import RUN_FIELDS
from app.search_fields import SEARCH_FIELDS

LINK_VERSION = "1"
CUSTOM, HUB = "custom", "hub"
"""The choices of a model by its own config.json or GGUF file, and by its id on a hub."""

MAX_CONFIG_BYTES = 1_000_000
"""Largest config.json taken from a visitor; the largest seen have 200 kB."""

MAX_HUB_ID = 210
"""Letters of an id on a hub: owner and name have at most 96 each."""

MAX_LOG_BYTES = 1_000_000
"""Largest start-up log taken from a visitor."""

AUTO = "auto"
QUANTIZATIONS = (AUTO, "none", "fp8", "int8", "awq", "gptq", "bitsandbytes", "mxfp4", "nvfp4")
CACHE_DTYPES = (AUTO, "bfloat16", "float16", "fp8", "fp8_e4m3", "fp8_e5m2")
BLOCK_SIZES = (AUTO, "1", "8", "16", "32", "64", "128", "256")


def model_options() -> tuple[str, ...]:
    """The visitor's own file, an id on a hub, and every model of the catalogue."""
    return (CUSTOM, HUB, *(model.id for model in kvsim.catalog_models()))


def gpu_options() -> tuple[str, ...]:
    """Every device of the catalogue."""
    return tuple(device.name for device in kvsim.catalog_accelerators())


def served_options() -> tuple[str, ...]:
    """As the log says, and every model of the catalogue."""
    return (AUTO, *(model.id for model in kvsim.catalog_models()))


def device_options() -> tuple[str, ...]:
    """As the log says, and every device of the catalogue."""
    return (AUTO, *gpu_options())


MODEL = Field(name="model", kind=Kind.CHOICE, default="llama-3.1-8b", options=model_options)
HUB_ID = Field(name="hub_id", kind=Kind.WORD, default="", longest=MAX_HUB_ID)
MAIN = (
    ENGINE,
    Field(name="gpu", kind=Kind.CHOICE, default="H100-SXM5-80GB", options=gpu_options),
    Field(name="tensor_parallel_size", kind=Kind.COUNT, default=1),
    Field(name="max_model_len", kind=Kind.COUNT, default=8192, step=1024),
    Field(name="concurrent_requests", kind=Kind.COUNT, default=32),
    Field(name="quantization", kind=Kind.CHOICE, default=AUTO, options=lambda: QUANTIZATIONS),
    Field(name="kv_cache_dtype", kind=Kind.CHOICE, default=AUTO, options=lambda: CACHE_DTYPES),
    Field(
        name="gpu_memory_utilization",
        kind=Kind.SHARE,
        default=kvsim.Vllm().gpu_memory_utilization,
    ),
)
ADVANCED = (
    Field(name="block_size", kind=Kind.CHOICE, default=AUTO, options=lambda: BLOCK_SIZES),
    Field(name="max_num_seqs", kind=Kind.COUNT, default=None),
    Field(name="max_num_batched_tokens", kind=Kind.COUNT, default=None, step=1024),
    Field(name="enforce_eager", kind=Kind.SWITCH, default=False),
    Field(name="engine_version", kind=Kind.WORD, default=kvsim.Vllm().engine_version),
    Field(name="pipeline_parallel_size", kind=Kind.COUNT, default=1),
    Field(name="data_parallel_size", kind=Kind.COUNT, default=1),
    Field(name="decode_context_parallel_size", kind=Kind.COUNT, default=1),
    Field(name="enable_expert_parallel", kind=Kind.SWITCH, default=False),
    Field(
        name="usage_context",
        kind=Kind.CHOICE,
        default=str(kvsim.Vllm().usage_context),
        options=lambda: tuple(kvsim.UsageContext),
    ),
)
MACHINE = (
    Field(name="free_memory_gib", kind=Kind.SIZE, default=None, empty="not_stated"),
    Field(name="other_processes_gib", kind=Kind.SIZE, default=None, empty="not_stated"),
    Field(name="host_memory_gib", kind=Kind.SIZE, default=None, empty="not_stated"),
)
MEASURED = (
    Field(name="weights_gib", kind=Kind.SIZE, default=None, empty="estimated"),
    Field(name="activation_peak_gib", kind=Kind.SIZE, default=None, empty="estimated"),
    Field(name="non_torch_gib", kind=Kind.SIZE, default=None, empty="estimated"),
    Field(name="cuda_graph_gib", kind=Kind.SIZE, default=None, empty="estimated"),
)
FIELDS = {
    field.name: field for field in (MODEL, HUB_ID, *MAIN, *ADVANCED, *MACHINE, *MEASURED)
} | OWN_FIELDS
"""Inputs of the sidebar, the same on every page."""

SHARED = (
    *("engine", "gpu", "tensor_parallel_size", "max_model_len", "concurrent_requests"),
    "quantization",
)
"""Main inputs of every engine; but one that divides layers they share the cache's format too."""


def sections(engine: str) -> dict[str, tuple[Field, ...]]:
    """The inputs that count under an engine, by where the sidebar shows them."""
    if engine == VLLM:
        return {"main": MAIN, "advanced": ADVANCED, "machine": MACHINE, "measured": MEASURED}
    name = kvsim.EngineName(engine)
    shared = SHARED if name in DIVIDES_LAYERS else (*SHARED, "kv_cache_dtype")
    more = (FIELDS["data_parallel_size"],) if name is kvsim.EngineName.SGLANG else ()
    return {
        "main": tuple(field for field in MAIN if field.name in shared),
        "advanced": (*OWN[name], *more),
        "machine": MACHINE,
        "measured": MEASURED[:1],
    }


FIGURE = Field(name="figure", kind=Kind.CHOICE, default=FIGURES[0], options=lambda: FIGURES)
TARGETS = tuple(str(target) for target in kvsim.Target if target != kvsim.Target.OFFLOAD_BYTES)
TARGET = Field(name="target", kind=Kind.CHOICE, default=TARGETS[0], options=lambda: TARGETS)
"""What page Frontier solves for; it asks for no tier in host memory."""

STEP = Field(name="step", kind=Kind.COUNT, default=5, most=8)
"""Tokens of page Learn's sentence that are there."""

IDLE = Field(name="idle", kind=Kind.SWITCH, default=False)
IDLE_WINDOW = Field(name="idle_window_s", kind=Kind.COUNT, default=600, step=60, most=2_592_000)
IDLE_RATE = Field(name="idle_rate_per_s", kind=Kind.AMOUNT, default=0.5)
"""What page Learn asks of conversations between their turns."""

LOG = (
    Field(name="log_model", kind=Kind.CHOICE, default=AUTO, options=served_options),
    Field(name="log_gpu", kind=Kind.CHOICE, default=AUTO, options=device_options),
)
"""What page Log is told beside the log."""

COMPARED_FIGURES = (
    *("max_requests", "capacity_tokens", "longest_tokens", "cache_bytes", "weights_bytes"),
    *("bytes_per_token", "request_bytes", "high_usd_per_hour"),
)
COMPARED = Field(
    name="compared",
    kind=Kind.CHOICE,
    default=COMPARED_FIGURES[0],
    options=lambda: COMPARED_FIGURES,
)
"""What the bars of page Compare show."""

PAGE_FIELDS = {
    field.name: field
    for field in (
        COMPARED,
        FIGURE,
        STEP,
        TARGET,
        *RUN_FIELDS,
        *SEARCH_FIELDS,
        *PAGING,
        *LOG,
        *(IDLE, IDLE_WINDOW, IDLE_RATE),
    )
}
"""Inputs of one page alone; their values stay when the visitor looks at another."""

PRESETS: dict[str, dict[str, Value]] = {
    "preset_chat": {"max_model_len": 8192, "concurrent_requests": 32},
    "preset_rag": {"max_model_len": 32_768, "concurrent_requests": 8},
    "preset_agent": {"max_model_len": 131_072, "concurrent_requests": 2},
    "preset_document": {
        "model": "llama-4-scout",
        "gpu": "H200-SXM-141GB",
        "tensor_parallel_size": 8,
        "max_model_len": 1_048_576,
        "concurrent_requests": 1,
    },
}
"""Inputs that a typical use sets; the rest stays as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything asked, in the words of the widgets; None where the engine or kvsim decides."""

    model: str
    config: str | None
    own: kvsim.ModelSpec | kvsim.KvsimError | None  # of an uploaded file, or from a hub
    engine: str
    own_settings: tuple[tuple[str, Value], ...]  # by name, of the engines that are not vLLM
    hub_id: str
    gpu: str
    tensor_parallel_size: int
    max_model_len: int
    concurrent_requests: int
    quantization: str
    kv_cache_dtype: str
    gpu_memory_utilization: float
    block_size: str
    max_num_seqs: int | None
    max_num_batched_tokens: int | None
    enforce_eager: bool
    engine_version: str
    pipeline_parallel_size: int
    data_parallel_size: int
    decode_context_parallel_size: int
    enable_expert_parallel: bool
    usage_context: str
    free_memory_gib: float | None
    other_processes_gib: float | None
    host_memory_gib: float | None
    weights_gib: float | None
    activation_peak_gib: float | None
    non_torch_gib: float | None
    cuda_graph_gib: float | None

    @property
    def is_empty(self) -> bool:
        """Whether the visitor's own model was chosen and is not there yet."""
        return self.own is None and (
            self.model == HUB or (self.model == CUSTOM and not self.config)
        )

    @property
    def values(self) -> dict[str, Value]:
        """Every input of the sidebar; what the visitor uploads is none."""
        own = dict(self.own_settings)
        return {name: own[name] if name in own else getattr(self, name) for name in FIELDS}

    def scenario(self) -> kvsim.Scenario:
        """What is asked of the chosen engine, as the library compares it.

        Raises:
            KvsimError: if the inputs describe nothing that can be.
        """
        own = settings(self.engine, dict(self.own_settings))
        return kvsim.Scenario(
            deployment=self.deployment() if own is None else self._shared_deployment(),
            engine=kvsim.EngineName(self.engine),
            settings=own,
            concurrent_requests=self.concurrent_requests,
        )

    def _shared_deployment(self) -> kvsim.Deployment:
        """What counts under every engine; the rest of a deployment is vLLM's."""
        name = kvsim.EngineName(self.engine)
        replicas = self.data_parallel_size if name is kvsim.EngineName.SGLANG else 1
        return kvsim.Deployment(
            model=read_model(self.model, self.config, self.own),
            accelerator=kvsim.accelerator(self.gpu),
            engine=kvsim.Vllm(
                max_model_len=self.max_model_len,
                kv_cache_dtype=AUTO if name in DIVIDES_LAYERS else self.kv_cache_dtype,
                quantization=None if self.quantization == AUTO else self.quantization,
            ),
            parallel=kvsim.Parallelism(
                tensor_parallel_size=self.tensor_parallel_size, data_parallel_size=replicas
            ),
            overheads=kvsim.Overheads(weights_bytes=_stated(self.weights_gib)),
            free_bytes=_bytes(self.free_memory_gib),
            other_processes_bytes=_bytes(self.other_processes_gib),
            host_memory_bytes=_bytes(self.host_memory_gib),
        )

    def deployment(self) -> kvsim.Deployment:
        """What the inputs describe to vLLM.

        Raises:
            KvsimError: if they describe nothing that can be.
        """
        return kvsim.Deployment(
            model=read_model(self.model, self.config, self.own),
            accelerator=kvsim.accelerator(self.gpu),
            engine=self._engine(),
            parallel=kvsim.Parallelism(
                tensor_parallel_size=self.tensor_parallel_size,
                pipeline_parallel_size=self.pipeline_parallel_size,
                data_parallel_size=self.data_parallel_size,
                decode_context_parallel_size=self.decode_context_parallel_size,
                enable_expert_parallel=self.enable_expert_parallel,
            ),
            overheads=kvsim.Overheads(
                weights_bytes=_stated(self.weights_gib),
                activation_peak_bytes=_stated(self.activation_peak_gib),
                non_torch_bytes=_stated(self.non_torch_gib),
                cuda_graph_bytes=_stated(self.cuda_graph_gib),
            ),
            free_bytes=_bytes(self.free_memory_gib),
            other_processes_bytes=_bytes(self.other_processes_gib),
            host_memory_bytes=_bytes(self.host_memory_gib),
        )

    def _engine(self) -> kvsim.Vllm:
        return kvsim.Vllm(
            max_model_len=self.max_model_len,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            gpu_memory_utilization=self.gpu_memory_utilization,
            kv_cache_dtype=self.kv_cache_dtype,
            block_size=None if self.block_size == AUTO else int(self.block_size),
            quantization=None if self.quantization == AUTO else self.quantization,
            enforce_eager=self.enforce_eager,
            engine_version=self.engine_version,
            usage_context=kvsim.UsageContext(self.usage_context),
        )


def of(
    values: Mapping[str, Value],
    *,
    config: str | None = None,
    own: kvsim.ModelSpec | kvsim.KvsimError | None = None,
) -> Scenario:
    """The scenario of every input of the sidebar, and of the model that the visitor brings."""
    shared: dict[str, Any] = {n: v for n, v in values.items() if n not in OWN_FIELDS}
    own_settings = tuple((name, values[name]) for name in OWN_FIELDS)
    return Scenario(config=config, own=own, own_settings=own_settings, **shared)


def read_model(
    model: str, config: str | None, own: kvsim.ModelSpec | kvsim.KvsimError | None
) -> kvsim.ModelSpec:
    """A model of the catalogue, or the visitor's own.

    Raises:
        KvsimError: if what the visitor brings is none.
    """
    if isinstance(own, kvsim.KvsimError):
        raise own
    if own is not None:
        return own
    if model != CUSTOM:
        return kvsim.load_model(model)
    text = config or ""
    if len(text.encode("utf-8", "replace")) > MAX_CONFIG_BYTES:
        msg = kvsim.Message(
            "config.json must be <= {most} bytes here", most=f"{MAX_CONFIG_BYTES:,}"
        )
        raise kvsim.FileError(msg)
    return kvsim.load_model(kvsim.parse_config(text, name="config.json"))


def _bytes(gib: float | None) -> int | None:
    return None if gib is None else kvsim.parse_bytes(f"{gib:.6f}GiB")


def _stated(gib: float | None) -> kvsim.Interval | None:
    num_bytes = _bytes(gib)
    return None if num_bytes is None else kvsim.exact(num_bytes, "stated by the user")
