"""Each rule broken in one place, by a change of its source: the recorded cases must notice.

A check that no breakage can fail would prove nothing about the rules it covers.
"""

import inspect
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from kvsim.sim.batch import Batch
from kvsim.sim.block_pool import BlockPool
from kvsim.sim.chunks import Chunks
from kvsim.sim.engine import Engine
from kvsim.sim.groups import CacheGroup
from kvsim.sim.kv_cache import KVCache
from kvsim.sim.local_groups import ChunkGroup, WindowGroup
from kvsim.sim.queues import ArrivalQueue
from kvsim.sim.scheduler import Scheduler
from kvsim.sim.setup import EngineSetup
from kvsim.sim.state_chunks import StateChunks
from kvsim.sim.state_groups import AlignedStateGroup
from validation.recorded.frame import read_lines
from validation.recorded.vllm_schedule import read_rows, replay_case

GOLDEN = Path(__file__).parents[2] / "validation/golden/vllm"
CASES = {case["id"]: case for case in read_lines(GOLDEN / "sched.jsonl.gz")}
SERIES = {series["id"]: series for series in read_lines(GOLDEN / "sched_series.jsonl.gz")}


@dataclass(frozen=True)
class Breakage:
    """A rule, the source that states it, what stands there instead, and cases that depend on it."""

    rule: str
    owner: type
    name: str
    right: str
    wrong: str
    cases: tuple[str, ...]


BREAKAGES = [
    Breakage(
        "blank blocks are taken before those with content",
        BlockPool,
        "allocate",
        "if self._blank:",
        "if self._blank and not self._cached:",
        ("pc-system-evict", "pc-chat-evict"),
    ),
    Breakage(
        "a block that is taken loses its content",
        BlockPool,
        "allocate",
        "self.forget(block_id)",
        "pass",
        ("pc-system-evict", "pc-chat-evict"),
    ),
    Breakage(
        "the oldest of equal blocks is found",
        BlockPool,
        "find",
        "holders[0]",
        "holders[-1]",
        ("hybrid-pc-retain0", "mamba-align-pc"),
    ),
    Breakage(
        "the tail of a table is freed first",
        CacheGroup,
        "release_all",
        "table.blocks[::-1]",
        "table.blocks",
        ("pc-system-evict", "pc-chat-evict"),
    ),
    Breakage(
        "the last token of a prompt is always computed",
        KVCache,
        "find",
        "request.num_tokens - 1",
        "request.num_tokens",
        ("pc-identical",),
    ),
    Breakage(
        "blocks are published when they are scheduled, not when they are computed",
        KVCache,
        "allocate",
        "self.publish(request, min(end, request.num_tokens))",
        "self.publish(request, computed)",
        ("pc-tree", "pc-system-evict"),
    ),
    Breakage(
        "free blocks that a hit takes count against the free ones",
        CacheGroup,
        "num_blocks_missing",
        "+ evictable",
        "+ 0 * evictable",
        ("pc-system-evict", "pc-chat-evict"),
    ),
    Breakage(
        "nobody is admitted in a step that preempts",
        Scheduler,
        "schedule",
        "if not batch.preempted:",
        "if True:",
        ("pressure-noreserve", "swa-only"),
    ),
    Breakage(
        "the newest request gives way",
        Scheduler,
        "_least_urgent",
        "self.running[-1]",
        "self.running[-2:][0]",
        ("pressure-heavy",),
    ),
    Breakage(
        "a preempted request returns to the front of the queue",
        ArrivalQueue,
        "push_back",
        "self._requests.extendleft(reversed(list(requests)))",
        "self._requests.extend(requests)",
        ("pressure-heavy",),
    ),
    Breakage(
        "with priorities the least urgent gives way",
        Scheduler,
        "_least_urgent",
        "max(self.running, key=urgency)",
        "min(self.running, key=urgency)",
        ("priority-pressure",),
    ),
    Breakage(
        "a preempted request's tokens go back to the budget",
        Batch,
        "drop",
        "self.budget += self.tokens.pop(request, 0)",
        "self.budget += 0",
        ("priority-pressure", "pc-watermark-priority"),
    ),
    Breakage(
        "the watermark holds for who is admitted",
        Scheduler,
        "_admit",
        "self._spare_blocks if self.running else 0",
        "0",
        ("watermark-5pct", "watermark-20pct"),
    ),
    Breakage(
        "the watermark does not hold for who runs alone",
        Scheduler,
        "_admit",
        "self._spare_blocks if self.running else 0",
        "self._spare_blocks",
        ("watermark-50pct-big-prompts",),
    ),
    Breakage(
        "the whole prompt must have room",
        Scheduler,
        "_admit",
        "whole_prompt=self._config.scheduler_reserve_full_isl",
        "whole_prompt=False",
        ("pressure-reserve",),
    ),
    Breakage(
        "a request that is alone may pass the long-prefill threshold",
        Chunks,
        "most_tokens",
        "limit == 0 or num_requests < 2",
        "limit == 0",
        ("long-prefill-cap",),
    ),
    Breakage(
        "without chunked prefill a prompt is never cut",
        Chunks,
        "of_waiting",
        "if not self.config.enable_chunked_prefill:",
        "if False:",
        ("no-chunked-prefill",),
    ),
    Breakage(
        "answers end where the context does",
        EngineSetup,
        "final_tokens",
        "min(asked, self.config.max_model_len)",
        "asked",
        ("maxlen-truncation",),
    ),
    Breakage(
        "after the last request a step tells the workers",
        Engine,
        "next_start_s",
        "if next_s is None or scheduler.has_unreported:",
        "if next_s is None:",
        ("budget64", "pc-chat"),
    ),
    Breakage(
        "async: a request certain to end is not scheduled again",
        Scheduler,
        "_schedule_running",
        "computed + 2 - expected >= request.num_tokens_at_end",
        "computed + 1 - expected >= request.num_tokens_at_end",
        ("async-ample",),
    ),
    Breakage(
        "async: blocks of decoded tokens are published when the tokens are known",
        Scheduler,
        "_learn",
        "settled >= request.next_publication",
        "False",
        ("async-pc-chat", "async-pc-system-evict", "async-pc-watermark-thrash"),
    ),
    Breakage(
        "async: windows free behind settled tokens alone",
        KVCache,
        "allocate",
        "max(0, computed - request.num_in_flight_tokens)",
        "computed",
        ("hybrid-async-swa",),
    ),
    Breakage(
        "a window covers the token itself",
        WindowGroup,
        "num_tokens_behind",
        "num_computed_tokens - self._kept_behind",
        "num_computed_tokens - self._kept_behind - 1",
        ("swa-only",),
    ),
    Breakage(
        "windows keep what a repeated prompt needs",
        WindowGroup,
        "reachable",
        "request.num_prompt_tokens - 1",
        "0",
        ("hybrid-pc-retain0",),
    ),
    Breakage(
        "windows keep what was seen to be shared",
        KVCache,
        "_find_in_all",
        "longest if longest > num_tokens else 0",
        "0",
        ("hybrid-pc-retain0", "mamba-align-pc"),
    ),
    Breakage(
        "chunks of attention free the chunks before them",
        ChunkGroup,
        "num_tokens_behind",
        "num_computed_tokens // self._chunk * self._chunk",
        "0 * num_computed_tokens",
        ("chunked-local",),
    ),
    Breakage(
        "a state is not read in the step that computes it",
        AlignedStateGroup,
        "num_blocks_missing",
        "if found and",
        "if False and",
        ("mamba-align-pc",),
    ),
    Breakage(
        "chunks end at the last state that a repeated prompt can use",
        StateChunks,
        "clip",
        "stops.append(checkpoints.last_before(request.num_tokens))",
        "pass",
        ("mamba-align-pc",),
    ),
]


def break_rule(monkeypatch, breakage):
    """Put the wrong source in the right one's place."""
    member = inspect.getattr_static(breakage.owner, breakage.name)
    function = member.fget if isinstance(member, property) else member
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(breakage.right) == 1, "the source that states the rule has moved"
    scope = dict(vars(sys.modules[breakage.owner.__module__]))
    exec(source.replace(breakage.right, breakage.wrong), scope)
    monkeypatch.setattr(breakage.owner, breakage.name, scope[breakage.name])


def is_exact(name):
    """Whether a case comes out as recorded; a crash is no exact replay."""
    try:
        return replay_case(CASES[name], read_rows(SERIES[name])).verdict == "exact"
    except (AssertionError, LookupError, ValueError):
        return False


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.rule)
def test_a_broken_rule_is_noticed(breakage, monkeypatch):
    """Of the cases that depend on the rule at least one comes out differently."""
    break_rule(monkeypatch, breakage)

    assert not all(is_exact(name) for name in breakage.cases)
