"""A model from a GGUF file: what its layers cache, and the exact bytes of its tensors."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kvsim.errors import FileError, SpecError
from kvsim.io.gguf_fields import GgufFields
from kvsim.io.gguf_header import GgufHeader, cut_header, read_header
from kvsim.io.gguf_models import model_from_gguf
from kvsim.io.limits import MAX_GGUF_PARTS
from kvsim.specs.attention import FullAttention
from kvsim.specs.model import ModelSpec
from kvsim.specs.tensors import Tensor

_PART = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf", re.ASCII)
_BLOCK = re.compile(r"blk\.(\d{1,6})\.", re.ASCII)
KIND = "general.architecture"
_DRAFT_KEY = "nextn_predict_layers"


def read_gguf(path: Path) -> ModelSpec:
    """The model of a GGUF file, or of all parts of a split one.

    Raises:
        FileError: if a part is missing or truncated, or its header contradicts itself.
        SpecError: if metadata and tensors contradict each other.
        UnsupportedError: for an architecture whose cache in llama.cpp is not known.
    """
    header = read_header(path)
    whole = GgufHeader(header.metadata, header.tensors + _other_parts(path, header))
    return _model(whole, path.stem)


def parse_gguf(start: bytes, *, name: str = "model.gguf") -> ModelSpec:
    """The model of a GGUF file from its first bytes: all of the header must be among them.

    Args:
        start: the file's beginning; the tensors' data may be cut off.
        name: of the file, for the model's name and in errors; nothing is read by it.

    Raises:
        FileError: if the header is cut, contradicts itself, or is one of several parts.
        SpecError: if metadata and tensors contradict each other.
        UnsupportedError: for an architecture whose cache in llama.cpp is not known.
    """
    header = cut_header(start, name=name)
    if header.metadata.get("split.count", 1) != 1:
        msg = f"{name}: it is one of several parts, whose headers hold the other tensors"
        raise FileError(msg)
    return _model(header, name.removesuffix(".gguf"))


def _model(header: GgufHeader, name: str) -> ModelSpec:
    metadata = _with_real_drafts(header)
    embedding = [t.shape for t in header.tensors if t.name == "token_embd.weight"]
    if embedding and len(embedding[0]) == 2:
        metadata.setdefault(f"{metadata.get(KIND)}.vocab_size", embedding[0][1])
    spec = replace(model_from_gguf(metadata, name=name), tensors=header.tensors)
    _check(spec, GgufFields(metadata, spec.model_type), header.tensors)
    return spec


def _other_parts(path: Path, header: GgufHeader) -> tuple[Tensor, ...]:
    """Tensors of the further files of a split model; the first holds the metadata."""
    count = header.metadata.get("split.count", 1)
    if not isinstance(count, int) or not 1 <= count <= MAX_GGUF_PARTS:
        msg = f"{path.name}: split.count={str(count)[:20]} must be 1 to {MAX_GGUF_PARTS}"
        raise FileError(msg)
    if count == 1:
        return ()
    match = _PART.fullmatch(path.name)
    if match is None or int(match[2]) != 1 or int(match[3]) != count:
        msg = f"{path.name}: give the first of its {count} parts, named -00001-of-{count:05}.gguf"
        raise FileError(msg)
    found: list[Tensor] = []
    for part in range(2, count + 1):
        other = path.with_name(f"{match[1]}-{part:05}-of-{count:05}.gguf")
        found += read_header(other).tensors
    return tuple(found)


def _with_real_drafts(header: GgufHeader) -> dict[str, object]:
    """The metadata, without draft layers that DeepSeek-V4's files state but do not hold.

    Source:
        llama.cpp `llama_model_deepseek4::load_arch_hparams`, src/models/deepseek4.cpp.
    """
    metadata = dict(header.metadata)
    f = GgufFields(metadata, str(metadata.get(KIND)))
    if f.has("attention.compress_ratios") and f.whole(_DRAFT_KEY, default=0):
        main = f.whole("block_count", low=1) - f.whole(_DRAFT_KEY)
        if f"blk.{main}.nextn.eh_proj.weight" not in {t.name for t in header.tensors}:
            metadata[f.key(_DRAFT_KEY)] = 0
    return metadata


def _check(spec: ModelSpec, f: GgufFields, tensors: Sequence[Tensor]) -> None:
    """SpecError where the tensors' shapes contradict what the metadata say."""
    if not tensors:
        msg = f"{spec.name}: the file holds no tensors"
        raise SpecError(msg)
    total = f.whole("block_count", low=1)
    shapes = {tensor.name: tensor.shape for tensor in tensors}
    blocks = [int(match[1]) for name in shapes if (match := _BLOCK.match(name))]
    if blocks and max(blocks) >= total:
        msg = f"{f.key('block_count')}={total} contradicts the tensors of block {max(blocks)}"
        raise SpecError(msg)
    embedding = shapes.get("token_embd.weight")
    if embedding is not None and embedding[0] != spec.hidden_size:
        msg = (
            f"{f.key('embedding_length')}={spec.hidden_size} contradicts token_embd.weight of "
            f"shape {embedding}"
        )
        raise SpecError(msg)
    for layer, behaviours in enumerate(spec.layers):
        shape = shapes.get(f"blk.{layer}.attn_k.weight")
        full = [b for b in behaviours if isinstance(b, FullAttention)]
        if shape is None or not full or len(shape) != 2:
            continue
        wanted = full[0].num_kv_heads * full[0].head_dim
        if shape[1] != wanted:
            msg = (
                f"{f.key('attention.head_count_kv')} x head size = {wanted} contradicts "
                f"blk.{layer}.attn_k.weight of shape {shape}"
            )
            raise SpecError(msg)
