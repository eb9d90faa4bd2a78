"""The flags of `kvsim simulate`: the traffic, the service, the pools and the files to write."""

import argparse
from dataclasses import fields

from kvsim.cli.flags import InputFile, OutputFile, add_fields, add_model, size
from kvsim.cli.simulate_stream import add_stream
from kvsim.specs.disaggregation import Disaggregation
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import Vllm
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.offload import Offload
from kvsim.specs.parallel import Parallelism
from kvsim.specs.routing import Routing
from kvsim.specs.workload import PoissonTraffic
from kvsim.units import gigabytes

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
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes for the --seeds (default: the machine's cores where that is faster)",
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


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Files to write, and what is printed."""
    parser.add_argument(
        "--reproducible",
        action="store_true",
        help="leave out how fast it ran, and by which scheduler: equal inputs give equal bytes",
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
