"""The architectures of the full ladder: one or more of each way to cache, in a few megabytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import read_lines

CENSUS = Path(__file__).parents[1] / "golden/census/open.jsonl.gz"
POSITION_FIELDS = ("max_position_embeddings", "n_positions")
MAX_POSITIONS = 1024
"""Positions that the tiny configs get, so that a prompt of the ladder has one for each token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A row of the recorded census, and why it is here.

    `witness_prompt` and `witness_batch` make a cache large enough for the allocator to judge.
    """

    row: str
    mechanism: str
    is_fast: bool = False
    witness_prompt: int = 256
    witness_batch: int = 64


STATE_ONLY = {"witness_prompt": 4, "witness_batch": 512}
"""States do not grow with the prompt, so many sequences make them large."""

ARCHITECTURES = (
    Architecture(row="llama/mha", mechanism="MHA"),
    Architecture(row="bloom/base", mechanism="MHA"),
    Architecture(row="llama/base", mechanism="GQA", is_fast=True),
    Architecture(row="qwen3/base", mechanism="GQA"),
    Architecture(row="mixtral/base", mechanism="GQA, experts"),
    Architecture(row="gpt_bigcode/base", mechanism="MQA", is_fast=True),
    Architecture(row="falcon/mqa", mechanism="MQA", witness_batch=128),
    Architecture(row="falcon/new_arch", mechanism="query heads cached"),
    Architecture(row="deepseek_v2/base", mechanism="MLA", is_fast=True, witness_batch=96),
    Architecture(row="mistral/base", mechanism="sliding"),
    Architecture(row="gemma3/base", mechanism="alternating", is_fast=True),
    Architecture(row="olmo3/base", mechanism="alternating"),
    Architecture(row="gpt_oss/base", mechanism="alternating, sinks"),
    Architecture(row="llama4_text/base", mechanism="chunked"),
    Architecture(row="mimo_v2_flash/base", mechanism="keys wider than values, by layer"),
    Architecture(row="dots3_note_text/base", mechanism="MLA, sliding MLA, indexer"),
    Architecture(row="falcon_mamba/base", mechanism="Mamba-1", is_fast=True, **STATE_ONLY),
    Architecture(row="jamba/base", mechanism="Mamba-1 and GQA", **STATE_ONLY),
    Architecture(row="bamba/base", mechanism="Mamba-2 and GQA", witness_prompt=32),
    Architecture(row="nemotron_h/base", mechanism="Mamba-2 and GQA", **STATE_ONLY),
    Architecture(row="zamba2/base", mechanism="Mamba-2 and MHA", witness_prompt=32),
    Architecture(row="qwen3_next/base", mechanism="gated delta and GQA", **STATE_ONLY),
    Architecture(row="qwen3_5_text/base", mechanism="gated delta and GQA", **STATE_ONLY),
    Architecture(row="kimi_linear/base", mechanism="delta and MLA", **STATE_ONLY),
    Architecture(row="lfm3/base", mechanism="short convolutions and GQA"),
    Architecture(row="bart/base", mechanism="encoder-decoder", is_fast=True),
    Architecture(row="mt5/base", mechanism="encoder-decoder"),
    Architecture(row="gemma3n_text/base", mechanism="shared layers"),
    Architecture(row="gemma4_unified_text/base", mechanism="shared layers, wide global heads"),
)


def load_rows() -> dict[str, dict[str, Any]]:
    """The census rows by `model_type/variant`."""
    return {f"{row['model_type']}/{row['variant']}": row for row in read_lines(CENSUS)}


def resized(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with positions for the ladder's prompts."""
    longer = {name: MAX_POSITIONS for name in POSITION_FIELDS if name in config}
    return {**config, **longer}


def find(name: str) -> Architecture:
    """The architecture of that row.

    Raises:
        UnknownNameError: if the ladder has none of that name.
    """
    for architecture in ARCHITECTURES:
        if architecture.row == name:
            return architecture
    near = [a.row for a in ARCHITECTURES if a.row.split("/")[0] in name]
    raise kvsim.UnknownNameError(what="census", name=name, nearest=near)
