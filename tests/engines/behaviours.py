"""Small models from cache behaviours, for the layouts' tests."""

from kvsim.dtypes import BF16
from kvsim.specs.attention import FullAttention, SlidingWindow
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.state import RecurrentState


def model(*layers, **fields):
    """A model of so many layers of each behaviour."""
    plain = {"name": "m", "model_type": "m", "dtype": BF16, "hidden_size": 1024}
    plain |= {"vocab_size": 1000, "num_attention_heads": 128}
    spec = tuple(layer for count, *layer in layers for _ in range(count))
    return ModelSpec(layers=tuple(tuple(layer) for layer in spec), **plain | fields)


def heads(kv_heads, head_dim, **more):
    return FullAttention(
        num_attention_heads=kv_heads, num_kv_heads=kv_heads, head_dim=head_dim, **more
    )


def window(kv_heads, head_dim, size, **more):
    return SlidingWindow(
        num_attention_heads=128,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        sliding_window=size,
        **more,
    )


def latent(**more):
    return LatentAttention(num_attention_heads=128, kv_lora_rank=512, qk_rope_head_dim=64, **more)


GATED = RecurrentState(
    mechanism="gated delta rule",
    num_heads=48,
    state_elems=48 * 128 * 128,
    conv_kernel=4,
    conv_channels=10240,
)
QWEN_27B = model((16, heads(4, 256)), (48, GATED))
LINEAR_KDA = RecurrentState(
    mechanism="kimi delta attention",
    num_heads=32,
    state_elems=32 * 128 * 128,
    conv_kernel=4,
    conv_channels=3 * 32 * 128,
)
