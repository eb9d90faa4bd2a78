"""Which attention backend vLLM picks on a device, and what blocks it accepts."""

from dataclasses import dataclass
from enum import StrEnum

from kvsim.errors import UnsupportedError
from kvsim.message import Message
from kvsim.specs.hardware import Accelerator


class Device(StrEnum):
    """Generations of devices among which the choice of backends differs."""

    SM80 = "sm80"  # Ampere and Ada
    SM90 = "sm90"  # Hopper
    SM100 = "sm100"  # Blackwell of data centres
    OTHER = "other"  # all else; plain attention works everywhere
    CPU = "cpu"


_ARCHITECTURES = {
    "Ampere": Device.SM80,
    "Ada": Device.SM80,
    "Hopper": Device.SM90,
    "Blackwell": Device.SM100,
    "Blackwell Ultra": Device.SM100,
    "CPU": Device.CPU,
}
WORKSTATION = ("rtx", "gb10", "spark")  # Blackwell of desktops: another generation, sm120


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One attention backend: what vLLM asks it before it sizes blocks.

    Source:
        vLLM `get_supported_kernel_block_sizes` of the backends, vllm/v1/attention/backends/.
    """

    name: str
    kernel_block: int = 16  # tokens; blocks are multiples of it
    only: bool = False  # blocks must be exactly `kernel_block`
    preferred: int | None = None  # tokens per block where the user states none
    forced: bool = False  # whatever the user asks for
    aligns_rows: bool = False  # the distance of blocks is a multiple of a token's bytes

    @property
    def block_multiple(self) -> int | None:
        """Tokens of a kernel block where they are more than the usual 16."""
        return self.kernel_block if self.kernel_block > DEFAULT_KERNEL_BLOCK else None

    def accepts(self, block_size: int | None) -> bool:
        """Whether blocks of that many tokens are made of its kernel blocks; None: any are."""
        if block_size is None:
            return True
        return block_size == self.kernel_block if self.only else block_size % self.kernel_block == 0


DEFAULT_KERNEL_BLOCK = 16
FLASH_ATTN = Backend(name="FLASH_ATTN")
FLASH_ATTN_WIDE = Backend(name="FLASH_ATTN", kernel_block=64, only=True)  # heads of 512, fp8, sm90
TRITON_ATTN = Backend(name="TRITON_ATTN")
CPU_ATTN = Backend(name="CPU_ATTN", kernel_block=32, preferred=128)
FLASH_ATTN_MLA = Backend(name="FLASH_ATTN_MLA")
FLASHMLA = Backend(name="FLASHMLA", kernel_block=64)
FLASHINFER_MLA = Backend(name="FLASHINFER_MLA", kernel_block=32)
TRITON_MLA = Backend(name="TRITON_MLA")
CPU_MLA = Backend(name="CPU_MLA", only=True, forced=True)
FLASH_ATTN_MLA_SPARSE = Backend(name="FLASH_ATTN_MLA_SPARSE", kernel_block=64, aligns_rows=True)
FLASHMLA_SPARSE = Backend(name="FLASHMLA_SPARSE", kernel_block=64)
INDEXER = Backend(name="DEEPSEEK_V32_INDEXER", kernel_block=64)
COMPRESSED = Backend(name="FLASHMLA_SPARSE_DSV4", kernel_block=256)

WIDE_HEAD = 512
"""Elements of a head from which on Hopper's fp8 kernels take blocks of 64 tokens alone."""


def device_of(accelerator: Accelerator | None) -> Device:
    """The generation of a device; an unnamed one is taken for a data-centre Hopper."""
    if accelerator is None:
        return Device.SM90
    device = _ARCHITECTURES.get(accelerator.architecture, Device.OTHER)
    is_workstation = any(word in accelerator.name.lower() for word in WORKSTATION)
    return Device.OTHER if device is Device.SM100 and is_workstation else device


def plain_backend(
    device: Device, *, head_dim: int, kv_cache_dtype: str, block_size: int | None
) -> Backend:
    """The backend of keys and values per head.

    Raises:
        UnsupportedError: for a format that the device has no kernels for.

    Source:
        vLLM `_get_backend_priorities`, vllm/platforms/cuda.py, 0.32.0.
    """
    if device is Device.CPU:
        return CPU_ATTN
    if kv_cache_dtype == "nvfp4" and device in (Device.SM80, Device.SM90):
        msg = Message(
            "kv_cache_dtype=nvfp4 has no backend in vllm on {device}: it needs Blackwell",
            device=device,
        )
        raise UnsupportedError(msg)
    wide = head_dim >= WIDE_HEAD and kv_cache_dtype.startswith("fp8") and device is Device.SM90
    if kv_cache_dtype in ("fp8_e5m2",) or "per_token_head" in kv_cache_dtype:
        return TRITON_ATTN
    if not wide:
        return FLASH_ATTN
    return FLASH_ATTN_WIDE if FLASH_ATTN_WIDE.accepts(block_size) else TRITON_ATTN


def latent_backend(device: Device, *, kv_cache_dtype: str, block_size: int | None) -> Backend:
    """The backend of dense latent attention: the first of the device's that takes the settings."""
    if device is Device.CPU:
        return CPU_MLA
    candidates = {
        Device.SM90: (FLASHMLA,) if kv_cache_dtype.startswith("fp8") else (FLASH_ATTN_MLA,),
        Device.SM100: (FLASHINFER_MLA,),
    }.get(device, ())
    return next((b for b in candidates if b.accepts(block_size)), TRITON_MLA)


def sparse_backend(device: Device, *, kv_cache_dtype: str) -> Backend:
    """The backend of latent attention with an indexer.

    Raises:
        UnsupportedError: on a device for which there is none.
    """
    if device not in (Device.SM90, Device.SM100):
        msg = Message(
            "sparse latent attention has no backend in vllm on {device}: it needs sm90 or sm100",
            device=device,
        )
        raise UnsupportedError(msg)
    is_packed = kv_cache_dtype == "fp8_ds_mla" or device is Device.SM100
    return FLASHMLA_SPARSE if is_packed else FLASH_ATTN_MLA_SPARSE
