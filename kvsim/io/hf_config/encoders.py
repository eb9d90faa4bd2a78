"""Weights of towers without a cache: text encoders, vision and audio towers."""

from kvsim.io.hf_config.fields import Fields
from kvsim.io.hf_config.sizes import Sizes
from kvsim.specs.model import Place, WeightGroup

GATED_TOWERS = frozenset(
    (
        *("pixtral", "gemma4_vision", "exaone4_5_vision", "glm4v_vision", "glm_ocr_vision"),
        *("qwen2_5_vl", "qwen2_5_vl_vision", "ovis2_vision", "glm4v_moe_vision"),
    )
)
"""Vision towers whose feed-forward has three matrices."""

GATED_ACTIVATIONS = ("silu", "swiglu")
TEXT_ENCODER_LAYERS = (
    "encoder_layers",
    "num_encoder_layers",
    "encoder_num_hidden_layers",
    "num_layers",
    "num_hidden_layers",
)


def encoder_group(f: Fields, sizes: Sizes) -> WeightGroup:
    """The encoder of an encoder-decoder, as wide as its decoder."""
    n = f.whole(*TEXT_ENCODER_LAYERS)
    h = sizes.hidden_size
    heads = f.size("encoder_attention_heads", "num_heads") or sizes.num_heads
    width = heads * (f.size("d_kv") or h // heads)
    ffn = f.whole("encoder_ffn_dim", "d_ff", "intermediate_size", default=4 * h)
    matrices = 3 if f.text("feed_forward_proj").startswith("gated") else 2
    params = n * (4 * h * width + matrices * h * ffn)
    return WeightGroup(name="encoder", num_params=params, place=Place.FIRST, num_active=0)


def tower_params(section: Fields, *, outer_type: str) -> int | None:
    """Parameters of a vision or audio tower from its usual fields; None if they are not there."""
    own_type = section.text("model_type", default=outer_type)
    h = section.size("hidden_size", "embed_dim", "d_model", "vt_hidden_size")
    n = section.size("num_hidden_layers", "depth", "encoder_layers", "vt_num_hidden_layers")
    if h is None or n is None:
        return None
    ffn = section.size("intermediate_size", "encoder_ffn_dim", "vt_intermediate_size") or 4 * h
    activation = section.text("hidden_act", "hidden_activation")
    gated = own_type in GATED_TOWERS or activation in GATED_ACTIVATIONS
    layers = n * (4 * h * h + (3 if gated else 2) * h * ffn)
    return layers + _patches(section, h) + _merger(section, h)


def _patches(section: Fields, width: int) -> int:
    """The projection of patches, and their positions."""
    patch = section.raw("patch_size")
    if not isinstance(patch, int) or isinstance(patch, bool):
        return 0
    channels = section.size("num_channels", "in_channels", "in_chans") or 3
    frames = section.size("temporal_patch_size") or 1
    positions = section.size("num_position_embeddings", "num_patches") or 0
    image = section.raw("image_size")
    if not positions and isinstance(image, int) and patch:
        positions = (image // patch) ** 2 if section.text("model_type") != "pixtral" else 0
    return (section.whole("patch_size") ** 2 * channels * frames + positions) * width


def _merger(section: Fields, width: int) -> int:
    """The two matrices that merge patches and lead into the language tower."""
    out = section.size("out_hidden_size")
    if out is None:
        return 0
    merged = width * (section.size("spatial_merge_size") or 1) ** 2
    return merged * merged + merged * out
