"""How a model is split over accelerators: degrees, not ranks."""

from dataclasses import dataclass, replace

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive
from kvsim.specs.option import option

MAX_STAGES = 1024
"""Stages that are described one by one; models have fewer layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Degrees of parallelism; their product (without expert parallelism) is the accelerator count.

    Expert parallelism spreads experts over the tensor-, and data-parallel ranks that exist;
    it takes no accelerators of its own.
    """

    tensor_parallel_size: int = option(1, "accelerators that split every layer")
    pipeline_parallel_size: int = option(1, "stages that split the layers")
    data_parallel_size: int = option(1, "replicas that split the requests")
    decode_context_parallel_size: int = option(1, "tensor-parallel ranks that split the tokens")
    enable_expert_parallel: bool = option(False, "whole experts per rank, not slices of each")

    def __post_init__(self) -> None:
        check_positive(
            tensor_parallel_size=self.tensor_parallel_size,
            pipeline_parallel_size=self.pipeline_parallel_size,
            data_parallel_size=self.data_parallel_size,
            decode_context_parallel_size=self.decode_context_parallel_size,
        )
        tp, dcp = self.tensor_parallel_size, self.decode_context_parallel_size
        if tp % dcp:
            msg = Message(
                "decode_context_parallel_size={dcp} must divide tensor_parallel_size={tp}",
                dcp=dcp,
                tp=tp,
            )
            raise SpecError(msg)

    def over(self, num_accelerators: int) -> "Parallelism":
        """The same degrees, with tensor parallelism over the accelerators that they leave.

        Raises:
            SpecError: if a stated tensor-parallel degree, or the others, do not fit the number.

        Example:
            >>> Parallelism(data_parallel_size=2).over(8).tensor_parallel_size
            4
        """
        check_positive(num_gpus=num_accelerators)
        if self.tensor_parallel_size == 1 and num_accelerators % self.num_ranks == 0:
            return replace(self, tensor_parallel_size=num_accelerators // self.num_ranks)
        if num_accelerators != self.num_ranks:
            msg = (
                f"num_gpus={num_accelerators} must be the product of the degrees, {self.num_ranks}"
            )
            raise SpecError(msg)
        return self

    @property
    def num_ranks(self) -> int:
        """Accelerators that the degrees take together."""
        return self.tensor_parallel_size * self.pipeline_parallel_size * self.data_parallel_size

    def stage_layers(self, num_layers: int) -> tuple[range, ...]:
        """Layer indices of each pipeline stage; left-over layers go to the later stages but one.

        Raises:
            SpecError: for more stages than are described one by one.

        Source:
            vLLM `get_pp_indices`, vllm/distributed/utils.py, 0.32.0: the last stage, which also
            holds the output head, is spared, and the remainder goes from the end backwards.

        Example:
            >>> [len(r) for r in Parallelism(pipeline_parallel_size=4).stage_layers(62)]
            [15, 16, 16, 15]
        """
        stages = self.pipeline_parallel_size
        if stages > MAX_STAGES:
            msg = Message(
                "pipeline_parallel_size={stages} must be <= {max_stages}",
                stages=stages,
                max_stages=MAX_STAGES,
            )
            raise SpecError(msg)
        base, rest = divmod(num_layers, stages)
        sizes = [base] * stages
        for i in range(2, rest + 2):
            sizes[-i] += 1
        starts = [sum(sizes[:i]) for i in range(stages)]
        return tuple(range(start, start + size) for start, size in zip(starts, sizes, strict=True))
