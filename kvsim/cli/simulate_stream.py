"""`kvsim simulate --stream FOLDER`: a trace of any length, stopped and resumed at will."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from kvsim import api
from kvsim.cli.deployments import stated
from kvsim.cli.flags import OutputFile, from_args
from kvsim.cli.progress import progress
from kvsim.errors import SpecError
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import Vllm
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import Overheads
from kvsim.specs.parallel import Parallelism
from kvsim.specs.routing import Routing

Json = dict[str, Any]

NOT_STREAMED = (
    *("workload", "rate_per_s", "output_steps", "output_preemptions", "trace_out"),
    *("metrics_out", "acceptance_rate", "prefill_replicas", "decode_replicas"),
)
"""What a stream does not take: it reads a trace as it is, and keeps no records but requests."""


def add_stream(parser: argparse.ArgumentParser) -> None:
    """The flags of a stream."""
    parser.add_argument(
        "--stream",
        type=OutputFile,
        metavar="FOLDER",
        help="serve the --trace window by window; what is done is kept there, and gone on from",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with the --stream, do not start one"
    )


def check_stream(args: argparse.Namespace) -> None:
    """SpecError for flags that a stream does not take, or that only a stream takes."""
    if args.stream is None:
        if args.resume:
            msg = "resume must come with --stream FOLDER: a run at once keeps no state"
            raise SpecError(msg)
        return
    if args.trace is None:
        msg = f"stream={args.stream} must come with --trace FILE"
        raise SpecError(msg)
    given = [name for name in NOT_STREAMED if getattr(args, name)]
    given += ["scheduler"] if args.scheduler == "reference" else []
    given += ["seeds"] if args.seeds > 1 else []
    given += ["workers"] if args.workers is not None else []
    given += ["offload"] if from_args(Offload, args) != Offload() else []
    given += ["routing"] if from_args(Routing, args) != Routing() else []
    if given:
        msg = f"stream={args.stream}: {given[0]} must be left out of a stream"
        raise SpecError(msg)


def run_stream(
    args: argparse.Namespace,
    clock: Any,  # noqa: ANN401 - of the module that calls
    step_time: Callable[[str | None], Json],
) -> Json:
    """The figures of the stream, by whichever runs it was served.

    Args:
        args: all flags.
        clock: counts CPU seconds.
        step_time: reads what `--step-time` says.
    """
    limits = from_args(ServiceLimits, args)
    order = api.StreamOrder(
        trace=args.trace,
        folder=args.stream,
        skip_bad=args.skip_bad,
        resume=args.resume,
        output=args.output_requests,
        limits=limits,
    )
    with progress("requests", None) as on_progress:
        listener = api.StreamListener(
            keep_partial=True,
            on_progress=on_progress,
            notify=partial(print, file=sys.stderr),
            on_start=clock.start,
        )
        given = {"listener": listener, "watermark": args.watermark, **step_time(args.step_time)}
        done = _serve(args, order, given)
    result: Json = done.as_dict(cpu_s=clock.cpu_s)
    result["workload"] = f"{Path(args.trace).name}, streamed"
    if done.goodput is not None:
        result["goodput"] = done.goodput.as_dict()
        result["fits"] = done.goodput.is_met
    return result


def _serve(args: argparse.Namespace, order: Any, given: Json) -> Any:  # noqa: ANN401 - lazy
    model, efficiencies = api.load_model(args.model), from_args(Efficiencies, args)
    engine, parallel = from_args(Vllm, args), from_args(Parallelism, args)
    if args.num_gpus is not None:
        parallel = parallel.over(args.num_gpus)
    if args.gpu is None:
        if not efficiencies.are_absent:
            msg = f"gpu=None must be given where {efficiencies.text} is stated"
            raise SpecError(msg)
        return api.simulate_blocks_stream(model, order, engine=engine, parallel=parallel, **given)
    deployment = Deployment(
        model=model,
        accelerator=api.accelerator(args.gpu),
        engine=engine,
        parallel=parallel,
        overheads=Overheads(weights_bytes=stated(args.weights_bytes)),
    )
    return api.simulate_stream(deployment, order, efficiencies=efficiencies, **given)
