"""A simulated sweep on two Ray nodes of this machine, a worker killed in the middle.

Run as a process of its own by the test beside it: `python sweep_on_ray.py OUTPUT`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ray.cluster_utils import Cluster

import kvsim
from tests.processes import kill_a_worker

HOME = "127.0.0.1"
WORKER = "ray::run_points"


def main(output, grid):
    node = {"num_cpus": 1, "node_ip_address": HOME, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    killed = []

    def kill_one(_done):
        if not killed:
            killed.append(kill_a_worker(WORKER))

    table = kvsim.sweep(
        kvsim.sweep_grid(grid, simulate=True),
        backend="ray",
        address=cluster.address,
        output=output,
        on_progress=kill_one,
    )
    cluster.shutdown()
    sys.stdout.write(json.dumps({"killed": len(killed), "computed": table.num_computed}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
