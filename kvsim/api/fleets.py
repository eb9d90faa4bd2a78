"""Fleets and searches: io, sim and planner wired together."""

from kvsim.api.serving import simulate
from kvsim.io.commands import vllm_serve
from kvsim.io.overheads import overhead_model
from kvsim.planner import fleet
from kvsim.planner.fleet import Fleet, FleetQuestion
from kvsim.planner.plan import evaluate
from kvsim.sim.simulation import Simulation
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import EngineName
from kvsim.specs.hardware import Price
from kvsim.specs.limits import ServiceLimits
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.routing import Routing, RoutingPolicy
from kvsim.specs.step_table import StepTable
from kvsim.specs.workload import Workload


# long: a setting a line, each handed on by its name
def size_fleet(
    deployment: Deployment,
    workload: Workload,
    limits: ServiceLimits,
    *,
    routing: Routing | str = RoutingPolicy.ROUND_ROBIN,
    spare: int = 0,
    price: Price | None = None,
    retention_s: float | None = None,
    most_replicas: int = fleet.MOST_REPLICAS,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    efficiencies: Efficiencies | None = None,
    overheads: OverheadModel | None = None,
) -> Fleet:
    """The fewest replicas of a deployment that keep latency limits, simulated, and their price.

    With one replica fewer the same requests miss a limit; that run is in the answer too.

    Args:
        deployment: one replica.
        workload: all requests, at the rate that the fleet must bear.
        limits: at least one latency, and the share of requests that must keep it.
        routing: by what requests are sent to replicas.
        spare: replicas on top, for when some fail.
        price: of an hour of one device; None: the catalogue's, where it has one with its source.
        retention_s: seconds for which every cache is to be kept, for the host and disk tier.
        most_replicas: where to stop.
        step_time_s: seconds of every step; None means the roofline of the device, a lower bound.
        step_table: measured steps, in place of the roofline.
        efficiencies: shares of the device's stated speeds that were measured.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for an impossible number, or a request that no replica could serve.
        UnsupportedError: for a layout or a schedule that is not known.

    Example:
        >>> from kvsim import accelerator, generate_workload, load_model, Vllm
        >>> replica = Deployment(model=load_model("llama-3.1-8b"),
        ...     accelerator=accelerator("L4"), engine=Vllm(max_model_len=8192))
        >>> chat = generate_workload("chat", num_requests=60, arrivals={"rate_per_s": 4.0})
        >>> answer = size_fleet(replica, chat, ServiceLimits(slo_tpot_s=0.1), spare=1)
        >>> answer.replicas, answer.at_value.level.is_met
        (3, True)
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    rules = Routing.of(routing)
    question = FleetQuestion(
        evaluation=evaluate(deployment, coefficients, concurrent_requests=1),
        workload=workload,
        limits=limits,
        routing=rules,
        spare=spare,
        price=price or deployment.accelerator.price,
        retention_s=retention_s,
        most_replicas=most_replicas,
    )

    def serve(replicas: int) -> Simulation:
        return simulate(
            deployment,
            workload,
            replicas=replicas,
            routing=rules,
            step_time_s=step_time_s,
            step_table=step_table,
            efficiencies=efficiencies,
            overheads=coefficients,
        )

    return fleet.size_fleet(question, serve, command=vllm_serve(deployment))
