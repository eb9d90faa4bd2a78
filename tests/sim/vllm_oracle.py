"""vLLM's own scheduler classes, driven without a model: what they do with a case, step by step.

A case is what the recorded schedules hold: settings, layers, requests.
"""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: its own scheduler is the oracle here")

import torch
from vllm.sampling_params import SamplingParams
from vllm.utils.hashing import sha256
from vllm.v1 import kv_cache_interface as interface
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.core.single_type_kv_cache_manager import register_all_kvcache_specs
from vllm.v1.outputs import DraftTokenIds, ModelRunnerOutput
from vllm.v1.request import Request

from kvsim.engines.vllm_groups import group_layers, resolve_block_sizes
from kvsim.specs.workload import FIRST_OUTPUT_SEGMENT, TOKENS_PER_SEGMENT

init_none_hash(sha256)
register_all_kvcache_specs(None)

STATE_FIELDS = ("num_speculative_blocks", "num_prefill_checkpoint_blocks")


def engine_spec(spec):
    """Our layer spec as vLLM's."""
    kind = type(spec).__name__
    if kind == "MambaSpec":
        return interface.MambaSpec(
            block_size=spec.block_size,
            shapes=spec.shapes,
            dtypes=tuple(torch.bfloat16 for _ in spec.dtypes),
            page_size_padded=spec.page_size_padded,
            mamba_cache_mode=str(spec.mamba_cache_mode),
            prefill_checkpoint_alignment=spec.prefill_checkpoint_alignment,
            **{name: getattr(spec, name) for name in STATE_FIELDS},
        )
    fields = {"dtype": torch.bfloat16, "num_kv_heads": spec.num_kv_heads}
    fields |= {"block_size": spec.block_size, "head_size": spec.head_size}
    for name in ("sliding_window", "attention_chunk_size"):
        if getattr(spec, name, None) is not None:
            fields[name] = getattr(spec, name)
    return getattr(interface, kind)(**fields)


# long: a setting of the engine a line
def engine_config(cache_config, config, num_gpu_blocks):
    """As much of vLLM's configuration as the scheduler reads; the rest answers to anything."""
    names = (
        "max_num_seqs",
        "max_num_active_seqs",
        "max_num_batched_tokens",
        "long_prefill_token_threshold",
        "long_prefill_token_threshold_adaptive",
        "watermark",
        "scheduler_reserve_full_isl",
        "enable_chunked_prefill",
        "async_scheduling",
    )
    drafts = config.num_speculative_tokens
    engine = MagicMock()
    engine.scheduler_config = SimpleNamespace(
        max_num_scheduled_tokens=None,
        policy=str(config.policy),
        **{name: getattr(config, name) for name in names},
    )
    engine.cache_config = SimpleNamespace(
        num_gpu_blocks=num_gpu_blocks,
        enable_prefix_caching=config.enable_prefix_caching,
        mamba_cache_mode=str(cache_config.mamba_cache_mode),
        block_size=cache_config.block_size,
        enable_mamba_shared_prefix_checkpoint=False,
    )
    engine.model_config = SimpleNamespace(
        max_model_len=config.max_model_len,
        runner_type="generate",
        **dict.fromkeys(
            ("uses_mrope", "is_encoder_decoder", "is_diffusion", "return_sampling_mask"), False
        ),
        supports_multimodal_inputs=False,
    )
    engine.parallel_config = SimpleNamespace(
        decode_context_parallel_size=cache_config.decode_context_parallel_size,
        prefill_context_parallel_size=1,
        pipeline_parallel_size=1,
        data_parallel_index=0,
    )
    engine.observability_config = SimpleNamespace(
        per_request_spec_decode_metrics="none",
        kv_cache_metrics=False,
        enable_mfu_metrics=False,
        enable_logging_iteration_details=False,
    )
    for name in ("lora", "kv_events", "kv_transfer", "ec_transfer", "speculative"):
        setattr(engine, f"{name}_config", None)
    if drafts:
        engine.speculative_config = SimpleNamespace(
            max_num_new_slots_for_drafting=0,
            num_speculative_tokens_per_batch_size=None,
            use_eagle=lambda: False,
            use_eagle_block_drop=lambda: False,
        )
    engine.is_mm_encoder_only = engine.aux_output_config.enabled = False
    engine.num_speculative_tokens = drafts
    engine.num_lookahead_tokens = config.lookahead_tokens
    engine.num_prefill_lookahead_tokens = 0
    engine.max_in_flight_tokens = cache_config.max_in_flight_tokens
    engine.max_concurrent_batches = cache_config.max_concurrent_batches
    engine.ec_manager_config.get_encoder_cache_manager_obj.return_value = None
    return engine


class Oracle:
    """A scheduler of vLLM's with a workload; `rows` are its steps under the record's columns."""

    def __init__(self, layers, cache_config, config, *, num_gpu_blocks, accept):
        groups = group_layers(layers, cache_config)
        sizes = resolve_block_sizes(groups, cache_config)
        kind = AsyncScheduler if config.async_scheduling else Scheduler
        self.scheduler = kind(
            engine_config(cache_config, config, num_gpu_blocks),
            interface.KVCacheConfig(
                num_blocks=num_gpu_blocks,
                kv_cache_tensors=[],
                kv_cache_groups=[
                    interface.KVCacheGroupSpec(
                        [str(layer) for layer in group.layers], engine_spec(group.spec)
                    )
                    for group in groups
                ],
                prefix_cache_retention_interval=config.prefix_cache_retention_interval,
            ),
            MagicMock(
                accept_tokens=lambda _, tokens: bool(tokens) or True,
                validate_tokens=lambda _, tokens: list(tokens),
            ),
            sizes.scheduler,
            sizes.hashing,
            log_stats=True,
        )
        self.config, self.accept = config, accept
        self.hasher = None
        if config.enable_prefix_caching:
            self.hasher = get_request_block_hasher(sizes.hashing, sha256)
        self.requests, self.segments, self.done = {}, {}, {}
        self.rows = []

    def run(self, requests, *, most_steps):
        """Serve the requests; False if they are not done after so many steps."""
        pending, under_way, now = list(enumerate(requests)), [], 0
        depth = 2 if self.config.async_scheduling else 1
        while len(self.done) < len(requests) and len(self.rows) < most_steps:
            if not self.scheduler.has_requests():
                now = max(now, pending[0][1][0])
            while pending and pending[0][1][0] <= now:
                self.add(*pending.pop(0))
            under_way.append(self.step(now))
            while len(under_way) >= depth:
                self.settle(*under_way.pop(0), now)
            now += 1
        return len(self.done) == len(requests)

    def add(self, index, row):
        tokens = [s * TOKENS_PER_SEGMENT + j for s, length in row[1] for j in range(length)]
        request = Request(
            request_id=str(index),
            prompt_token_ids=tokens,
            sampling_params=SamplingParams(max_tokens=row[2], ignore_eos=True),
            pooling_params=None,
            arrival_time=float(index),
            priority=row[3],
            block_hasher=self.hasher,
        )
        self.requests[str(index)] = request
        self.segments[str(index)] = row[4] if len(row) > 4 else FIRST_OUTPUT_SEGMENT + index
        self.scheduler.add_request(request)

    def step(self, now):
        """Schedule; what was scheduled, and who will have a token of it."""
        cache = self.scheduler.kv_cache_manager
        cache.make_prefix_cache_stats()  # reads and resets
        before = sum(r.num_preemptions for r in self.requests.values())
        output = self.scheduler.schedule()
        hits = cache.prefix_cache_stats
        running, waiting = self.scheduler.get_request_counts()
        pool = cache.block_pool
        self.rows.append(
            (
                now,
                running,
                waiting,
                pool.num_gpu_blocks - 1 - pool.get_num_free_blocks(),
                output.total_num_scheduled_tokens,
                sum(r.num_preemptions for r in self.requests.values()) - before,
                hits.hits,
                hits.preempted_hits,
            )
        )
        scheduled = output.num_scheduled_tokens
        return output, [name for name in scheduled if not self.requests[name].is_prefill_chunk]

    def settle(self, output, sampling, now):
        """Hand the scheduler the tokens that a model would have sampled."""
        names = list(output.num_scheduled_tokens)
        sampled = [self.sample(name, output) if name in sampling else [] for name in names]
        places = {name: i for i, name in enumerate(names)}
        result = ModelRunnerOutput(req_ids=names, req_id_to_index=places, sampled_token_ids=sampled)
        self.scheduler.update_from_output(output, result)
        for name in names:
            if self.requests[name].is_finished():
                self.done.setdefault(int(name), now)
        drafts = self.config.num_speculative_tokens
        if drafts and not self.config.async_scheduling:
            left = [name for name in sampling if not self.requests[name].is_finished()]
            self.scheduler.update_draft_token_ids(DraftTokenIds(left, [[0] * drafts for _ in left]))

    def sample(self, name, output):
        checked = output.scheduled_spec_decode_tokens.get(name, ())
        count = 1 + (self.accept(len(checked)) if checked else 0)
        start = self.requests[name].num_output_tokens
        first = self.segments[name] * TOKENS_PER_SEGMENT + start
        return list(range(first, first + count))
