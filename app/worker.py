"""A process that does jobs, one after the other, so that the server's own stays free.

It says when it is ready, then reads pickled jobs from its standard input and writes pickled
messages: progress as two numbers, then the result, or the reason why there is none. It ends when
its input does, with the server.
"""

import os
import pickle
import sys
from typing import BinaryIO

import kvsim
from app.job import do
from app.search_job import SearchJob, find

READY = "ready"
"""A worker's first message: what is compiled once per machine is compiled."""

LESS_URGENT = 5
MEMORY_BYTES = 2 * kvsim.GiB
"""Address space of a worker: a file that unpacks to more ends it, and nothing else."""


def make_ready() -> None:
    """Load and compile what every simulation needs, before a job's time begins to count."""
    traffic = kvsim.PoissonTraffic(num_requests=1, prompt_tokens=16, output_tokens=2)
    engine = kvsim.Vllm(max_model_len=1024, num_gpu_blocks_override=128)
    kvsim.simulate_blocks(
        kvsim.load_model("llama-3.1-8b"), kvsim.poisson_workload(traffic), engine=engine
    )


def serve(jobs: BinaryIO, replies: BinaryIO) -> None:
    """Do jobs until there are no more."""

    def send(message: object) -> None:
        pickle.dump(message, replies)
        replies.flush()

    make_ready()
    send(READY)
    while True:
        try:
            job = pickle.load(jobs)
        except EOFError:
            return
        try:
            work = find if isinstance(job, SearchJob) else do
            send(work(job, lambda served, total: send((served, total))))
        except kvsim.KvsimError as error:
            send(error.words)


def _keep_small() -> None:
    """Let the server and its visitors go first; bound the memory where the system can."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - POSIX

        os.nice(LESS_URGENT)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


def main() -> None:
    """Serve on standard input and output; what anything prints goes to standard error."""
    _keep_small()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, replies)


if __name__ == "__main__":
    main()
