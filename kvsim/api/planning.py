"""Models, caches and plans: io, engines, analytic and planner wired together."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING

from kvsim.analytic import cache
from kvsim.analytic.cache import CacheBytes, CacheCurve, FormulaLine
from kvsim.analytic.explanation import ExplainedGroup, explain_layers
from kvsim.dtypes import cache_dtype, model_dtype
from kvsim.engines.ideal import IdealLayout
from kvsim.io.catalog import catalog_accelerators, find_accelerator
from kvsim.io.commands import engine_commands, vllm_serve
from kvsim.io.models import read_model
from kvsim.io.overheads import overhead_model
from kvsim.planner.advise import best_pair, fixes, more_users
from kvsim.planner.answer import Plan
from kvsim.planner.cache_layout import cache_layout
from kvsim.planner.changes import Kinds
from kvsim.planner.plan import Judge
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.model import ModelSpec
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.pool_settings import PoolSettings
from kvsim.specs.transformers import Transformers

if TYPE_CHECKING:
    pass


def load_model(source: str | PathLike[str] | Mapping[str, object]) -> ModelSpec:
    """The model that a file, a folder, a dict, a catalogue name or a hub's id describes.

    Files are a config.json, a GGUF file, or safetensors with their config beside them; with a
    header, `model.tensors` are the exact weights. A hub is asked for ids that the catalogue lacks
    alone: owner/name, or modelscope:owner/name.

    Raises:
        FileError: if a file cannot be read or is not what its name says, or a hub not reached.
        UnknownNameError: if a name is neither a file nor in the catalogue.
        SpecError: for a missing, impossible or contradictory field; the message names it.
        UnsupportedError: for an architecture whose cache is not known.

    Example:
        >>> load_model("llama-3.1-8b").num_kv_layers
        32
    """
    return read_model(source)


def accelerator(name: str) -> Accelerator:
    """The accelerator of that name or alias.

    Raises:
        UnknownNameError: if the catalogue lacks it; the message offers near names.

    Example:
        >>> accelerator("H100-SXM5-80GB").vendor
        'NVIDIA'
    """
    return find_accelerator(name)


def cache_bytes(
    model: ModelSpec,
    *,
    num_tokens: int,
    batch_size: int = 1,
    engine: str | Vllm | Transformers | PoolSettings = EngineName.IDEAL,
    kv_cache_dtype: str = "auto",
    dtype: str = "auto",
    tensor_parallel_size: int = 1,
    num_encoder_tokens: int | None = None,
) -> CacheBytes:
    """Bytes that the cache of equal sequences takes, as a breakdown on one rank.

    Args:
        model: what `load_model` returned.
        num_tokens: cached tokens of each sequence (>= 1).
        batch_size: sequences (>= 1).
        engine: whose layout: "ideal" counts live tokens only, "vllm" or `Vllm(...)` whole blocks,
            "transformers" or `Transformers(...)` what its cache classes hold.
        kv_cache_dtype: storage format of keys and values; "auto" is the model's.
        dtype: format of the model's own values; "auto" is the config's.
        tensor_parallel_size: ranks that share the heads.
        num_encoder_tokens: encoder output that cross attention caches, where the model does not
            fix it.

    Raises:
        SpecError: for an impossible size or format, or heads that do not divide.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> cache_bytes(load_model("llama-3.1-8b"), num_tokens=8192).total_bytes
        1073741824
    """
    if num_encoder_tokens is not None:
        model = model.with_encoder_tokens(num_encoder_tokens)
    layout, kv_dtype = cache_layout(
        model,
        engine=engine,
        kv_cache_dtype=kv_cache_dtype,
        dtype=dtype,
        tensor_parallel_size=tensor_parallel_size,
    )
    return cache.cache_bytes(
        layout,
        model=model,
        num_tokens=num_tokens,
        batch_size=batch_size,
        kv_cache_dtype=kv_dtype.name,
        ranks=tensor_parallel_size,
    )


def cache_curve(
    model: ModelSpec,
    *,
    lengths: Sequence[int],
    batch_size: int = 1,
    engine: str | Vllm | PoolSettings = EngineName.IDEAL,
    kv_cache_dtype: str = "auto",
    tensor_parallel_size: int = 1,
    threshold_bytes: int | None = None,
) -> CacheCurve:
    """The cache of equal sequences over context lengths, and where it passes `threshold_bytes`.

    Raises:
        SpecError: for an impossible size or format.
    """
    layout, _ = cache_layout(
        model,
        engine=engine,
        kv_cache_dtype=kv_cache_dtype,
        dtype="auto",
        tensor_parallel_size=tensor_parallel_size,
    )
    return cache.cache_curve(
        layout, lengths=lengths, batch_size=batch_size, threshold_bytes=threshold_bytes
    )


def cache_formula(
    model: ModelSpec, *, kv_cache_dtype: str = "auto", tensor_parallel_size: int = 1
) -> tuple[FormulaLine, ...]:
    """The ideal layout's formula with this model's numbers, a line per group of equal layers.

    Example:
        >>> cache_formula(load_model("llama-3.1-8b"))[0].text
        '32 layers x [8 KV heads x (256 + 256) bytes x n]'
    """
    kv_dtype = model.dtype if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype)
    return cache.cache_formula(model, kv_dtype=kv_dtype, tensor_parallel_size=tensor_parallel_size)


def explain_cache(
    model: ModelSpec,
    *,
    num_tokens: int,
    kv_cache_dtype: str = "auto",
    dtype: str = "auto",
    tensor_parallel_size: int = 1,
    num_encoder_tokens: int | None = None,
) -> tuple[ExplainedGroup, ...]:
    """Per group of equal layers the mechanism, the config's deciding fields, formula and bytes.

    Of one sequence in the ideal layout, on one rank; an engine rounds up from there.

    Raises:
        SpecError: for an impossible size or format, or heads that do not divide.

    Example:
        >>> group, = explain_cache(load_model("llama-3.1-8b"), num_tokens=8192)
        >>> group.formula, group.total_bytes
        ('32 layers x [8 KV heads x (256 + 256) bytes x 8192]', 1073741824)
    """
    if num_encoder_tokens is not None:
        model = model.with_encoder_tokens(num_encoder_tokens)
    own = model.dtype if dtype == "auto" else model_dtype(dtype)
    layout = IdealLayout(
        model=model,
        kv_dtype=own if kv_cache_dtype == "auto" else cache_dtype(kv_cache_dtype),
        dtype=own,
        tensor_parallel_size=tensor_parallel_size,
    )
    return explain_layers(layout, num_tokens=num_tokens)


def plan(
    deployment: Deployment,
    *,
    concurrent_requests: int = 1,
    accelerators: Sequence[Accelerator] | None = None,
    overheads: OverheadModel | None = None,
) -> Plan:
    """Budget, capacity and verdict of a deployment, and the changes that would make it fit.

    Args:
        deployment: model, accelerator, engine settings, parallelism.
        concurrent_requests: requests of `max_model_len` tokens that must fit at once.
        accelerators: devices to consider as a change; None means the catalogue's.
        overheads: coefficients of the engine's overheads; None means those shipped for its
            version.

    Raises:
        SpecError: for settings that no real system can have; the message names them.
        UnsupportedError: for a layout that is not known.

    Example:
        >>> h100 = accelerator("H100-SXM5-80GB")
        >>> plan(Deployment(model=load_model("llama-3.1-8b"), accelerator=h100)).fits
        True
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    judge = Judge(coefficients)
    evaluation = judge(deployment, concurrent_requests)
    devices = catalog_accelerators() if accelerators is None else accelerators
    kinds = Kinds(evaluation, judge, devices)
    fits = evaluation.fit.verdict.fits
    singles = () if fits else fixes(kinds)
    return Plan(
        evaluation=evaluation,
        fixes=singles,
        pair=None if fits or singles else best_pair(kinds),
        more_users=more_users(kinds) if fits else (),
        command=vllm_serve(deployment),
        commands=engine_commands(deployment),
    )
