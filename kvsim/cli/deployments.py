"""The flags that describe a deployment, and the deployment that they describe."""

import argparse

from kvsim import api
from kvsim.cli import flags
from kvsim.errors import SpecError
from kvsim.io.calibration import read_calibration
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.overheads import Interval, Overheads, exact
from kvsim.specs.parallel import Parallelism

SIZES = (
    ("--weights-bytes", "weights on one device, in place of the estimate"),
    ("--activation-peak-bytes", "activation peak that your log prints"),
    ("--non-torch-bytes", "non-torch memory that your log prints"),
    ("--cuda-graph-bytes", "graph memory that your log prints"),
    ("--free-memory", "memory free on each device before the engine starts"),
    ("--other-processes", "memory that other processes hold on each device"),
    ("--host-memory", "the machine's RAM; bounds devices that share it"),
    ("--weights-on-host", "weights of each device that stay in host memory"),
)


def add_deployment(parser: argparse.ArgumentParser) -> None:
    """The flags of a deployment whose budget is known."""
    parser.add_argument("--gpu", required=True, metavar="GPU", help="device, see `kvsim gpus`")
    add_on_device(parser)


def add_on_device(parser: argparse.ArgumentParser) -> None:
    """The flags of a deployment beside its device."""
    parser.add_argument(
        "--num-gpus",
        type=int,
        metavar="N",
        help="devices; alone it sets --tensor-parallel-size",
    )
    parser.add_argument(
        "--engine", default=EngineName.VLLM, metavar="ENGINE", help="serving engine (default: vllm)"
    )
    flags.add_fields(parser, Vllm, skip=set())
    flags.add_fields(parser, Parallelism, skip=set())
    for flag, doc in SIZES:
        parser.add_argument(flag, type=flags.size, metavar="SIZE", help=doc)
    parser.add_argument(
        "--calibration",
        type=flags.InputFile,
        metavar="FILE",
        help="figures measured on your machine: from `kvsim explain --write-calibration`",
    )


def deployment_from(args: argparse.Namespace, *, any_engine: bool = False) -> Deployment:
    """The deployment that the flags describe; the version is another engine's where one is asked.

    Raises:
        SpecError: for an engine without blocks, unless any will do, or an impossible setting.
    """
    is_vllm = args.engine == EngineName.VLLM
    if not is_vllm and not any_engine:
        msg = f"engine={args.engine[:40]} must be {EngineName.VLLM}: it alone has blocks here"
        raise SpecError(msg)
    parallel = flags.from_args(Parallelism, args)
    if args.num_gpus is not None:
        parallel = parallel.over(args.num_gpus)
    return Deployment(
        model=api.load_model(args.model),
        accelerator=api.accelerator(args.gpu),
        engine=flags.from_args(Vllm, args, skip=frozenset(() if is_vllm else ("engine_version",))),
        parallel=parallel,
        overheads=_overheads(args, parallel),
        free_bytes=args.free_memory,
        other_processes_bytes=args.other_processes,
        host_memory_bytes=args.host_memory,
        weights_on_host_bytes=args.weights_on_host or 0,
    )


def _overheads(args: argparse.Namespace, parallel: Parallelism) -> Overheads:
    """What the user states, and what a calibration file measured where they state nothing."""
    given = Overheads(
        weights_bytes=stated(args.weights_bytes),
        activation_peak_bytes=stated(args.activation_peak_bytes),
        non_torch_bytes=stated(args.non_torch_bytes),
        cuda_graph_bytes=stated(args.cuda_graph_bytes),
    )
    if args.calibration is None:
        return given
    return read_calibration(args.calibration).overheads_under(parallel, stated=given)


def stated(num_bytes: int | None) -> Interval | None:
    """A size that the user vouches for; None where none was given."""
    return None if num_bytes is None else exact(num_bytes, "stated by the user")
