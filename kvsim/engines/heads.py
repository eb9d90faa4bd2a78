"""What every engine asks of tensor-parallel ranks: a head for each."""

from kvsim.errors import SpecError
from kvsim.message import Message
from kvsim.specs.attention import FullAttention
from kvsim.specs.latent import LatentAttention
from kvsim.specs.model import ModelSpec


def check_heads_per_rank(model: ModelSpec, ranks: int) -> None:
    """SpecError where attention's query heads are fewer than the ranks that share them."""
    behaviours = [b for group in model.layer_groups for b in group.layer]
    has_heads = any(isinstance(b, FullAttention | LatentAttention) for b in behaviours)
    if has_heads and ranks > model.num_attention_heads:
        msg = Message(
            "tensor_parallel_size={ranks} must be <= num_attention_heads={heads}: a rank would "
            "have no head",
            ranks=ranks,
            heads=model.num_attention_heads,
        )
        raise SpecError(msg)
