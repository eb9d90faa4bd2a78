"""Inputs of page Simulate, their names in a link."""

from app.fields import Field, Kind
from app.traffic import (
    AUTO,
    GENERATED,
    MAX_REQUESTS,
    MAX_TOKENS,
    arrival_options,
    workload_options,
)

MAX_SEEDS = 20
MAX_LINK = 4000
"""Characters of a link within a link."""

SOURCE = (
    Field(name="workload", kind=Kind.CHOICE, default=GENERATED, options=workload_options),
    Field(name="num_requests", kind=Kind.COUNT, default=200, step=100, most=MAX_REQUESTS),
)
CHANCE = (
    Field(name="seed", kind=Kind.COUNT, default=0, least=0),
    Field(name="seeds", kind=Kind.COUNT, default=5, most=MAX_SEEDS),
)
GENERATED_FIELDS = (
    Field(name="rate_per_s", kind=Kind.RATE, default=8.0, empty="all_at_once"),
    Field(name="prompt_tokens", kind=Kind.COUNT, default=1000, step=100, most=MAX_TOKENS),
    Field(
        name="prompt_tokens_std", kind=Kind.COUNT, default=200, step=50, least=0, most=MAX_TOKENS
    ),
    Field(name="output_tokens", kind=Kind.COUNT, default=250, step=50, most=MAX_TOKENS),
    Field(name="output_tokens_std", kind=Kind.COUNT, default=50, step=10, least=0, most=MAX_TOKENS),
)
PACE = Field(name="pace_per_s", kind=Kind.RATE, default=None, empty="as_described")
"""Requests per second of a named workload or a trace."""

ARRIVALS = Field(name="arrivals", kind=Kind.CHOICE, default=AUTO, options=arrival_options)
BURSTS = Field(name="variation", kind=Kind.AMOUNT, default=2.0)
CLOSED = (
    Field(name="num_users", kind=Kind.COUNT, default=16, most=MAX_REQUESTS),
    Field(name="think_time_s", kind=Kind.AMOUNT, default=30.0),
)
TRAFFIC = (*SOURCE, *CHANCE, *GENERATED_FIELDS, PACE, ARRIVALS, BURSTS, *CLOSED)

GOALS = (
    Field(name="slo_ttft_s", kind=Kind.AMOUNT, default=None, empty="no_goal"),
    Field(name="slo_tpot_s", kind=Kind.AMOUNT, default=None, empty="no_goal"),
    Field(name="slo_itl_s", kind=Kind.AMOUNT, default=None, empty="no_goal"),
    Field(name="slo_e2e_s", kind=Kind.AMOUNT, default=None, empty="no_goal"),
    Field(name="slo_share", kind=Kind.SHARE, default=0.99),
    Field(name="kv_offloading_gib", kind=Kind.SIZE, default=None, empty="no_offload"),
    Field(name="offload_gib_per_s", kind=Kind.AMOUNT, default=None, empty="free_transfers"),
)
BASELINE = Field(
    name="baseline", kind=Kind.SAVED, default=None, accepts=lambda link: len(link) <= MAX_LINK
)
"""The inputs of the run that the present one is compared with."""

RUN_FIELDS = (*TRAFFIC, *GOALS, BASELINE)
