"""Flags of commands that put traffic to deployments."""

import argparse

from kvsim import api
from kvsim.cli.flags import InputFile
from kvsim.errors import SpecError
from kvsim.io.traces import read_trace
from kvsim.specs.workload import Workload

DEFAULT_REQUESTS = 1000


def add_traffic(parser: argparse.ArgumentParser) -> None:
    """Which requests come, and how fast."""
    parser.add_argument("--workload", metavar="NAME", help="named, see `kvsim workload`")
    parser.add_argument(
        "--trace", type=InputFile, metavar="FILE", help="requests from a file, plain or .gz"
    )
    parser.add_argument(
        "--rate",
        dest="rate_per_s",
        type=float,
        metavar="R",
        help="requests per second of all replicas; a trace is stretched to it",
    )
    parser.add_argument(
        "--num-requests",
        type=int,
        metavar="N",
        help=f"requests to generate (default: {DEFAULT_REQUESTS})",
    )
    parser.add_argument(
        "--seed", type=int, metavar="S", help="of all that is by chance (default: 0)"
    )


def traffic_from(args: argparse.Namespace) -> Workload:
    """The requests that the flags describe.

    Raises:
        SpecError: for both sources or none, or a number that the source does not take.
    """
    if (args.trace is None) == (args.workload is None):
        msg = "one of --workload NAME and --trace FILE must be given"
        raise SpecError(msg)
    if args.trace is None:
        rate = {} if args.rate_per_s is None else {"rate_per_s": args.rate_per_s}
        count = DEFAULT_REQUESTS if args.num_requests is None else args.num_requests
        return api.generate_workload(
            args.workload, num_requests=count, seed=args.seed or 0, arrivals=rate
        )
    for name in ("num_requests", "seed"):
        if getattr(args, name) is not None:
            msg = f"{name}={getattr(args, name)} is of generated requests: leave it or trace out"
            raise SpecError(msg)
    requests = read_trace(args.trace)
    return requests if args.rate_per_s is None else requests.at_rate(args.rate_per_s)
