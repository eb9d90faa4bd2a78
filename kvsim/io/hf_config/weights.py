"""Weights from the architecture: how many parameters of which role, layer by layer."""

from collections.abc import Callable

from kvsim.io.hf_config.behaviours import Sizes
from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.mlp import mlp_groups
from kvsim.specs.attention import CacheBehaviour, CrossAttention, FullAttention, SharedCache
from kvsim.specs.latent import Indexer, LatentAttention
from kvsim.specs.model import Layer, Place, Shard, WeightGroup
from kvsim.specs.state import RecurrentState

UNTIED = frozenset(
    (
        "aquila",
        "arcee",
        "baichuan",
        "bailing_hybrid",
        "chatglm",
        "dbrx",
        "deepseek_v2",
        "deepseek_v3",
        "deepseek_v32",
        "dots1",
        "exaone_moe",
        "gpt_neox",
        "gptj",
        "glm_moe_dsa",
        "glm4_moe",
        "glm4_moe_lite",
        "hunyuan_v1_moe",
        "internlm2",
        "jamba",
        "kimi_linear",
        "llama",
        "llama4_text",
        "mimo_v2_flash",
        "minimax_m2",
        "mistral",
        "mixtral",
        "nemotron_h",
        "olmo2",
        "olmo3",
        "olmoe",
        "phi",
        "phi3",
        "phimoe",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "qwen3_next",
        "qwen3_5_text",
        "qwen3_5_moe_text",
        "seed_oss",
        "stablelm",
        "step3_text",
        "step3p5",
    )
)
"""Model types whose class unties the output head when a file does not say (transformers 5.23)."""

GATED_QUERY = frozenset(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen4_exp_text"))
"""Model types whose query projection carries an output gate of the same width."""


def weight_groups(f: Fields, sizes: Sizes, layers: tuple[Layer, ...]) -> tuple[WeightGroup, ...]:
    """Every group of weights that the config determines.

    Raises:
        MissingFieldError: if a size that the weights need is not stated.
    """
    vocab = f.whole("vocab_size")
    groups = [*_embeddings(f, sizes, vocab)]
    groups += _mixers(f, sizes, layers)
    groups += mlp_groups(f, sizes, layers)
    groups += _encoder(f, sizes)
    groups += _per_layer_embeddings(f, len(layers))
    norms = 2 * sizes.hidden_size
    groups.append(
        WeightGroup(
            name="norms",
            num_params=norms,
            layers=tuple(range(len(layers))),
            shard=Shard.REPLICATED,
        )
    )
    return tuple(g for g in groups if g.num_params)


def _embeddings(f: Fields, sizes: Sizes, vocab: int) -> list[WeightGroup]:
    table = vocab * (f.size("word_embed_proj_dim") or sizes.hidden_size)
    tied = f.flag("tie_word_embeddings", default=sizes.model_type not in UNTIED)
    embedding = WeightGroup(
        name="embedding",
        num_params=table,
        place=Place.FIRST,
        num_active=table if tied else 0,  # tied: the same table is the output head
    )
    groups = [embedding]
    if not tied:
        groups.append(WeightGroup(name="output head", num_params=table, place=Place.LAST))
    positions = f.size("n_positions", "max_target_positions")
    if sizes.model_type == "opt":
        positions = f.whole("max_position_embeddings")
    if positions and sizes.model_type != "t5":
        table = positions * sizes.hidden_size
        groups.append(
            WeightGroup(
                name="positions",
                num_params=table,
                place=Place.FIRST,
                num_active=0,
                shard=Shard.REPLICATED,
            )
        )
    return groups


def _mixers(f: Fields, sizes: Sizes, layers: tuple[Layer, ...]) -> list[WeightGroup]:
    """Projections of every attention, indexer and recurrent mixer."""
    holders: dict[CacheBehaviour, list[int]] = {}
    for i, layer in enumerate(layers):
        for behaviour in layer:
            holders.setdefault(behaviour, []).append(i)
    groups: list[WeightGroup] = []
    for behaviour, indices in holders.items():
        mixer = behaviour.attention if isinstance(behaviour, SharedCache) else behaviour
        shared = isinstance(behaviour, SharedCache)
        groups += _projections(f, sizes, mixer, tuple(indices), borrows_keys=shared)
    return groups


def _projections(
    f: Fields, sizes: Sizes, mixer: CacheBehaviour, layers: tuple[int, ...], *, borrows_keys: bool
) -> list[WeightGroup]:
    h = sizes.hidden_size

    def group(name: str, params: int, shard: Shard = Shard.TENSOR) -> WeightGroup:
        return WeightGroup(name=name, num_params=params, layers=layers, shard=shard, quantized=True)

    if isinstance(mixer, FullAttention):
        queries = mixer.num_attention_heads * mixer.head_dim
        gate = (
            2 if sizes.model_type in GATED_QUERY and f.flag("attn_output_gate", default=True) else 1
        )
        values = mixer.num_attention_heads * mixer.value_head_dim
        name = "cross attention" if isinstance(mixer, CrossAttention) else "attention"
        kv = h * mixer.num_kv_heads * (mixer.head_dim + mixer.value_head_dim)
        keys_and_values = WeightGroup(
            name=name,
            num_params=0 if borrows_keys else kv,
            layers=layers,
            shard=Shard.KV_HEADS,
            num_kv_heads=mixer.num_kv_heads,
            quantized=True,
        )
        return [group(name, h * (gate * queries + values)), keys_and_values]
    if isinstance(mixer, LatentAttention):
        return _latent(f, sizes, mixer, group)
    if isinstance(mixer, Indexer):
        rank = f.size("q_lora_rank") or h
        heads = mixer.num_index_heads
        params = rank * heads * mixer.index_head_dim + h * (mixer.index_head_dim + heads)
        return [group("indexer", params, Shard.REPLICATED)]
    if isinstance(mixer, RecurrentState):
        return [group("recurrent mixer", _recurrent(f, sizes, mixer))]
    return []


def _latent(
    f: Fields, sizes: Sizes, mixer: LatentAttention, group: Callable[..., WeightGroup]
) -> list[WeightGroup]:
    """MLA: down-projections are whole on every rank, up-projections divide by head."""
    h, heads = sizes.hidden_size, mixer.num_attention_heads
    nope, rope = f.whole("qk_nope_head_dim"), mixer.qk_rope_head_dim
    values, rank, q_rank = f.whole("v_head_dim"), mixer.kv_lora_rank, f.size("q_lora_rank")
    up = rank * heads * (nope + values) + heads * values * h
    down = h * (rank + rope)
    if q_rank is None:
        up += h * heads * (nope + rope)
    else:
        down += h * q_rank
        up += q_rank * heads * (nope + rope)
    return [group("attention", up), group("attention", down, Shard.REPLICATED)]


def _recurrent(f: Fields, sizes: Sizes, mixer: RecurrentState) -> int:
    """Parameters of one recurrent mixer."""
    h, conv = sizes.hidden_size, mixer.conv_channels
    channels = conv + mixer.num_groups * mixer.group_channels
    kernel = channels * mixer.conv_kernel
    if mixer.mechanism == "mamba-2":  # gate, convolved channels and step sizes in; channels out
        return h * (2 * conv + mixer.num_groups * mixer.group_channels + mixer.num_heads) + (
            kernel + conv * h
        )
    if mixer.mechanism == "mamba-1":
        state = mixer.state_elems // conv
        rank = f.size("mamba_dt_rank", "time_step_rank") or -(-h // 16)
        return 3 * h * conv + conv * (2 * rank + 3 * state) + kernel
    if mixer.mechanism == "gated delta rule":
        values = mixer.num_heads * f.whole("linear_value_head_dim")
        return h * (conv + values + 2 * mixer.num_heads) + kernel + values * h
    if mixer.mechanism == "KDA":
        width, dim = conv // 3, conv // 3 // mixer.num_heads
        return 4 * h * width + 2 * (h * dim + dim * width) + h * mixer.num_heads + kernel
    if mixer.mechanism == "lightning attention":
        return 5 * h * mixer.num_heads * sizes.head_dim
    if mixer.mechanism == "short convolution":
        return 4 * h * conv + kernel
    return 3 * h * conv + 2 * conv * conv // sizes.num_heads + kernel  # RG-LRU


def _encoder(f: Fields, sizes: Sizes) -> list[WeightGroup]:
    """The encoder of an encoder-decoder, and the vision or audio tower of a composite."""
    if not f.flag("is_encoder_decoder"):
        return []
    n = f.whole("encoder_layers", "num_layers", "num_hidden_layers")
    h, heads = sizes.hidden_size, f.size("encoder_attention_heads", "num_heads") or sizes.num_heads
    width = heads * (f.size("d_kv") or sizes.hidden_size // heads)
    ffn = f.whole("encoder_ffn_dim", "d_ff", "intermediate_size")
    matrices = 3 if f.text("feed_forward_proj").startswith("gated") else 2
    params = n * (4 * h * width + matrices * h * ffn)
    return [WeightGroup(name="encoder", num_params=params, place=Place.FIRST, num_active=0)]


def _per_layer_embeddings(f: Fields, num_layers: int) -> list[WeightGroup]:
    """Gemma's per-layer inputs: one small table a layer, looked up, never multiplied."""
    width = f.size("hidden_size_per_layer_input")
    if width is None:
        return []
    vocab = f.whole("vocab_size_per_layer_input", "vocab_size")
    return [
        WeightGroup(
            name="per-layer embedding",
            num_params=vocab * width * num_layers,
            place=Place.FIRST,
            num_active=0,
        )
    ]


def tower_params(section: Fields) -> int | None:
    """Parameters of a vision or audio tower from its usual fields; None if they are not there."""
    h = section.size("hidden_size", "embed_dim", "d_model")
    n = section.size("num_hidden_layers", "depth", "encoder_layers")
    if h is None or n is None:
        return None
    ffn = section.size("intermediate_size", "encoder_ffn_dim") or 4 * h
    return n * (4 * h * h + 2 * h * ffn)
