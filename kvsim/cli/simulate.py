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
from kvsim.cli.flags import InputFile, OutputFile, add_fields, add_model, from_args, size
from kvsim.cli.progress import progress
from kvsim.cli.simulate_stream import add_stream, check_stream, run_stream
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
from kvsim.units import gigabytes

Json = dict[str, Any]

MAX_SEEDS = 1000

TABLES = ("requests", "steps", "preemptions")
"""Records of a run that can be written; the first under the shortest flag."""


def add_simulate(parser: argparse.ArgumentParser) -> None:
    """The flags of `kvsim simulate`."""
    add_model(parser)
    parser.add_argument("--gpu", metavar="GPU", help="device, see `kvsim gpus`")
    parser.add_argument("--num-gpus", type=int, metavar="N", help="devices of one replica")
    parser.add_argument(
        "--num-gpu-blocks",
        dest="num_gpu_blocks_override",
        type=int,
        metavar="N",
        help="blocks of the pool, instead of a device's memory",
    )
    _add_traffic(parser)
    add_stream(parser)
    _add_service(parser)
    _add_outputs(parser)
    add_fields(parser, Offload, skip=set())
    add_fields(parser, Routing, skip=set())
    _add_pools(parser)
    add_fields(parser, Vllm, skip={"num_gpu_blocks_override"})
    add_fields(parser, Parallelism, skip=set())
    parser.add_argument(
        "--weights-bytes",
        type=size,
        metavar="SIZE",
        help="weights on one device, in place of the estimate",
    )


def _add_traffic(parser: argparse.ArgumentParser) -> None:
    """Which requests come, and when."""
    parser.add_argument(
        "--trace", type=InputFile, metavar="FILE", help="requests from a file, plain or .gz"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="count malformed lines, do not stop at them"
    )
    parser.add_argument(
        "--workload",
        metavar="NAME",
        help="poisson (default without --trace), or a named one, see `kvsim workload`",
    )
    parser.add_argument(
        "--rate",
        dest="rate_per_s",
        type=float,
        metavar="R",
        help="requests per second; a trace is stretched to it",
    )
    add_fields(parser, PoissonTraffic, skip={"rate_per_s"})
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="of all that is by chance (default: 0)"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="runs, with as many seeds from --seed on, for confidence intervals (default: 1)",
    )


def _add_service(parser: argparse.ArgumentParser) -> None:
    """How a step is made, how long it takes, and what was promised."""
    parser.add_argument(
        "--step-time",
        type=InputFile,
        metavar="SECONDS|FILE",
        help="of every step, or a file of `kvsim calibrate`, instead of the device's roofline",
    )
    add_fields(parser, Efficiencies, skip=set())
    add_fields(parser, ServiceLimits, skip=set())
    parser.add_argument(
        "--acceptance-rate",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="chance that a drafted token is right (default: 0)",
    )
    parser.add_argument(
        "--watermark",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="blocks that stay free when a request is admitted beside others (default: 0)",
    )
    parser.add_argument(
        "--scheduler",
        choices=("auto", "compiled", "reference"),
        default="auto",
        help="what serves the requests; auto is the compiled twin where it covers the run",
    )


def _add_pools(parser: argparse.ArgumentParser) -> None:
    """Two pools of replicas, and the link between them."""
    add_fields(parser, Disaggregation, skip={"transfer_bytes_per_s"})
    parser.set_defaults(**dict.fromkeys((f.name for f in fields(Disaggregation)), None))
    parser.add_argument(
        "--transfer-bandwidth",
        dest="transfer_bytes_per_s",
        type=gigabytes,
        metavar="GB/s",
        help="10^9 bytes per second between two replicas; default: transfers are free",
    )


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


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Files to write, and what is printed."""
    parser.add_argument(
        "--reproducible",
        action="store_true",
        help="leave the run's own speed out: equal inputs then give equal bytes",
    )
    for name in TABLES:
        flag = "--output" if name == TABLES[0] else f"--output-{name}"
        parser.add_argument(
            flag,
            dest=f"output_{name}",
            type=OutputFile,
            metavar="FILE",
            help=f"write a row for each of the {name}: .json, .csv or .parquet",
        )
    parser.add_argument(
        "--trace-out",
        type=OutputFile,
        metavar="FILE",
        help="write the run as a trace for Perfetto or Chrome: .json",
    )
    parser.add_argument(
        "--metrics-out",
        nargs="+",
        default=[],
        type=OutputFile,
        metavar="FILE",
        help="the metrics page at the end of the run; of two files, the first is that at its start",
    )


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
    outputs = _checked(args)
    limits = from_args(ServiceLimits, args)
    clock = Clock()
    if args.stream is not None:
        return run_stream(args, clock, step_time_from)
    serve = _served(args, clock)
    results: list[Json] = []
    for seed in range(args.seed, args.seed + args.seeds):
        workload = _workload(args, seed)
        with progress("requests", len(workload)) as on_progress:
            done = serve(workload, seed=seed, on_progress=on_progress)
            cpu_s = None if args.reproducible else clock.cpu_s
        if seed == args.seed:
            _write(done, args, outputs)
        results.append(done.as_dict(cpu_s=cpu_s) | {"workload": workload.source})
        if not limits.is_open:
            results[-1]["goodput"] = done.goodput(limits).as_dict()
        if done.interrupted:
            return results[0] | {"interrupted": True}
    result = dict(results[0])
    if args.seeds > 1:
        result["over_seeds"] = api.over_seeds(results, first_seed=args.seed).as_dict()
    if not limits.is_open:
        result["fits"] = all(run["goodput"]["met"] for run in results)
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


def _served(args: argparse.Namespace, clock: Clock) -> Callable[..., Any]:
    """The library's function that serves a workload as the flags say."""
    model, efficiencies = api.load_model(args.model), from_args(Efficiencies, args)
    engine, parallel = from_args(Vllm, args), from_args(Parallelism, args)
    if args.num_gpus is not None:
        parallel = parallel.over(args.num_gpus)
    chance: Json = {
        "acceptance_rate": args.acceptance_rate,
        "scheduler": args.scheduler,
        "keep_partial": True,
        "notify": partial(print, file=sys.stderr),
        "on_start": clock.start,
        "offload": from_args(Offload, args),
        "routing": from_args(Routing, args),
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


def _workload(args: argparse.Namespace, seed: int) -> Any:  # noqa: ANN401 - requests, or their columns
    if args.trace is None and args.workload not in (None, "poisson"):
        rate = {} if args.rate_per_s is None else {"rate_per_s": args.rate_per_s}
        return api.generate_workload(
            args.workload, num_requests=args.num_requests, seed=seed, arrivals=rate
        )
    if args.trace is None:
        return api.poisson_workload(from_args(PoissonTraffic, args), seed=seed)
    if args.workload is not None:
        msg = f"trace={args.trace} and workload={args.workload} exclude each other"
        raise SpecError(msg)
    with progress("requests read", None) as on_progress:
        requests = api.read_requests(args.trace, skip_bad=args.skip_bad, on_progress=on_progress)
    return requests if args.rate_per_s is None else requests.at_rate(args.rate_per_s)
