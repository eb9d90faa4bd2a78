"""Histories between turns: io, sim and planner wired together."""

from collections.abc import Sequence

from kvsim.api.serving import simulate
from kvsim.io.overheads import overhead_model
from kvsim.planner.plan import evaluate
from kvsim.planner.retention import Prices, RetentionQuestion, study_retention
from kvsim.planner.retention_answer import RetentionStudy
from kvsim.sim.simulation import Simulation
from kvsim.specs.deployment import Deployment
from kvsim.specs.efficiencies import Efficiencies
from kvsim.specs.engine import EngineName
from kvsim.specs.hardware import Price
from kvsim.specs.offload import Offload
from kvsim.specs.overheads import OverheadModel
from kvsim.specs.step_table import StepTable
from kvsim.specs.workload import Workload


# long: a setting a line, each handed on by its name
def retention(
    deployment: Deployment,
    workload: Workload,
    *,
    window_s: float | Sequence[float],
    offload: Offload | None = None,
    price: Price | None = None,
    host_usd_per_gib_month: float | None = None,
    disk_usd_per_gib_month: float | None = None,
    step_time_s: float | None = None,
    step_table: StepTable | None = None,
    efficiencies: Efficiencies | None = None,
    overheads: OverheadModel | None = None,
) -> RetentionStudy:
    """What keeping users' histories between turns takes in each tier, costs, and saves.

    A simulation says when answers end and how much of the pool stays free. Histories go to the
    device first, then to `deployment.host_memory_bytes`, then to `offload.disk_bytes`; a tier
    whose size is not stated takes the rest.

    Args:
        deployment: one replica.
        workload: its requests; later turns say which earlier tokens they repeat.
        window_s: seconds, or several, for which a history is kept after its last use.
        offload: speeds of the tiers below the device, and the disk's size.
        price: of an hour of one device; None: the catalogue's, where it has one with its source.
        host_usd_per_gib_month: price of host memory; None: no cost is given.
        disk_usd_per_gib_month: price of disk; None: no cost is given.
        step_time_s: seconds of every step; None means the roofline of the device, a lower bound.
        step_table: measured steps, in place of the roofline.
        efficiencies: shares of the device's stated speeds that were measured.
        overheads: coefficients of the engine's overheads; None means those shipped.

    Raises:
        CapacityError: if one request of `max_model_len` does not fit: the engine would not start.
        SpecError: for an impossible number, or requests that have no rate.
        UnsupportedError: for a layout, a schedule or an offload that is not known.

    Example:
        >>> from kvsim import accelerator, generate_workload, load_model, Vllm
        >>> replica = Deployment(model=load_model("llama-3.1-8b"),
        ...     accelerator=accelerator("L4"), engine=Vllm(max_model_len=8192))
        >>> chat = generate_workload("chat", num_requests=60, arrivals={"rate_per_s": 0.5})
        >>> never, minute = retention(replica, chat, window_s=(0, 60), step_time_s=0.05).windows
        >>> never.steady_bytes, minute.steady_bytes > 0
        (0, True)
    """
    coefficients = overheads or overhead_model(EngineName.VLLM, deployment.engine.engine_version)
    question = RetentionQuestion(
        evaluation=evaluate(deployment, coefficients, concurrent_requests=1),
        workload=workload,
        windows_s=(window_s,) if isinstance(window_s, int | float) else tuple(window_s),
        tiers=offload or Offload(),
        prices=Prices(
            gpu=price or deployment.accelerator.price,
            host_usd_per_gib_month=host_usd_per_gib_month,
            disk_usd_per_gib_month=disk_usd_per_gib_month,
        ),
    )

    def serve(requests: Workload) -> Simulation:
        return simulate(
            deployment,
            requests,
            step_time_s=step_time_s,
            step_table=step_table,
            efficiencies=efficiencies,
            overheads=coefficients,
        )

    return study_retention(question, serve)
