"""Recurrent state: what replaces a growing cache in Mamba, the gated delta rule, and kin."""

from dataclasses import dataclass
from typing import ClassVar

from kvsim.dtypes import FP32, DType
from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import check_positive


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentState:
    """A convolution's last inputs and a state of fixed size: Mamba, gated delta rule, and kin.

    The convolution keeps `conv_kernel - 1` columns in the model's dtype; the state is float32
    unless the config says otherwise. Heads and channels divide over the ranks; groups that do
    not divide are replicated until they do.

    Source:
        vLLM `MambaStateShapeCalculator`, vllm/model_executor/layers/mamba/mamba_utils.py, 0.32.0.
    """

    kind: ClassVar[str] = "recurrent state"

    mechanism: str  # what the state is: "mamba-1", "mamba-2", "gated delta rule", ...
    num_heads: int  # heads, or channels where there are no heads: what the ranks divide
    state_elems: int  # elements of the state over all heads
    head_shape: tuple[int, ...] = ()  # dimensions of one head's state, in the engines' order
    conv_kernel: int = 1  # 1: no convolution
    conv_channels: int = 0
    num_groups: int = 0  # groups of B and C that the convolution also covers
    group_channels: int = 0  # channels of one group (B and C together)
    state_dtype: DType | None = None  # None: the config does not say, float32 in the ideal layout
    state_in_model_dtype: bool = False  # whatever dtype the model runs in
    elem_flops: int = 5  # decay, input, and read-out: two multiplies-and-adds and one multiply

    def __post_init__(self) -> None:
        check_positive(num_heads=self.num_heads, conv_kernel=self.conv_kernel)
        if min(self.state_elems, self.conv_channels, self.num_groups, self.group_channels) < 0:
            msg = f"state_elems={self.state_elems} and the channel counts must be >= 0"
            raise SpecError(msg)

    def live_tokens(self, num_tokens: int) -> int:  # noqa: ARG002
        """None: tokens are folded into the state."""
        return 0

    def token_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:  # noqa: ARG002
        """None."""
        return 0

    def conv_elems(self, tensor_parallel_size: int = 1) -> int:
        """Elements of the convolution's memory on one rank."""
        tp, groups = tensor_parallel_size, self.num_groups
        if groups % tp:
            groups = tp  # one group per rank: replicated
        channels = self.conv_channels + groups * self.group_channels
        self._check_divides(channels, tp)
        return channels // tp * (self.conv_kernel - 1)

    def state_bytes(self, dtype: DType, *, tensor_parallel_size: int = 1) -> int:
        """The convolution's memory and the state of one sequence, this rank's share."""
        self._check_divides(self.num_heads, tensor_parallel_size)
        conv_bytes = dtype.nbytes(self.conv_elems(tensor_parallel_size))
        elems = self.state_elems // tensor_parallel_size
        return conv_bytes + self.state_format(dtype).nbytes(elems)

    def state_format(self, dtype: DType) -> DType:
        """The state's storage format where the model runs in `dtype`."""
        return dtype if self.state_in_model_dtype else self.state_dtype or FP32

    def formula(self, dtype: DType, *, tensor_parallel_size: int = 1) -> str:
        """Convolution memory and state, whatever n is."""
        conv = dtype.nbytes(self.conv_elems(tensor_parallel_size))
        state = self.state_bytes(dtype, tensor_parallel_size=tensor_parallel_size) - conv
        return f"{conv} convolution + {state} {self.mechanism} state bytes"

    def attended_tokens(self, start: int, stop: int) -> int:  # noqa: ARG002
        """None: a token never meets the others."""
        return 0

    def pair_flops(self) -> int:
        """None."""
        return 0

    def state_flops(self) -> int:
        """Updating and reading the state, and the convolution."""
        channels = self.conv_channels + self.num_groups * self.group_channels
        return self.elem_flops * self.state_elems + 2 * channels * self.conv_kernel

    def _check_divides(self, value: int, tensor_parallel_size: int) -> None:
        if value % tensor_parallel_size:
            msg = Message(
                "tensor_parallel_size={ranks} must divide the {value} {mechanism} heads or "
                "channels",
                ranks=tensor_parallel_size,
                value=value,
                mechanism=self.mechanism,
            )
            raise SpecError(msg)
