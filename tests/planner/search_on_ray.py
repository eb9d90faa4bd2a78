"""A search on two Ray nodes of this machine, its JSON on standard output.

Run as a process of its own by the test beside it: `python search_on_ray.py`.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from ray.cluster_utils import Cluster

from tests.planner.test_search import drawn

HOME = "127.0.0.1"


def main():
    node = {"num_cpus": 1, "node_ip_address": HOME, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    found = drawn(backend="ray", address=cluster.address, num_workers=None)
    cluster.shutdown()
    sys.stdout.write(json.dumps(found.as_dict()) + "\n")


if __name__ == "__main__":
    main()
