"""`kvsim simulate`: a workload through the engine's scheduler, on a device or on stated blocks."""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from kvsim import api
from kvsim.cli.deployments import stated
from kvsim.cli.flags import from_args
from kvsim.cli.progress import progress
from kvsim.cli.simulate_flags import TABLES
from kvsim.cli.simulate_stream import check_stream, run_stream
from kvsim.errors import SpecError
from kvsim.io.frames import check_ending
from kvsim.io.step_table import read_step_table
from kvsim.specs.deployment import Deployment
from kvsim.specs.disaggregation import Disaggregation
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import Vllm
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import Overheads
from kvsim.specs.parallel import Parallelism
from kvsim.specs.routing import Routing
from kvsim.specs.workload import PoissonTraffic

Json = dict[str, Any]

MAX_SEEDS = 1000

HOW_IT_RAN = ("scheduler", "scheduler_reason", "simulated_requests_per_s")
"""What `--reproducible` leaves out: both schedulers give the same figures, at their own speed."""


class Clock:
    """CPU seconds since the first step, loading and compiling left out."""

    def start(self) -> None:
        """Begin to count."""
        self._started_s = time.process_time()

    @property
    def cpu_s(self) -> float:
        """Seconds so far."""
        return time.process_time() - self._started_s


def run_simulate(args: argparse.Namespace) -> Json:
    """`kvsim simulate`: a workload served step by step, on a device or on stated blocks."""
    result = _simulated(args)
    return result | dict.fromkeys(HOW_IT_RAN) if args.reproducible else result


def _simulated(args: argparse.Namespace) -> Json:
    outputs = _checked(args)
    limits = from_args(ServiceLimits, args)
    clock = Clock()
    if args.stream is not None:
        return run_stream(args, clock, step_time_from)
    workload = _workload(args)
    num_requests = args.num_requests if callable(workload) else len(workload)
    told: Json = {}

    def on_first(done: Any) -> None:  # noqa: ANN401 - a simulation
        told.update(done.as_dict(cpu_s=clock.cpu_s))
        _write(done, args, outputs)

    with progress("requests", num_requests) as on_progress:
        done = api.simulate_seeds(
            _served(args),
            workload,
            range(args.seed, args.seed + args.seeds),
            limits=limits,
            num_workers=args.workers,
            keep_partial=True,
            on_first=on_first,
            on_progress=on_progress,
            notify=partial(print, file=sys.stderr),
            on_start=clock.start,
        )
    result = done.runs[0] | told | {"workload": done.source}
    if done.interrupted:
        return result | {"interrupted": True}
    if done.spread is not None:
        result["over_seeds"] = done.spread.as_dict()
    if not limits.is_open:
        result["fits"] = all(run["goodput"]["met"] for run in done.runs)
    return result


def _checked(args: argparse.Namespace) -> dict[str, str]:
    """The tables that are to be written; SpecError for flags that exclude each other."""
    if len(args.metrics_out) > 2:
        msg = f"metrics_out={len(args.metrics_out)} files must be 1 or 2: the end, or start and end"
        raise SpecError(msg)
    if not 1 <= args.seeds <= MAX_SEEDS:
        msg = f"seeds={args.seeds} must be in [1, {MAX_SEEDS}]"
        raise SpecError(msg)
    if args.seeds > 1 and args.trace is not None and not args.acceptance_rate:
        msg = f"seeds={args.seeds} must be 1 with trace={args.trace}: nothing in it is by chance"
        raise SpecError(msg)
    check_stream(args)
    outputs = {name: getattr(args, f"output_{name}") for name in TABLES}
    outputs = {name: path for name, path in outputs.items() if path is not None}
    for path in outputs.values():
        check_ending(path)
    return outputs


def _served(args: argparse.Namespace) -> Callable[..., Any]:
    """The library's function that serves a workload as the flags say; processes are sent it."""
    model, efficiencies = api.load_model(args.model), from_args(Efficiencies, args)
    engine, parallel = from_args(Vllm, args), from_args(Parallelism, args)
    if args.num_gpus is not None:
        parallel = parallel.over(args.num_gpus)
    chance: Json = {
        "acceptance_rate": args.acceptance_rate,
        "scheduler": args.scheduler,
        "offload": from_args(Offload, args),
        "routing": _routing(args, parallel),
        "disaggregation": _pools(args),
        "watermark": args.watermark,
    }
    chance |= step_time_from(args.step_time)
    if args.gpu is None:
        if not efficiencies.are_absent:
            msg = f"gpu=None must be given where {efficiencies.text} is stated"
            raise SpecError(msg)
        return partial(api.simulate_blocks, model, engine=engine, parallel=parallel, **chance)
    deployment = Deployment(
        model=model,
        accelerator=api.accelerator(args.gpu),
        engine=engine,
        parallel=parallel,
        overheads=Overheads(weights_bytes=stated(args.weights_bytes)),
    )
    return partial(api.simulate, deployment, efficiencies=efficiencies, **chance)


def _routing(args: argparse.Namespace, parallel: Parallelism) -> Routing:
    """The router's rules.

    Raises:
        SpecError: for rules other than the default where there is one replica to send to.
    """
    rules = from_args(Routing, args)
    changed = [f.name for f in fields(Routing) if getattr(rules, f.name) != f.default]
    replicas = args.prefill_replicas or parallel.data_parallel_size
    if changed and replicas == 1:
        name = changed[0]
        msg = f"{name}={getattr(rules, name)} must be left out: requests go to one replica"
        raise SpecError(msg)
    return rules


def _pools(args: argparse.Namespace) -> Disaggregation | None:
    """The pools that the flags describe; None where none does.

    Raises:
        SpecError: for one pool without the other, or a link without pools.
    """
    given = [f.name for f in fields(Disaggregation) if getattr(args, f.name) is not None]
    if not given:
        return None
    for name in ("prefill_replicas", "decode_replicas"):
        if name not in given:
            msg = f"{name}=None must be given where {given[0]}={getattr(args, given[0])} is"
            raise SpecError(msg)
    return from_args(Disaggregation, args)


def _write(done: Any, args: argparse.Namespace, outputs: Mapping[str, str]) -> None:  # noqa: ANN401
    """The files that were asked for, of the first seed's run."""
    for path in args.metrics_out[-1:]:
        api.write_metrics(done, path)
    for path in args.metrics_out[:-1]:
        api.write_metrics(done, path, at_start=True)
    for name, path in outputs.items():
        api.write_table(done, path, table=name)
    if args.trace_out is not None:
        api.write_timeline(done, args.trace_out)


def step_time_from(stated: str | None) -> dict[str, Any]:
    """A number of seconds, or a file of measured steps."""
    if stated is None:
        return {}
    try:
        return {"step_time_s": float(stated)}
    except ValueError:
        return {"step_table": read_step_table(stated)}


def _workload(args: argparse.Namespace) -> Any:  # noqa: ANN401 - requests, or what makes them
    """The requests of a file, or what makes those of a seed."""
    if args.trace is None and args.workload not in (None, "poisson"):
        rate = {} if args.rate_per_s is None else {"rate_per_s": args.rate_per_s}
        return partial(
            api.generate_workload, args.workload, num_requests=args.num_requests, arrivals=rate
        )
    if args.trace is None:
        return partial(api.poisson_workload, from_args(PoissonTraffic, args))
    if args.workload is not None:
        msg = f"trace={args.trace} and workload={args.workload} exclude each other"
        raise SpecError(msg)
    with progress("requests read", None) as on_progress:
        requests = api.read_requests(args.trace, skip_bad=args.skip_bad, on_progress=on_progress)
    return requests if args.rate_per_s is None else requests.at_rate(args.rate_per_s)
