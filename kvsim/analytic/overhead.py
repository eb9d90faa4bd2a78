"""What an engine takes beside weights and cache: estimates, each an interval with its source."""

from dataclasses import dataclass, replace

from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import ResolvedVllm
from kvsim.specs.overheads import Coefficient, Interval, OverheadModel, exact
from kvsim.units import GiB

SMALL_DEVICE_BYTES = 30 * GiB
LOGIT_BYTES = 4  # the sampler works in float32


@dataclass(frozen=True, slots=True, kw_only=True)
class OverheadBytes:
    """Per accelerator: the forward pass's transient peak, the driver's and NCCL's, the graphs'."""

    activation_peak_bytes: Interval
    non_torch_bytes: Interval
    cuda_graph_bytes: Interval


def overhead_bytes(
    deployment: Deployment, resolved: ResolvedVllm, model: OverheadModel
) -> OverheadBytes:
    """The user's own measurements where given, estimates from published logs elsewhere."""
    measured = deployment.overheads
    return OverheadBytes(
        activation_peak_bytes=measured.activation_peak_bytes
        or activation_peak_bytes(deployment, resolved, model),
        non_torch_bytes=measured.non_torch_bytes or non_torch_bytes(deployment, model),
        cuda_graph_bytes=measured.cuda_graph_bytes or cuda_graph_bytes(deployment, model),
    )


def activation_peak_bytes(
    deployment: Deployment, resolved: ResolvedVllm, model: OverheadModel
) -> Interval:
    """Peak of the dummy forward pass: the sampler's logits, the hidden states, a vision encoder.

    Source:
        vLLM's own budget lines in published start-up logs; the sampler is profiled with
        max_num_seqs rows of the vocabulary (`profile_run`, 0.32.0).
    """
    spec = deployment.model
    logits = resolved.max_num_seqs * spec.vocab_size * LOGIT_BYTES
    hidden = resolved.max_num_batched_tokens * spec.hidden_size
    peak = _scaled(model.sampler_copies, logits)
    peak = peak + _scaled(model.token_hidden_bytes, hidden)
    peak = peak + _scaled(model.activation_floor_bytes, 1)
    if spec.is_multimodal:
        peak = peak + _scaled(model.multimodal_activation_bytes, 1)
    largest = model.multimodal_activation_bytes if spec.is_multimodal else model.sampler_copies
    return replace(peak, source=largest.source)


def non_torch_bytes(deployment: Deployment, model: OverheadModel) -> Interval:
    """Memory outside torch's allocator: the runtime's context, and NCCL's buffers across ranks."""
    ranks = deployment.parallel.tensor_parallel_size * deployment.parallel.pipeline_parallel_size
    if ranks == 1:
        small = deployment.accelerator.total_bytes.best < SMALL_DEVICE_BYTES
        return _scaled(model.non_torch_small_bytes if small else model.non_torch_bytes, 1)
    return _scaled(model.non_torch_tp_bytes[0 if ranks < 4 else 1], 1)


def cuda_graph_bytes(deployment: Deployment, model: OverheadModel) -> Interval:
    """What the engine subtracts for captured graphs; nothing when eager or in older versions."""
    if deployment.engine.enforce_eager:
        return exact(0, "enforce_eager: no graphs are captured")
    if model.graph_bytes is None:
        return exact(0, "this version does not subtract graphs")
    return _scaled(model.graph_bytes, 1)


def _scaled(coefficient: Coefficient, factor: int) -> Interval:
    return Interval(
        round(coefficient.low * factor),
        round(coefficient.best * factor),
        round(coefficient.high * factor),
        coefficient.source,
    )
