"""GGUF files, written by the gguf package: what is read, and what is refused at once."""

# long: one claim after another about one format

import struct
import time

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim import FullAttention, LatentAttention, RecurrentState, SlidingWindow, bytes_by_format

MAGIC, VERSION = b"GGUF", struct.pack("<I", 3)


def write(path, architecture="llama", *, metadata=None, tensors=None):
    """A file of two layers of 64 wide, 4 heads and 2 KV heads; metadata replace or add keys."""
    writer = gguf.GGUFWriter(path, architecture)
    keys = {
        "block_count": 2,
        "context_length": 4096,
        "embedding_length": 64,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    } | (metadata or {})
    for key, value in keys.items():
        if isinstance(value, list):
            writer.add_array(f"{architecture}.{key}", value)
        elif isinstance(value, str):
            writer.add_string(f"{architecture}.{key}", value)
        elif value is not None:
            writer.add_uint32(f"{architecture}.{key}", value)
    if tensors is None:
        tensors = {"token_embd.weight": (100, 64)}
        for layer in range(2):
            tensors[f"blk.{layer}.attn_k.weight"] = (32, 64)
    for name, shape in tensors.items():
        writer.add_tensor(name, np.zeros(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_plain_model(tmp_path):
    """Heads, context, vocabulary and exact tensors come from the header alone."""
    model = kvsim.load_model(write(tmp_path / "tiny.gguf"))
    assert model.name == "tiny"
    assert (
        model.layers == ((FullAttention(num_attention_heads=4, num_kv_heads=2, head_dim=16),),) * 2
    )
    assert (model.max_model_len, model.hidden_size, model.vocab_size) == (4096, 64, 100)
    assert bytes_by_format(model.tensors) == {"F32": 4 * (100 * 64 + 2 * 32 * 64)}


def test_quantised_tensors_by_type(tmp_path):
    """Bytes are the file's: q8_0 stores 32 values in 34 bytes."""
    path = tmp_path / "q.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in {
        "block_count": 1,
        "context_length": 64,
        "embedding_length": 64,
        "attention.head_count": 4,
    }.items():
        writer.add_uint32(f"llama.{key}", value)
    raw = np.zeros((100, 2 * 34), dtype=np.uint8)
    writer.add_tensor("token_embd.weight", raw, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = kvsim.load_model(path)
    assert bytes_by_format(model.tensors) == {"Q8_0": 100 * 2 * 34}
    assert model.tensors[0].shape == (64, 100)


def test_windows_where_the_file_leaves_the_pattern_out(tmp_path):
    """Gemma-3's architecture makes every sixth layer full."""
    path = write(
        tmp_path / "g.gguf",
        "gemma3",
        metadata={"block_count": 6, "attention.sliding_window": 512, "attention.key_length": 16},
        tensors={"token_embd.weight": (10, 64)},
    )
    kinds = [type(layer[0]) for layer in kvsim.load_model(path).layers]
    assert kinds == [SlidingWindow] * 5 + [FullAttention]


def test_latent_and_its_expansion(tmp_path):
    """With the latent's head sizes it is stored; a file of before has keys and values of heads."""
    sizes = {
        "attention.head_count": 4,
        "attention.head_count_kv": 1,
        "attention.key_length": 48,
        "attention.value_length": 32,
        "attention.kv_lora_rank": 32,
        "rope.dimension_count": 16,
    }
    tensors = {"token_embd.weight": (10, 64)}
    new = sizes | {"attention.key_length_mla": 24, "attention.value_length_mla": 16}
    latent = kvsim.load_model(
        write(tmp_path / "n.gguf", "deepseek2", metadata=new, tensors=tensors)
    )
    assert latent.layers[0] == (
        LatentAttention(num_attention_heads=4, kv_lora_rank=32, qk_rope_head_dim=16),
    )
    old = sizes | {"attention.head_count_kv": 4, "attention.key_length": 24}
    expanded = kvsim.load_model(
        write(tmp_path / "o.gguf", "deepseek2", metadata=old, tensors=tensors)
    )
    assert isinstance(expanded.layers[0][0], FullAttention)


def test_hybrid_lists_its_recurrent_layers(tmp_path):
    """Qwen3.5's file says which layers have no keys; the rest follows its interval."""
    sizes = {
        "attention.recurrent_layers": [1, 0],
        "ssm.inner_size": 64,
        "ssm.state_size": 16,
        "ssm.conv_kernel": 4,
        "ssm.time_step_rank": 4,
        "ssm.group_count": 2,
    }
    path = write(
        tmp_path / "h.gguf", "qwen35", metadata=sizes, tensors={"token_embd.weight": (10, 64)}
    )
    state, attention = (layer[0] for layer in kvsim.load_model(path).layers)
    assert isinstance(attention, FullAttention)
    assert isinstance(state, RecurrentState)
    assert (state.state_elems, state.conv_elems()) == (64 * 16, 3 * (64 + 2 * 2 * 16))


def test_metadata_alone_are_a_model():
    """A dict with the key that only GGUF has is read as its metadata."""
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.context_length": 8,
        "llama.embedding_length": 8,
        "llama.attention.head_count": 2,
    }
    assert kvsim.load_model(metadata).num_layers == 1


def test_all_parts_of_a_split_model(tmp_path):
    """The first part names the others; one that is missing is said."""
    first = tmp_path / "m-00001-of-00002.gguf"
    writer = gguf.GGUFWriter(first, "llama")
    writer.add_uint16("split.count", 2)
    for key, value in {
        "block_count": 1,
        "context_length": 64,
        "embedding_length": 8,
        "attention.head_count": 2,
    }.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((4, 8), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(kvsim.FileError, match=r"m-00002-of-00002\.gguf cannot be read"):
        kvsim.load_model(first)
    write(tmp_path / "m-00002-of-00002.gguf", tensors={"blk.0.attn_q.weight": (8, 8)})
    model = kvsim.load_model(first)
    assert sum(tensor.num_bytes for tensor in model.tensors) == 4 * (32 + 64)
    assert kvsim.load_model(tmp_path).name == first.stem  # a folder's only model


CONTRADICTIONS = [
    ({"attention.head_count_kv": 4}, None, "contradicts blk.0.attn_k.weight"),
    ({"embedding_length": 128}, None, "contradicts token_embd.weight"),
    ({"block_count": 1}, None, "contradicts the tensors of block 1"),
    ({"block_count": 100_000}, None, "block_count=100000 must be <= 512"),
    ({"attention.head_count_kv": [2]}, None, "has 1 values"),
    ({"attention.head_count_kv": 3}, None, "must divide"),
    ({"nextn_predict_layers": 2}, None, "nextn_predict_layers=2"),
    ({"block_count": None}, None, "llama.block_count is missing"),
    ({"attention.shared_kv_layers": 2}, None, "shared_kv_layers=2 must be < 2 layers"),
    ({"attention.head_count": "4"}, None, "attention.head_count=4 must be a whole number"),
    ({}, {}, "holds no tensors"),
]


@pytest.mark.parametrize(("metadata", "tensors", "message"), CONTRADICTIONS)
def test_contradictory_metadata(tmp_path, metadata, tensors, message):
    """The error names the key, its value and what it contradicts."""
    path = write(tmp_path / "c.gguf", metadata=metadata, tensors=tensors)
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.load_model(path)


def test_unknown_architecture(tmp_path):
    """Its cache is not guessed."""
    path = write(tmp_path / "u.gguf", "nobody-knows")
    with pytest.raises(kvsim.UnsupportedError, match=r"general\.architecture=nobody-knows"):
        kvsim.load_model(path)


def claims(num_tensors=0, num_keys=0, rest=b""):
    return MAGIC + VERSION + struct.pack("<QQ", num_tensors, num_keys) + rest


def key(name, kind):
    raw = name.encode()
    return struct.pack("<Q", len(raw)) + raw + struct.pack("<I", kind)


def tensor(name, size, *, kind=0, offset=0):
    return key(name, 1) + struct.pack("<QIQ", size, kind, offset)


Q8_0 = 8
HUGE = [
    (b"", "truncated at magic"),
    (b"PK\x03\x04" + bytes(100), "does not begin with GGUF"),
    (MAGIC + struct.pack("<I", 1) + bytes(16), "version 1 is not one of"),
    (claims(num_tensors=2**60), "at most 65536"),
    (claims(num_keys=2**60), "at most 65536"),
    (claims(num_keys=1, rest=struct.pack("<Q", 2**40)), "claims 1099511627776 bytes"),
    (claims(num_keys=1, rest=key("a", 8) + struct.pack("<Q", 2**40)), "truncated at a"),
    (claims(num_keys=1, rest=key("a", 9) + struct.pack("<IQ", 0, 2**40)), "at most 4194304"),
    (claims(num_keys=1, rest=key("a", 9) + struct.pack("<IQ", 4, 2**21)), "truncated at a"),
    (claims(num_keys=1, rest=key("a", 9) + struct.pack("<IQ", 9, 1)), "unknown value type 9"),
    (claims(num_keys=1, rest=key("a", 77)), "unknown value type 77"),
    (claims(num_keys=2, rest=(key("a", 0) + b"\x01") * 2), "a is stated twice"),
    (
        claims(num_tensors=1, rest=key("t", 4) + struct.pack("<QQQQ", *[2**40] * 4) + bytes(12)),
        "it is truncated, or its tensor t is no",
    ),
    (claims(num_tensors=1, rest=key("t", 9)), "9 dimensions"),
    (claims(num_tensors=1, rest=tensor("t", 8, kind=99)), "tensor t has the unknown type 99"),
    (claims(num_tensors=2, rest=tensor("t", 8) * 2), "tensor t is stated twice"),
    (claims(num_tensors=1, rest=tensor("t", 8, kind=Q8_0)), "groups of 32 do not divide rows of 8"),
    (claims(num_tensors=1, rest=tensor("t", 8, offset=8)), "t at 8 overlaps another or is not"),
    (
        claims(num_tensors=2, rest=tensor("t", 16) + tensor("u", 8, offset=32) + bytes(256)),
        "tensor u at 32 overlaps another",
    ),
    (
        claims(num_keys=1, rest=key("general.alignment", 4) + struct.pack("<I", 3)),
        "general.alignment=3 must be a power of two",
    ),
]


@pytest.mark.parametrize(("raw", "message"), HUGE)
def test_headers_that_claim_too_much(tmp_path, raw, message):
    """A terabyte that is only claimed costs neither time nor memory."""
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw)
    start = time.perf_counter()
    with pytest.raises(kvsim.FileError, match=message):
        kvsim.load_model(path)
    assert time.perf_counter() - start < 5  # generous: it takes a millisecond


def test_a_sparse_terabyte(tmp_path):
    """A file may really be as large as it claims, and hold nothing."""
    path = tmp_path / "sparse.gguf"
    with path.open("wb") as file:
        file.write(claims(num_keys=1, rest=key("a", 8) + struct.pack("<Q", 2**39)))
        file.truncate(2**40)
    with pytest.raises(kvsim.FileError, match=r"header is larger than 256\.00 MiB"):
        kvsim.load_model(path)


def test_arrays_without_end(tmp_path):
    """Many arrays of empty strings, each within its limit, are too many together."""
    array = struct.pack("<IQ", 8, 2**22) + bytes(8 * 2**22)
    path = tmp_path / "strings.gguf"
    path.write_bytes(claims(num_keys=2, rest=key("a", 9) + array + key("b", 9) + array))
    with pytest.raises(kvsim.FileError, match="b: more than 4194304 strings are not read"):
        kvsim.load_model(path)


@pytest.mark.parametrize("kept", [10, 100, 200, 300, 1000, 5000])
def test_truncated_files(tmp_path, kept):
    """Cut anywhere: in the header, or in the data."""
    raw = write(tmp_path / "whole.gguf").read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(raw[:kept])
    with pytest.raises(kvsim.FileError, match="truncated"):
        kvsim.load_model(path)


@given(st.data())
def test_any_changed_byte_is_read_or_refused(tmp_path_factory, data):
    """No input ends in another error than the library's own."""
    folder = tmp_path_factory.getbasetemp() / "flips"
    folder.mkdir(exist_ok=True)
    source = folder / "source.gguf"
    raw = bytearray(source.read_bytes() if source.exists() else write(source).read_bytes())
    position = data.draw(st.integers(0, 600))
    raw[position] = data.draw(st.integers(0, 255))
    path = folder / "flipped.gguf"
    path.write_bytes(raw)
    try:
        kvsim.load_model(path)
    except kvsim.KvsimError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right


def test_the_start_of_a_file_is_enough(tmp_path):
    """Nobody uploads 40 GB to learn what is in the first megabytes."""
    path = write(tmp_path / "tiny.gguf")
    whole, size = kvsim.load_model(path), path.stat().st_size
    data = path.read_bytes()
    assert kvsim.parse_gguf(data, name="tiny.gguf") == whole
    for cut in (size - 1, size // 2, size - 4 * (100 * 64 + 2 * 32 * 64)):
        assert kvsim.parse_gguf(data[:cut], name="tiny.gguf") == whole


@pytest.mark.parametrize("num_bytes", [0, 3, 4, 20, 100, 300])
def test_a_cut_header_is_refused(tmp_path, num_bytes):
    """Half a list of tensors would be half the weights."""
    data = write(tmp_path / "tiny.gguf").read_bytes()
    with pytest.raises(kvsim.FileError, match="header is truncated"):
        kvsim.parse_gguf(data[:num_bytes])


def test_one_part_of_several_is_refused_where_the_others_cannot_be_read(tmp_path):
    """A part's tensors are not the model's."""
    path = tmp_path / "part.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(kvsim.FileError, match="one of several parts"):
        kvsim.parse_gguf(path.read_bytes())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_model_or_one_clean_error(noise):
    """A stranger's upload ends in a sentence, never in a traceback."""
    for data in (noise, MAGIC + VERSION + noise):
        with pytest.raises(kvsim.KvsimError):
            kvsim.parse_gguf(data)


def test_a_header_that_claims_more_than_any_model_is_refused(tmp_path):
    """Without the data, the claim is all there is."""
    path = write(tmp_path / "tiny.gguf")
    data = path.read_bytes()
    huge = data.replace(struct.pack("<QQ", 64, 100), struct.pack("<QQ", 64, 2**50), 1)
    assert huge != data
    with pytest.raises(kvsim.FileError):
        kvsim.parse_gguf(huge)
