"""The public functions: they wire io, engines, analytic, sim and planner, and compute nothing.

A module is loaded when one of its functions is first used: what serves requests needs numpy,
which takes longer to load than a plan takes to make.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvsim.api.comparing import answer, compare, plan_engine
    from kvsim.api.explaining import explain_log
    from kvsim.api.fleets import size_fleet
    from kvsim.api.generating import generate_workload, poisson_workload, summarize_workload
    from kvsim.api.gridding import cache_bytes_grid, plan_grid
    from kvsim.api.learning import attention_variants, check_claims, note_steps, token_notes
    from kvsim.api.measuring import (
        bench_workload,
        calibrate,
        metrics_page,
        write_metrics,
        write_table,
        write_timeline,
    )
    from kvsim.api.planning import (
        accelerator,
        cache_bytes,
        cache_curve,
        cache_formula,
        explain_cache,
        load_model,
        plan,
    )
    from kvsim.api.reading import read_requests
    from kvsim.api.retaining import retention
    from kvsim.api.searching import search
    from kvsim.api.seeding import simulate_seeds
    from kvsim.api.serving import compare_runs, over_seeds, simulate, simulate_blocks
    from kvsim.api.solving import frontier, solve
    from kvsim.api.streaming import (
        StreamListener,
        StreamOrder,
        simulate_blocks_stream,
        simulate_stream,
    )
    from kvsim.api.sweeping import sweep
    from kvsim.api.wasting import paging, waste, waste_study

_HOMES = {
    "comparing": ("answer", "compare", "plan_engine"),
    "measuring": (
        "bench_workload",
        "calibrate",
        "metrics_page",
        "write_metrics",
        "write_table",
        "write_timeline",
    ),
    "learning": ("attention_variants", "check_claims", "note_steps", "token_notes"),
    "explaining": ("explain_log",),
    "planning": (
        "accelerator",
        "cache_bytes",
        "cache_curve",
        "cache_formula",
        "explain_cache",
        "load_model",
        "plan",
    ),
    "reading": ("read_requests",),
    "generating": ("generate_workload", "poisson_workload", "summarize_workload"),
    "seeding": ("simulate_seeds",),
    "serving": ("compare_runs", "over_seeds", "simulate", "simulate_blocks"),
    "fleets": ("size_fleet",),
    "retaining": ("retention",),
    "wasting": ("paging", "waste", "waste_study"),
    "gridding": ("cache_bytes_grid", "plan_grid"),
    "streaming": ("StreamListener", "StreamOrder", "simulate_blocks_stream", "simulate_stream"),
    "sweeping": ("sweep",),
    "searching": ("search",),
    "solving": ("frontier", "solve"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "StreamListener",
    "StreamOrder",
    "accelerator",
    "answer",
    "attention_variants",
    "bench_workload",
    "cache_bytes",
    "cache_bytes_grid",
    "cache_curve",
    "cache_formula",
    "calibrate",
    "check_claims",
    "compare",
    "compare_runs",
    "explain_cache",
    "explain_log",
    "frontier",
    "generate_workload",
    "load_model",
    "metrics_page",
    "note_steps",
    "over_seeds",
    "paging",
    "plan",
    "plan_engine",
    "plan_grid",
    "poisson_workload",
    "read_requests",
    "retention",
    "search",
    "simulate",
    "simulate_blocks",
    "simulate_blocks_stream",
    "simulate_seeds",
    "simulate_stream",
    "size_fleet",
    "solve",
    "summarize_workload",
    "sweep",
    "token_notes",
    "waste",
    "waste_study",
    "write_metrics",
    "write_table",
    "write_timeline",
]


def __getattr__(name: str) -> object:
    """Load the module of a public function when it is first used."""
    if name not in _HOME_OF:
        msg = f"module 'kvsim.api' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"kvsim.api.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
