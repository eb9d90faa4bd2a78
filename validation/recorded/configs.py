"""Replays recorded configs: bytes of one sequence in the ideal layout, as truth.json states them.

The record is for a bfloat16 cache. `kv_bytes_8k` and `kv_bytes_128k` are the token-dependent
cache; `recurrent_state_bytes` holds the state with a bfloat16 and with a float32 state.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kvsim
from validation.recorded.frame import Case, RecordError, Verdict, compare

TRUTH = "truth.json"
LENGTHS = {"kv_bytes_8k": 8 * 1024, "kv_bytes_128k": 128 * 1024}
STATE = "recurrent_state_bytes"


def replay(path: Path) -> Iterator[Case]:
    """Every model of truth.json; its config lies beside it."""
    truth_file = path / TRUTH if path.is_dir() else path
    try:
        models = json.loads(truth_file.read_text("utf-8"))["models"]
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{truth_file.name}: {error!r}"
        raise RecordError(msg) from None
    for name, record in models.items():
        yield replay_model(name, record, truth_file.parent / record["config"])


def replay_model(name: str, record: Mapping[str, Any], config: Path) -> Case:
    """One model against its record; a state counts where the record has one."""
    recorded = {key: record[key] for key in LENGTHS if record.get(key) is not None}
    recorded[STATE] = record[STATE][-1] if record.get(STATE) else 0
    try:
        model = kvsim.load_model(config)
        predicted: dict[str, Any] = {}
        for key, length in LENGTHS.items():
            held = kvsim.cache_bytes(model, num_tokens=length, dtype="bfloat16")
            predicted[key] = held.kv_bytes
            predicted[STATE] = held.state_bytes
    except kvsim.KvsimError as error:
        return Case(
            id=name, verdict=Verdict.REFUSED, predicted={}, recorded=recorded, reason=str(error)
        )
    return compare(name, predicted, recorded, reason=record.get("formula_bytes", ""))
