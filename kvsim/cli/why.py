"""The rows of a plan's table of causes: where the cache memory goes, stage by stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kvsim.units import format_bytes

POOL_ROWS = (
    ("usable_bytes", "blocks that requests can take"),
    ("null_block_bytes", "null block"),
    ("remainder_bytes", "too little for another block"),
    ("other_ranks_bytes", "given up for the stage with the fewest blocks"),
    ("override_bytes", "left by num_gpu_blocks_override"),
)
REQUEST_ROWS = (
    ("live_bytes", "tokens and states that attention reads"),
    ("in_flight_bytes", "tokens kept until the steps under way are settled"),
    ("state_copies_bytes", "further copies of states"),
    ("block_rounding_bytes", "slots of whole blocks without a token"),
    ("page_padding_bytes", "pages padded to equal others"),
    ("group_padding_bytes", "groups narrower than the widest"),
    ("total_bytes", "one request of max_model_len"),
    ("replicated_bytes", "of it also on other ranks"),
)
"""Parts in the order in which they add up; rows that are zero everywhere are left out, but for
the first: that requests can take nothing is the answer."""


@dataclass(frozen=True, slots=True)
class WhyRows:
    """Columns, one per kind of stage, and rows of a label and as many sizes."""

    stages: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def why_rows(why: Sequence[Mapping[str, Any]]) -> WhyRows:
    """The table of causes; stages with equal figures share a column.

    Args:
        why: the plan's `why`, one entry per pipeline stage.
    """
    distinct: dict[str, list[Mapping[str, Any]]] = {}
    for stage in why:
        figures = {key: value for key, value in stage.items() if key != "stage"}
        distinct.setdefault(repr(figures), []).append(stage)
    shown = [stages[0] for stages in distinct.values()]
    names = tuple(
        "stage " + ", ".join(str(stage["stage"]) for stage in stages)
        for stages in distinct.values()
    )
    rows = [("blocks it has room for", *(f"{stage['num_gpu_blocks']:,}" for stage in shown))]
    for part, labels in (("pool", POOL_ROWS), ("request", REQUEST_ROWS)):
        for name, label in labels:
            sizes = [stage[part][name] for stage in shown]
            if any(sizes):
                rows.append((label, *(format_bytes(size) for size in sizes)))
            elif name == "usable_bytes":
                rows.append((label, *("0 B: nothing is left to cache" for _ in sizes)))
    return WhyRows(names if len(names) > 1 else ("",), tuple(rows))
