"""KV-cache memory planning: how much a model's cache takes, and what a deployment holds.

Each public name stands three times: where type checkers look, where it is loaded from when it is
first used, and in `__all__`, which they read as it stands.
"""

# long: a table of public names

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kvsim.analytic.answer_cost import AnswerCost, answer_costs
    from kvsim.analytic.cache import CacheBytes, CacheCurve, FormulaLine, context_lengths
    from kvsim.analytic.capacity import Cause, Verdict
    from kvsim.analytic.compute import decode_total_flops, uncached_total_flops
    from kvsim.analytic.explanation import ExplainedGroup
    from kvsim.analytic.grid import CacheGrid
    from kvsim.analytic.host_memory import HostMemory, host_memory
    from kvsim.analytic.memory_bar import MemoryBar, Segment, SegmentName
    from kvsim.analytic.quantized import quantized_cache_bytes
    from kvsim.analytic.token_notes import NoteStep, TokenNotes
    from kvsim.analytic.variants import AttentionVariant, VariantName
    from kvsim.api import (
        StreamListener,
        StreamOrder,
        accelerator,
        answer,
        attention_variants,
        bench_workload,
        cache_bytes,
        cache_bytes_grid,
        cache_curve,
        cache_formula,
        calibrate,
        check_claims,
        compare,
        compare_runs,
        explain_cache,
        explain_log,
        frontier,
        generate_workload,
        load_model,
        metrics_page,
        note_steps,
        over_seeds,
        paging,
        plan,
        plan_engine,
        plan_grid,
        poisson_workload,
        read_requests,
        retention,
        search,
        simulate,
        simulate_blocks,
        simulate_blocks_stream,
        simulate_seeds,
        simulate_stream,
        size_fleet,
        solve,
        summarize_workload,
        sweep,
        token_notes,
        waste,
        waste_study,
        write_metrics,
        write_table,
        write_timeline,
    )
    from kvsim.dtypes import CacheFormat, DType, cache_format, model_dtype
    from kvsim.engines.llama_cpp import LlamaCppLayout, llama_cpp_layout
    from kvsim.engines.llama_cpp_devices import (
        DeviceBytes,
        HostPools,
        Placement,
        cache_on_devices,
        host_pools,
        place_layers,
        weights_on_devices,
    )
    from kvsim.engines.ollama import llama_server_flags, ollama_layout
    from kvsim.engines.sglang import SglangLayout, sglang_layout
    from kvsim.engines.sglang_pools import SglangPools, sglang_pools
    from kvsim.engines.tensorrt_llm import TensorrtLlmLayout, tensorrt_llm_layout
    from kvsim.engines.tensorrt_llm_pools import TensorrtLlmPools, tensorrt_llm_pools
    from kvsim.engines.vllm_cache import VllmCache, vllm_cache
    from kvsim.engines.vllm_cache_config import VllmCacheConfig
    from kvsim.engines.vllm_costs import pool_cost, request_cost
    from kvsim.engines.vllm_layer_spec import vllm_layer_spec
    from kvsim.engines.vllm_layout import VllmLayout, vllm_layout
    from kvsim.engines.vllm_offload import OffloadCapacity, OffloadedGroup, vllm_offload
    from kvsim.errors import (
        CapacityError,
        FileError,
        KvsimError,
        MissingExtraError,
        MissingFieldError,
        SpecError,
        UnknownNameError,
        UnsupportedError,
        WorkerError,
    )
    from kvsim.io.bench import read_bench
    from kvsim.io.calibration import parse_calibration, read_calibration, write_calibration
    from kvsim.io.catalog import (
        CatalogModel,
        catalog_accelerators,
        catalog_models,
        search_accelerators,
        search_models,
    )
    from kvsim.io.commands import engine_commands, engine_line, parse_command, vllm_serve
    from kvsim.io.engine_logs import read_engine_log
    from kvsim.io.exports import SCHEMA_VERSION, report_csv, report_markdown
    from kvsim.io.gguf import parse_gguf
    from kvsim.io.hub import is_offline
    from kvsim.io.lengths import FittedTrace, fitted_trace, fitted_traces
    from kvsim.io.lessons import lessons
    from kvsim.io.metrics_page import parse_metrics, read_metrics
    from kvsim.io.metrics_traffic import measured_traffic
    from kvsim.io.models import hub_model, parse_config
    from kvsim.io.overheads import overhead_model
    from kvsim.io.prices import read_prices
    from kvsim.io.step_table import read_step_table, write_step_table
    from kvsim.io.sweep_files import read_sweep
    from kvsim.io.traces import read_trace, write_trace
    from kvsim.io.workloads import named_workload, named_workloads
    from kvsim.message import Message
    from kvsim.planner.advise import Fix, FixPair
    from kvsim.planner.answer import Plan
    from kvsim.planner.claims import Claim, ClaimName, ClaimVerdict
    from kvsim.planner.compare import (
        Comparison,
        Difference,
        FigureDifference,
        FigurePart,
        SettingChange,
    )
    from kvsim.planner.engine_plan import DeviceShare, EnginePlan, Judged
    from kvsim.planner.explained_log import ExplainedLog
    from kvsim.planner.fleet import Fleet, FleetCost, FleetRun
    from kvsim.planner.frontier import Frontier
    from kvsim.planner.log_change import Advice
    from kvsim.planner.paging import PagedRequest, Paging
    from kvsim.planner.plan_grid import PlanGrid
    from kvsim.planner.reconciliation import Check, Part
    from kvsim.planner.request_cost import RequestCost
    from kvsim.planner.retention_answer import (
        HistoryTransfer,
        RetentionStudy,
        RetentionWindow,
        TierBytes,
    )
    from kvsim.planner.run_comparison import Change, RunComparison
    from kvsim.planner.running_server import RunningServer
    from kvsim.planner.scenario_answer import Holding, ScenarioAnswer, UsdPerHour
    from kvsim.planner.search_candidate import SearchOutcome
    from kvsim.planner.search_result import Contender, SearchResult, Shortfall
    from kvsim.planner.seeds import SeededRuns, SeedSpread
    from kvsim.planner.serving_level import Level
    from kvsim.planner.solution import Binding, Side, Solution, Target
    from kvsim.planner.stage_memory import StageMemory
    from kvsim.planner.sweep_table import SweepTable
    from kvsim.planner.waste import MethodWaste, WasteReport
    from kvsim.planner.waste_study import StudyCell, WasteStudy
    from kvsim.planner.workload_summary import WorkloadSummary
    from kvsim.sim.block_map import (
        Block,
        BlockFrame,
        BlockMap,
        BlockMapRecorder,
        BlockState,
        FrameEvents,
    )
    from kvsim.sim.config import SchedulerConfig
    from kvsim.sim.contiguous import Reservation
    from kvsim.sim.contiguous_map import ContiguousFrame, ContiguousMap, Stay
    from kvsim.sim.disaggregated_run import DisaggregatedSimulation
    from kvsim.sim.histories import WindowReuse
    from kvsim.sim.metrics import PrefixCacheUse, Spread, Waste
    from kvsim.sim.points import TimelinePoint, timeline_points
    from kvsim.sim.prefix_reuse import PrefixReuse, prefix_reuse
    from kvsim.sim.records import RequestRecord, StepRecord
    from kvsim.sim.replicas import ReplicatedSimulation
    from kvsim.sim.request_arrays import RequestArrays
    from kvsim.sim.series import PreemptionSeries, RequestSeries, StepSeries
    from kvsim.sim.simulate import simulate_schedule
    from kvsim.sim.simulation import Simulation
    from kvsim.sim.streamed import StreamedSimulation
    from kvsim.sim.tiers import TierUse
    from kvsim.specs.attention import FullAttention, SlidingWindow
    from kvsim.specs.bench import BenchResult
    from kvsim.specs.calibration import Calibration
    from kvsim.specs.deployment import Deployment
    from kvsim.specs.digest import digest
    from kvsim.specs.disaggregation import Disaggregation
    from kvsim.specs.efficiencies import Efficiencies
    from kvsim.specs.engine import EngineName, UsageContext, Vllm
    from kvsim.specs.engine_log import EngineLog, LogEngine, Outcome
    from kvsim.specs.hardware import Accelerator, Price
    from kvsim.specs.latent import Indexer, LatentAttention, SlidingLatentAttention
    from kvsim.specs.launch import LaunchCommand
    from kvsim.specs.lengths import Lengths
    from kvsim.specs.lessons import FormatLoss, HeadScores, Lessons, TimedAnswer
    from kvsim.specs.limits import ServiceLimits
    from kvsim.specs.llama_cpp import FlashAttention, LlamaCpp, LlamaCppTraits, Ollama, Variant
    from kvsim.specs.metrics import MeasuredTraffic, MetricsPage
    from kvsim.specs.model import ModelSpec
    from kvsim.specs.offload import Offload
    from kvsim.specs.overheads import Coefficient, Interval, OverheadModel, Overheads, exact
    from kvsim.specs.paging_study import BatchTime
    from kvsim.specs.parallel import Parallelism
    from kvsim.specs.routing import Routing, RoutingPolicy
    from kvsim.specs.scenario import Scenario, command_scenario
    from kvsim.specs.sglang import Sglang
    from kvsim.specs.small_chat import SmallChat
    from kvsim.specs.state import RecurrentState
    from kvsim.specs.step_table import StepTable
    from kvsim.specs.sweep import SweepGrid, sweep_grid
    from kvsim.specs.tensorrt_llm import TensorrtLlm
    from kvsim.specs.tensors import Tensor, bytes_by_format
    from kvsim.specs.traffic import ArrivalProcess, Arrivals, PrefixLevel, Traffic
    from kvsim.specs.transformers import CacheImplementation, QuantizedBackend, Transformers
    from kvsim.specs.workload import PoissonTraffic, PromptSegment, Request, Workload
    from kvsim.units import GiB, format_bytes, format_gib, parse_bytes

__version__ = "0.1.0"

_HOMES = {
    "kvsim.planner.frontier": ("Frontier",),
    "kvsim.analytic.token_notes": ("NoteStep", "TokenNotes"),
    "kvsim.io.prices": ("read_prices",),
    "kvsim.planner.serving_level": ("Level",),
    "kvsim.planner.fleet": (
        "Fleet",
        "FleetCost",
        "FleetRun",
    ),
    "kvsim.io.lessons": ("lessons",),
    "kvsim.specs.lessons": (
        "FormatLoss",
        "HeadScores",
        "Lessons",
        "TimedAnswer",
    ),
    "kvsim.analytic.variants": (
        "AttentionVariant",
        "VariantName",
    ),
    "kvsim.analytic.answer_cost": (
        "AnswerCost",
        "answer_costs",
    ),
    "kvsim.planner.claims": (
        "Claim",
        "ClaimName",
        "ClaimVerdict",
    ),
    "kvsim.engines.vllm_layout": (
        "VllmLayout",
        "vllm_layout",
    ),
    "kvsim.engines.vllm_layer_spec": ("vllm_layer_spec",),
    "kvsim.engines.vllm_offload": ("OffloadCapacity", "OffloadedGroup", "vllm_offload"),
    "kvsim.engines.vllm_costs": (
        "pool_cost",
        "request_cost",
    ),
    "kvsim.engines.vllm_cache": ("VllmCache", "vllm_cache"),
    "kvsim.engines.vllm_cache_config": ("VllmCacheConfig",),
    "kvsim.analytic.cache": ("CacheBytes", "CacheCurve", "FormulaLine", "context_lengths"),
    "kvsim.analytic.capacity": ("Cause", "Verdict"),
    "kvsim.analytic.memory_bar": ("MemoryBar", "Segment", "SegmentName"),
    "kvsim.analytic.compute": ("decode_total_flops", "uncached_total_flops"),
    "kvsim.analytic.explanation": ("ExplainedGroup",),
    "kvsim.api": (
        "size_fleet",
        "accelerator",
        "answer",
        "attention_variants",
        "bench_workload",
        "cache_bytes",
        "cache_bytes_grid",
        "cache_curve",
        "cache_formula",
        "calibrate",
        "check_claims",
        "compare",
        "compare_runs",
        "explain_cache",
        "explain_log",
        "frontier",
        "generate_workload",
        "load_model",
        "metrics_page",
        "note_steps",
        "over_seeds",
        "paging",
        "plan",
        "plan_engine",
        "plan_grid",
        "poisson_workload",
        "read_requests",
        "retention",
        "search",
        "simulate",
        "simulate_blocks",
        "simulate_blocks_stream",
        "simulate_seeds",
        "simulate_seeds",
        "simulate_stream",
        "StreamListener",
        "StreamOrder",
        "solve",
        "summarize_workload",
        "token_notes",
        "sweep",
        "waste",
        "waste_study",
        "write_metrics",
        "write_table",
        "write_timeline",
    ),
    "kvsim.errors": (
        "CapacityError",
        "FileError",
        "KvsimError",
        "MissingExtraError",
        "MissingFieldError",
        "SpecError",
        "UnknownNameError",
        "UnsupportedError",
        "WorkerError",
    ),
    "kvsim.message": ("Message",),
    "kvsim.io.exports": ("SCHEMA_VERSION", "report_csv", "report_markdown"),
    "kvsim.io.catalog": (
        "CatalogModel",
        "catalog_accelerators",
        "catalog_models",
        "search_accelerators",
        "search_models",
    ),
    "kvsim.io.bench": ("read_bench",),
    "kvsim.io.step_table": ("read_step_table", "write_step_table"),
    "kvsim.specs.bench": ("BenchResult",),
    "kvsim.specs.efficiencies": ("Efficiencies",),
    "kvsim.specs.limits": ("ServiceLimits",),
    "kvsim.specs.step_table": ("StepTable",),
    "kvsim.io.metrics_page": ("parse_metrics", "read_metrics"),
    "kvsim.io.metrics_traffic": ("measured_traffic",),
    "kvsim.io.gguf": ("parse_gguf",),
    "kvsim.io.hub": ("is_offline",),
    "kvsim.io.models": ("hub_model", "parse_config"),
    "kvsim.io.sweep_files": ("read_sweep",),
    "kvsim.analytic.grid": ("CacheGrid",),
    "kvsim.planner.plan_grid": ("PlanGrid",),
    "kvsim.planner.sweep_table": ("SweepTable",),
    "kvsim.specs.sweep": ("SweepGrid", "sweep_grid"),
    "kvsim.io.traces": ("read_trace", "write_trace"),
    "kvsim.sim.config": ("SchedulerConfig",),
    "kvsim.sim.block_map": (
        "Block",
        "BlockFrame",
        "BlockMap",
        "BlockMapRecorder",
        "BlockState",
        "FrameEvents",
    ),
    "kvsim.sim.contiguous": ("Reservation",),
    "kvsim.sim.contiguous_map": ("ContiguousFrame", "ContiguousMap", "Stay"),
    "kvsim.planner.paging": ("PagedRequest", "Paging"),
    "kvsim.sim.histories": ("WindowReuse",),
    "kvsim.sim.metrics": ("PrefixCacheUse", "Spread", "Waste"),
    "kvsim.sim.records": ("RequestRecord", "StepRecord"),
    "kvsim.sim.request_arrays": ("RequestArrays",),
    "kvsim.sim.series": ("PreemptionSeries", "RequestSeries", "StepSeries"),
    "kvsim.sim.simulate": ("simulate_schedule",),
    "kvsim.sim.simulation": ("Simulation",),
    "kvsim.sim.streamed": ("StreamedSimulation",),
    "kvsim.specs.workload": ("PoissonTraffic", "PromptSegment", "Request", "Workload"),
    "kvsim.planner.advise": ("Fix", "FixPair"),
    "kvsim.planner.answer": ("Plan",),
    "kvsim.planner.search_candidate": ("SearchOutcome",),
    "kvsim.planner.search_result": ("Contender", "SearchResult", "Shortfall"),
    "kvsim.planner.seeds": ("SeedSpread", "SeededRuns"),
    "kvsim.planner.workload_summary": ("WorkloadSummary",),
    "kvsim.io.workloads": ("named_workload", "named_workloads"),
    "kvsim.sim.points": ("TimelinePoint", "timeline_points"),
    "kvsim.sim.prefix_reuse": ("PrefixReuse", "prefix_reuse"),
    "kvsim.specs.traffic": ("ArrivalProcess", "Arrivals", "PrefixLevel", "Traffic"),
    "kvsim.planner.solution": ("Binding", "Side", "Solution", "Target"),
    "kvsim.planner.waste_study": (
        "StudyCell",
        "WasteStudy",
    ),
    "kvsim.planner.waste": (
        "MethodWaste",
        "WasteReport",
    ),
    "kvsim.specs.deployment": ("Deployment",),
    "kvsim.specs.engine": ("EngineName", "UsageContext", "Vllm"),
    "kvsim.specs.hardware": (
        "Accelerator",
        "Price",
    ),
    "kvsim.specs.lengths": ("Lengths",),
    "kvsim.specs.metrics": ("MeasuredTraffic", "MetricsPage"),
    "kvsim.specs.model": ("ModelSpec",),
    "kvsim.specs.overheads": (
        "Coefficient",
        "Interval",
        "OverheadModel",
        "Overheads",
        "exact",
    ),
    "kvsim.specs.digest": ("digest",),
    "kvsim.specs.offload": ("Offload",),
    "kvsim.sim.tiers": ("TierUse",),
    "kvsim.specs.parallel": ("Parallelism",),
    "kvsim.specs.small_chat": ("SmallChat",),
    "kvsim.specs.routing": ("Routing", "RoutingPolicy"),
    "kvsim.specs.disaggregation": ("Disaggregation",),
    "kvsim.sim.disaggregated_run": ("DisaggregatedSimulation",),
    "kvsim.sim.replicas": ("ReplicatedSimulation",),
    "kvsim.specs.paging_study": ("BatchTime",),
    "kvsim.specs.transformers": ("CacheImplementation", "QuantizedBackend", "Transformers"),
    "kvsim.engines.llama_cpp": ("LlamaCppLayout", "llama_cpp_layout"),
    "kvsim.engines.llama_cpp_devices": (
        "DeviceBytes",
        "HostPools",
        "Placement",
        "cache_on_devices",
        "host_pools",
        "place_layers",
        "weights_on_devices",
    ),
    "kvsim.engines.ollama": ("llama_server_flags", "ollama_layout"),
    "kvsim.specs.llama_cpp": ("FlashAttention", "LlamaCpp", "LlamaCppTraits", "Ollama", "Variant"),
    "kvsim.specs.tensors": ("Tensor", "bytes_by_format"),
    "kvsim.units": ("GiB", "format_bytes", "format_gib", "parse_bytes"),
    "kvsim.analytic.quantized": ("quantized_cache_bytes",),
    "kvsim.dtypes": (
        "CacheFormat",
        "DType",
        "cache_format",
        "model_dtype",
    ),
    "kvsim.engines.sglang": (
        "SglangLayout",
        "sglang_layout",
    ),
    "kvsim.engines.sglang_pools": (
        "SglangPools",
        "sglang_pools",
    ),
    "kvsim.engines.tensorrt_llm": (
        "TensorrtLlmLayout",
        "tensorrt_llm_layout",
    ),
    "kvsim.engines.tensorrt_llm_pools": (
        "TensorrtLlmPools",
        "tensorrt_llm_pools",
    ),
    "kvsim.specs.attention": (
        "FullAttention",
        "SlidingWindow",
    ),
    "kvsim.specs.latent": (
        "Indexer",
        "LatentAttention",
        "SlidingLatentAttention",
    ),
    "kvsim.specs.state": ("RecurrentState",),
    "kvsim.specs.sglang": ("Sglang",),
    "kvsim.specs.tensorrt_llm": ("TensorrtLlm",),
    "kvsim.io.calibration": (
        "parse_calibration",
        "read_calibration",
        "write_calibration",
    ),
    "kvsim.specs.calibration": ("Calibration",),
    "kvsim.io.engine_logs": ("read_engine_log",),
    "kvsim.io.commands": ("engine_commands", "engine_line", "parse_command", "vllm_serve"),
    "kvsim.specs.launch": ("LaunchCommand",),
    "kvsim.planner.explained_log": ("ExplainedLog",),
    "kvsim.planner.log_change": ("Advice",),
    "kvsim.planner.reconciliation": ("Check", "Part"),
    "kvsim.planner.run_comparison": ("Change", "RunComparison"),
    "kvsim.planner.running_server": ("RunningServer",),
    "kvsim.specs.engine_log": (
        "EngineLog",
        "LogEngine",
        "Outcome",
    ),
    "kvsim.io.overheads": ("overhead_model",),
    "kvsim.io.lengths": (
        "FittedTrace",
        "fitted_trace",
        "fitted_traces",
    ),
    "kvsim.analytic.host_memory": (
        "HostMemory",
        "host_memory",
    ),
    "kvsim.planner.stage_memory": ("StageMemory",),
    "kvsim.planner.engine_plan": ("DeviceShare", "EnginePlan", "Judged"),
    "kvsim.planner.compare": (
        "Comparison",
        "Difference",
        "FigureDifference",
        "FigurePart",
        "SettingChange",
    ),
    "kvsim.planner.request_cost": ("RequestCost",),
    "kvsim.planner.retention_answer": (
        "HistoryTransfer",
        "RetentionStudy",
        "RetentionWindow",
        "TierBytes",
    ),
    "kvsim.planner.scenario_answer": ("Holding", "ScenarioAnswer", "UsdPerHour"),
    "kvsim.specs.scenario": ("Scenario", "command_scenario"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "SCHEMA_VERSION",
    "Accelerator",
    "Advice",
    "AnswerCost",
    "ArrivalProcess",
    "Arrivals",
    "AttentionVariant",
    "BatchTime",
    "BenchResult",
    "Binding",
    "Block",
    "BlockFrame",
    "BlockMap",
    "BlockMapRecorder",
    "BlockState",
    "CacheBytes",
    "CacheCurve",
    "CacheFormat",
    "CacheGrid",
    "CacheImplementation",
    "Calibration",
    "CapacityError",
    "CatalogModel",
    "Cause",
    "Change",
    "Check",
    "Claim",
    "ClaimName",
    "ClaimVerdict",
    "Coefficient",
    "Comparison",
    "Contender",
    "ContiguousFrame",
    "ContiguousMap",
    "DType",
    "Deployment",
    "DeviceBytes",
    "DeviceShare",
    "Difference",
    "DisaggregatedSimulation",
    "Disaggregation",
    "Efficiencies",
    "EngineLog",
    "EngineName",
    "EnginePlan",
    "ExplainedGroup",
    "ExplainedLog",
    "FigureDifference",
    "FigurePart",
    "FileError",
    "FittedTrace",
    "Fix",
    "FixPair",
    "FlashAttention",
    "Fleet",
    "FleetCost",
    "FleetRun",
    "FormatLoss",
    "FormulaLine",
    "FrameEvents",
    "Frontier",
    "FullAttention",
    "GiB",
    "HeadScores",
    "HistoryTransfer",
    "Holding",
    "HostMemory",
    "HostPools",
    "Indexer",
    "Interval",
    "Judged",
    "KvsimError",
    "LatentAttention",
    "LaunchCommand",
    "Lengths",
    "Lessons",
    "Level",
    "LlamaCpp",
    "LlamaCppLayout",
    "LlamaCppTraits",
    "LogEngine",
    "MeasuredTraffic",
    "MemoryBar",
    "Message",
    "MethodWaste",
    "MetricsPage",
    "MissingExtraError",
    "MissingFieldError",
    "ModelSpec",
    "NoteStep",
    "Offload",
    "OffloadCapacity",
    "OffloadedGroup",
    "Ollama",
    "Outcome",
    "OverheadModel",
    "Overheads",
    "PagedRequest",
    "Paging",
    "Parallelism",
    "Part",
    "Placement",
    "Plan",
    "PlanGrid",
    "PoissonTraffic",
    "PreemptionSeries",
    "PrefixCacheUse",
    "PrefixLevel",
    "PrefixReuse",
    "Price",
    "PromptSegment",
    "QuantizedBackend",
    "RecurrentState",
    "ReplicatedSimulation",
    "Request",
    "RequestArrays",
    "RequestCost",
    "RequestRecord",
    "RequestSeries",
    "Reservation",
    "RetentionStudy",
    "RetentionWindow",
    "Routing",
    "RoutingPolicy",
    "RunComparison",
    "RunningServer",
    "Scenario",
    "ScenarioAnswer",
    "SchedulerConfig",
    "SearchOutcome",
    "SearchResult",
    "SeedSpread",
    "SeededRuns",
    "Segment",
    "SegmentName",
    "ServiceLimits",
    "SettingChange",
    "Sglang",
    "SglangLayout",
    "SglangPools",
    "Shortfall",
    "Side",
    "Simulation",
    "SlidingLatentAttention",
    "SlidingWindow",
    "SmallChat",
    "Solution",
    "SpecError",
    "Spread",
    "StageMemory",
    "Stay",
    "StepRecord",
    "StepSeries",
    "StepTable",
    "StreamListener",
    "StreamOrder",
    "StreamedSimulation",
    "StudyCell",
    "SweepGrid",
    "SweepTable",
    "Target",
    "Tensor",
    "TensorrtLlm",
    "TensorrtLlmLayout",
    "TensorrtLlmPools",
    "TierBytes",
    "TierUse",
    "TimedAnswer",
    "TimelinePoint",
    "TokenNotes",
    "Traffic",
    "Transformers",
    "UnknownNameError",
    "UnsupportedError",
    "UsageContext",
    "UsdPerHour",
    "Variant",
    "VariantName",
    "Verdict",
    "Vllm",
    "VllmCache",
    "VllmCacheConfig",
    "VllmLayout",
    "Waste",
    "WasteReport",
    "WasteStudy",
    "WindowReuse",
    "WorkerError",
    "Workload",
    "WorkloadSummary",
    "accelerator",
    "answer",
    "answer_costs",
    "attention_variants",
    "bench_workload",
    "bytes_by_format",
    "cache_bytes",
    "cache_bytes_grid",
    "cache_curve",
    "cache_format",
    "cache_formula",
    "cache_on_devices",
    "calibrate",
    "catalog_accelerators",
    "catalog_models",
    "check_claims",
    "command_scenario",
    "compare",
    "compare_runs",
    "context_lengths",
    "decode_total_flops",
    "digest",
    "engine_commands",
    "engine_line",
    "exact",
    "explain_cache",
    "explain_log",
    "fitted_trace",
    "fitted_traces",
    "format_bytes",
    "format_gib",
    "frontier",
    "generate_workload",
    "host_memory",
    "host_pools",
    "hub_model",
    "is_offline",
    "lessons",
    "llama_cpp_layout",
    "llama_server_flags",
    "load_model",
    "measured_traffic",
    "metrics_page",
    "model_dtype",
    "named_workload",
    "named_workloads",
    "note_steps",
    "ollama_layout",
    "over_seeds",
    "overhead_model",
    "paging",
    "parse_bytes",
    "parse_calibration",
    "parse_command",
    "parse_config",
    "parse_gguf",
    "parse_metrics",
    "place_layers",
    "plan",
    "plan_engine",
    "plan_grid",
    "poisson_workload",
    "pool_cost",
    "prefix_reuse",
    "quantized_cache_bytes",
    "read_bench",
    "read_calibration",
    "read_engine_log",
    "read_metrics",
    "read_prices",
    "read_requests",
    "read_step_table",
    "read_sweep",
    "read_trace",
    "report_csv",
    "report_markdown",
    "request_cost",
    "retention",
    "search",
    "search_accelerators",
    "search_models",
    "sglang_layout",
    "sglang_pools",
    "simulate",
    "simulate_blocks",
    "simulate_blocks_stream",
    "simulate_schedule",
    "simulate_seeds",
    "simulate_stream",
    "size_fleet",
    "solve",
    "summarize_workload",
    "sweep",
    "sweep_grid",
    "tensorrt_llm_layout",
    "tensorrt_llm_pools",
    "timeline_points",
    "token_notes",
    "uncached_total_flops",
    "vllm_cache",
    "vllm_layer_spec",
    "vllm_layout",
    "vllm_offload",
    "vllm_serve",
    "waste",
    "waste_study",
    "weights_on_devices",
    "write_calibration",
    "write_metrics",
    "write_step_table",
    "write_table",
    "write_timeline",
    "write_trace",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import kvsim` stays fast."""
    if name not in _HOME_OF:
        msg = f"module 'kvsim' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*globals(), *_HOME_OF])
