import os
import subprocess
import sys
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvsim
from kvsim import SpecError, digest
from kvsim.specs.tensors import Tensor

H100 = kvsim.accelerator("H100-SXM5-80GB")
GPT2 = kvsim.load_model("gpt2")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_equal_descriptions_have_one_digest():
    """
    A deployment that is described twice is the same input, down to the digest.
    """
    first = kvsim.Deployment(model=GPT2, accelerator=H100)
    second = kvsim.Deployment(model=kvsim.load_model("gpt2"), accelerator=H100)

    assert digest(first) == digest(second)


@pytest.mark.parametrize("changed", [{"block_size": 32}, {"kv_cache_dtype": "fp8"}])
def test_one_changed_field_changes_the_digest(changed):
    """
    No setting that decides a result is left out.
    """
    engine = kvsim.Vllm()

    assert digest(engine) != digest(replace(engine, **changed))


def test_every_field_of_a_deployment_counts():
    """
    The digest is over the fields themselves, not over a list of them that could fall behind.
    """
    deployment = kvsim.Deployment(model=GPT2, accelerator=H100)
    for field in fields(deployment):
        other = replace_unchecked(deployment, field.name)

        assert digest(deployment) != digest(other), field.name


def replace_unchecked(spec, name):
    """A copy with one field set to a value that nothing else has; no rule is checked."""
    copy = object.__new__(type(spec))
    for field in fields(spec):
        object.__setattr__(copy, field.name, getattr(spec, field.name))
    object.__setattr__(copy, name, "another")
    return copy


def test_tensors_of_a_checkpoint_count():
    """
    Comparison of models leaves a checkpoint's tensors out, but they decide its weights.
    """
    tensor = Tensor(name="w", format="F16", shape=(2, 2), num_bytes=8)
    model = replace(GPT2, tensors=(tensor,))

    assert model == GPT2
    assert digest(model) != digest(GPT2)


@given(PLAIN, PLAIN)
def test_unequal_plain_values_have_unequal_digests(first, second):
    """
    The text that is hashed is unambiguous: no two values share it.
    """
    if first != second:
        assert digest(first) != digest(second)


@given(st.dictionaries(st.text(), st.integers()))
def test_the_order_of_a_mapping_does_not_count(mapping):
    """
    A mapping says the same in any order.
    """
    assert digest(mapping) == digest(dict(reversed(mapping.items())))


def test_kinds_of_number_count():
    """
    1, 1.0 and True are equal to Python; a setting of one is not a setting of the other.
    """
    assert len({digest(value) for value in (1, 1.0, True, "1")}) == 4


def test_digest_is_the_same_in_another_process():
    """
    Neither the hash seed of a process nor an object's address reaches the digest.
    """
    code = "import kvsim; print(kvsim.digest(kvsim.load_model('gpt2'), {'b', 'a', 'c'}))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert seen == {digest(GPT2, {"c", "b", "a"}) + "\n"}


def test_what_has_no_lasting_text_is_refused():
    """
    An object whose text holds its address would change the digest with every run.
    """
    with pytest.raises(SpecError, match="inputs=object must be specs"):
        digest(object())
