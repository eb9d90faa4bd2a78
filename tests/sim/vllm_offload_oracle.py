"""vLLM's own offloading connector in its own scheduler: transfers end a second after they begin."""

from types import SimpleNamespace
from unittest.mock import MagicMock

from vllm.distributed.kv_transfer.kv_connector.v1.offloading.common import OffloadingWorkerMetadata
from vllm.distributed.kv_transfer.kv_connector.v1.offloading.scheduler import (
    OffloadingConnectorScheduler,
)
from vllm.distributed.kv_transfer.kv_connector.v1.offloading_connector import OffloadingConnector
from vllm.v1.kv_offload.config import OffloadingGroupConfig
from vllm.v1.kv_offload.cpu.manager import CPUOffloadingManager
from vllm.v1.metrics.stats import PrefixCacheStats
from vllm.v1.outputs import KVConnectorOutput, ModelRunnerOutput

from kvsim.engines.vllm_groups import group_layers, resolve_block_sizes
from tests.sim.vllm_oracle import Oracle


class CountingManager(CPUOffloadingManager):
    """vLLM's host tier, and how many chunks it evicted."""

    num_evicted = 0

    def prepare_store(self, keys, req_context):
        output = super().prepare_store(keys, req_context)
        self.num_evicted += len(output.evicted_keys) if output else 0
        return output


class OffloadOracle(Oracle):
    """The oracle with a host tier; `loaded` says up to where each request's prefix was, at last."""

    def __init__(self, layers, cache_config, config, *, num_gpu_blocks, num_chunks, accept):
        super().__init__(layers, cache_config, config, num_gpu_blocks=num_gpu_blocks, accept=accept)
        groups = group_layers(layers, cache_config)
        sizes = [group.spec.tokens_per_block(cache_config) for group in groups]
        self.manager = CountingManager(num_chunks=num_chunks)
        spec = SimpleNamespace(
            config=SimpleNamespace(
                groups=[
                    OffloadingGroupConfig(group_id=i, tokens_per_block=size, layer_names=(str(i),))
                    for i, size in enumerate(sizes)
                ]
            ),
            blocks_per_chunk=1,
            tokens_per_block=tuple(sizes),
            tokens_per_hash=resolve_block_sizes(groups, cache_config).hashing,
            offload_prompt_only=True,
            kv_events_config=SimpleNamespace(
                enable_kv_cache_events=False, self_describing_kv_events=False
            ),
            get_manager=lambda: self.manager,
        )
        engine = MagicMock()
        engine.cache_config.enable_prefix_caching = config.enable_prefix_caching
        engine.cache_config.prefix_cache_retention_interval = config.prefix_cache_retention_interval
        engine.speculative_config = None
        engine.parallel_config.world_size = 1
        engine.parallel_config.decode_context_parallel_size = 1
        connector = object.__new__(OffloadingConnector)
        connector._kv_transfer_config = connector._connector_metadata = None
        connector.connector_worker = None
        connector.connector_scheduler = OffloadingConnectorScheduler(
            spec, engine, self.scheduler.kv_cache_config
        )
        connector._kv_cache_config = self.scheduler.kv_cache_config
        self.scheduler.connector = connector
        self.scheduler.connector_prefix_cache_stats = PrefixCacheStats()
        self.scheduler.requires_kv_delivery = False
        self.stores, self.loaded = {}, {}

    def step(self, now):
        output, sampling = super().step(now)
        self.metadata = output.kv_connector_metadata
        for job in self.metadata.load_jobs.values():
            request = self.requests[job.req_id]
            if not request.num_preemptions:
                self.loaded.setdefault(int(job.req_id), request.num_computed_tokens)
        return output, sampling

    def settle(self, output, sampling, now):
        names = list(output.num_scheduled_tokens)
        sampled = [self.sample(name, output) if name in sampling else [] for name in names]
        places = {name: i for i, name in enumerate(names)}
        metadata = output.kv_connector_metadata
        ended = dict.fromkeys(self.stores, 1)
        self.stores = metadata.store_jobs
        ended |= dict.fromkeys(metadata.load_jobs, 1)
        worker = OffloadingWorkerMetadata()
        worker.completed_jobs = ended
        transfers = KVConnectorOutput(
            finished_recving={job.req_id for job in metadata.load_jobs.values()},
            kv_connector_worker_meta=worker,
        )
        result = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index=places,
            sampled_token_ids=sampled,
            kv_connector_output=transfers,
        )
        self.scheduler.update_from_output(output, result)
        for name in names:
            if self.requests[name].is_finished():
                self.done.setdefault(int(name), now)
