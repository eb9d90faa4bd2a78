"""A host tier's figures as a terminal table."""

from typing import Any

from kvsim.cli.tables import new_table
from kvsim.units import format_bytes, format_gib

Json = dict[str, Any]


def offload_table(result: Json) -> Any:  # noqa: ANN401 - rich is loaded where it is used
    """What the host memory of a replica holds of prompts of the longest length."""
    held, length = result["offload"], result["settings"]["max_model_len"]
    table = new_table(
        f"What {format_gib(held['size_bytes'])} of host memory hold", ("", "left"), ("", "right")
    )
    rows = {
        "chunks": f"{held['num_chunks']:,}",
        "a chunk takes": f"{format_bytes(held['chunk_bytes'])}, of {held['copies']} ranks",
        "groups of layers, each with chunks of its own": f"{held['num_groups']}",
        f"chunks of a prompt of {length:,} tokens": f"{held['chunks_per_prompt']:,}",
        "such prompts": f"{held['prompts']:,}",
        "their tokens": f"{held['tokens']:,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
