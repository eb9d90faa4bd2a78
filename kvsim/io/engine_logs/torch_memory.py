"""What torch says when a device has no more memory; every engine on torch prints it."""

from kvsim.io.engine_logs.rules import rule

OOM_RULES = (
    rule(
        "Tried to allocate",
        r"Tried to allocate (?P<oom_tried>{n} [KMG]i?B)",
        wraps=True,
        oom_tried=str,
    ),
    rule(
        "total capac",
        r"total capac\w{1,4} of (?P<total_gpu_gib>{n}) GiB of which (?P<oom_free>{n} [KMG]iB) is "
        r"free",
        wraps=True,
        oom_free=str,
    ),
    rule(
        "memory in use",
        r"this proce\w{0,4} ?has (?P<in_use_gib>{n}) GiB memory in use",
        wraps=True,
    ),
    rule(
        "allocated by PyTorch",
        r"allocated memory (?P<allocated_by_pytorch_gib>{n}) GiB is allocated by PyTorch",
        wraps=True,
    ),
    rule(
        "total capacity;",
        r"GPU \d+; (?P<total_gpu_gib>{n}) GiB total capacity; "
        r"(?P<allocated_by_pytorch_gib>{n}) GiB already allocated; (?P<oom_free>{n} [KMG]iB) free",
        wraps=True,
        oom_free=str,
    ),
)
