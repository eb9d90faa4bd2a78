"""Weights of what mixes tokens: attention, indexer, compressor and recurrent projections."""

from math import isqrt

from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.sizes import Sizes
from kvsim.specs.attention import CacheBehaviour, CrossAttention, FullAttention, SharedCache
from kvsim.specs.latent import CompressedAttention, Indexer, LatentAttention
from kvsim.specs.model import Layer, Shard, WeightGroup
from kvsim.specs.state import RecurrentState

GATED_QUERY = frozenset(("qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen4_exp"))
"""Families whose query projection carries an output gate of the same width."""


def mixer_groups(f: Fields, sizes: Sizes, layers: tuple[Layer, ...]) -> list[WeightGroup]:
    """Projections of every attention, indexer and recurrent mixer; equal ones together."""
    holders: dict[CacheBehaviour, list[int]] = {}
    for i, layer in enumerate(layers):
        for behaviour in layer:
            holders.setdefault(behaviour, []).append(i)
    groups: list[WeightGroup] = []
    for behaviour, indices in holders.items():
        mixer = behaviour.attention if isinstance(behaviour, SharedCache) else behaviour
        weigh = _Weigher(f, sizes, tuple(indices))
        groups += weigh(mixer, borrows_keys=isinstance(behaviour, SharedCache))
    return groups


class _Weigher:
    """Weighs one mixer in the layers that hold it."""

    def __init__(self, f: Fields, sizes: Sizes, layers: tuple[int, ...]) -> None:
        self._f = f
        self._sizes = sizes
        self._layers = layers

    def __call__(self, mixer: CacheBehaviour, *, borrows_keys: bool) -> list[WeightGroup]:
        if isinstance(mixer, FullAttention):
            return self._full(mixer, borrows_keys=borrows_keys)
        if isinstance(mixer, LatentAttention):
            return self._shared_key(mixer) if self._is_shared_key(mixer) else self._latent(mixer)
        if isinstance(mixer, CompressedAttention):
            return [self._group("attention", self._compressor(mixer), Shard.REPLICATED)]
        if isinstance(mixer, Indexer):
            return [self._group("indexer", self._indexer(mixer), Shard.REPLICATED)]
        if isinstance(mixer, RecurrentState):
            return [self._group("recurrent mixer", _recurrent(self._f, self._sizes, mixer))]
        return []

    def _group(
        self,
        name: str,
        params: int,
        shard: Shard = Shard.TENSOR,
        *,
        pieces: tuple[int, ...] = (),
    ) -> WeightGroup:
        return WeightGroup(
            name=name,
            num_params=params,
            layers=self._layers,
            shard=shard,
            quantized=True,
            pieces=pieces,
        )

    def _full(self, mixer: FullAttention, *, borrows_keys: bool) -> list[WeightGroup]:
        f, sizes, h = self._f, self._sizes, self._sizes.hidden_size
        queries = mixer.num_attention_heads * mixer.head_dim
        gated = sizes.family in GATED_QUERY and f.flag("attn_output_gate", default=True)
        values = mixer.num_attention_heads * mixer.value_head_dim
        name = "cross attention" if isinstance(mixer, CrossAttention) else "attention"
        one_projection = f.flag("attention_k_eq_v") and type(mixer) is FullAttention
        width = mixer.head_dim if one_projection else mixer.head_dim + mixer.value_head_dim
        own = 0 if borrows_keys else h * mixer.num_kv_heads * width
        keys_and_values = WeightGroup(
            name=name,
            num_params=own,
            layers=self._layers,
            shard=Shard.KV_HEADS,
            num_kv_heads=mixer.num_kv_heads,
            quantized=True,
            pieces=(own,),
        )
        pieces = (h * (2 if gated else 1) * queries, h * values)
        return [self._group(name, sum(pieces), pieces=pieces), keys_and_values]

    def _latent(self, mixer: LatentAttention) -> list[WeightGroup]:
        """MLA: down-projections are whole on every rank, up-projections divide by head."""
        f, h, heads = self._f, self._sizes.hidden_size, mixer.num_attention_heads
        nope, rope = f.whole("qk_nope_head_dim"), mixer.qk_rope_head_dim
        values, rank, q_rank = f.whole("v_head_dim"), mixer.kv_lora_rank, f.size("q_lora_rank")
        queries = (q_rank or h) * heads * (nope + rope)
        up = (queries, rank * heads * (nope + values), heads * values * h)
        down = h * (rank + rope + (q_rank or 0))
        return [
            self._group("attention", sum(up), pieces=up),
            self._group("attention", down, Shard.REPLICATED, pieces=(down,)),
        ]

    def _is_shared_key(self, mixer: LatentAttention) -> bool:
        """DeepSeek-V4 caches one vector as key and value, and has no up-projection for it."""
        return self._f.has("o_lora_rank") and mixer.qk_rope_head_dim == 0

    def _shared_key(self, mixer: LatentAttention) -> list[WeightGroup]:
        f, h, heads = self._f, self._sizes.hidden_size, mixer.num_attention_heads
        width, q_rank = mixer.kv_lora_rank, f.whole("q_lora_rank")
        rank, groups = f.whole("o_lora_rank"), f.whole("o_groups")
        up = q_rank * heads * width + heads * width * rank + groups * rank * h
        down = h * (q_rank + width)
        return [self._group("attention", up), self._group("attention", down, Shard.REPLICATED)]

    def _compressor(self, mixer: CompressedAttention) -> int:
        """A projection and a gate, each with two series where windows overlap."""
        series = 2 if mixer.overlaps else 1
        return 2 * series * self._sizes.hidden_size * mixer.head_dim

    def _indexer(self, mixer: Indexer) -> int:
        h = self._sizes.hidden_size
        rank = self._f.size("q_lora_rank") or h
        heads, width = mixer.num_index_heads, mixer.index_head_dim
        keys = 4 * h * width if mixer.overlaps else h * width
        return rank * heads * width + keys + h * heads


def _recurrent(f: Fields, sizes: Sizes, mixer: RecurrentState) -> int:
    """Parameters of one recurrent mixer."""
    h, conv = sizes.hidden_size, mixer.conv_channels
    grouped = mixer.num_groups * mixer.group_channels
    kernel = (conv + grouped) * mixer.conv_kernel
    match mixer.mechanism:
        case "mamba-2":  # gate, convolved channels and step sizes in; channels out
            params = h * (2 * conv + grouped + mixer.num_heads) + conv * h
        case "mamba-1":
            state, rank = mixer.state_elems // conv, _step_rank(f, h)
            params = 3 * h * conv + conv * (2 * rank + 3 * state)
        case "gated delta rule":
            values = mixer.num_heads * f.whole("linear_value_head_dim")
            params = h * (conv + values + 2 * mixer.num_heads) + values * h
        case "KDA":
            width, dim = conv // 3, conv // 3 // mixer.num_heads
            params = 4 * h * width + 2 * (h * dim + dim * width) + h * mixer.num_heads
        case "lightning attention":  # queries, keys, values, gate and output
            width = mixer.num_heads * _square_root(mixer.state_elems // mixer.num_heads)
            params = 5 * h * width
        case "short convolution":  # Inkling's run beside attention, without projections
            params = 0 if f.has("conv_kernel_size") else 4 * h * conv
        case "RG-LRU":
            params = 3 * h * conv + 2 * conv * conv // sizes.num_heads
        case "WKV":  # receptance, key, value and output
            params = 4 * h * mixer.num_heads
        case "convolved attention":
            params = 0
        case _:
            params = 0
    return params + kernel


def _step_rank(f: Fields, hidden: int) -> int:
    """Rank of Mamba-1's step sizes; "auto" is a sixteenth of the hidden size."""
    fields = ("mamba_dt_rank", "time_step_rank")
    stated = None if f.raw(*fields) == "auto" else f.size(*fields)
    return stated or -(-hidden // 16)


def _square_root(square: int) -> int:
    """The side of a square state."""
    return isqrt(square)
