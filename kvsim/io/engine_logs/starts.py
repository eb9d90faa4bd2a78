"""Several starts in one file: where the last one begins."""

import re

from kvsim.io.engine_logs.text import Line
from kvsim.specs.engine_log import LogEngine

BEGINS = {
    LogEngine.VLLM: re.compile(r"non-default args: \{|args: Namespace\("),
    LogEngine.SGLANG: re.compile(r"server_args=(?:ServerArgs\(|\{)"),
    LogEngine.TENSORRT_LLM: re.compile(r"\[TRT-LLM\] \[I\] (?:Using LLM with|Preparing to run)"),
}
"""A line of the front end, printed once a start."""

BEFORE = re.compile(
    r"version|vLLM API server|Automatically detected|serve |launch_server|api_server|█"
)
MAX_BEFORE = 40


def last_start(lines: list[Line], engine: LogEngine) -> tuple[list[Line], int]:
    """The lines of the last start, its banner included, and how many starts there are."""
    pattern = BEGINS.get(engine)
    if pattern is None:
        return lines, 1
    starts = [i for i, line in enumerate(lines) if pattern.search(line.text)]
    if len(starts) < 2:
        return lines, 1
    begin = starts[-1]
    for i in range(begin, max(starts[-2], begin - MAX_BEFORE), -1):
        if BEFORE.search(lines[i].text[:500]):
            begin = i
    return lines[begin:], len(starts)
