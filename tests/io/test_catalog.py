"""The catalogue: what it holds, that it is well formed, and how its names are found."""

import re
from collections.abc import Iterator, Mapping

import pytest

from kvsim.errors import SpecError, UnknownNameError
from kvsim.io.catalog import (
    ConfigProvenance,
    accelerator_aliases,
    catalog_accelerators,
    catalog_models,
    find_accelerator,
    find_model,
    search_accelerators,
    search_models,
)
from kvsim.specs.hardware import Provenance
from kvsim.units import GiB, MiB

RECORDED = {
    "deepseek-v2-lite",
    "deepseek-v3",
    "deepseek-v3.2",
    "falcon-7b",
    "gemma-3-27b",
    "gemma-3n-e4b",
    "gpt-oss-20b",
    "gpt2",
    "llama-2-13b",
    "llama-2-70b",
    "llama-2-7b",
    "llama-3.1-70b",
    "llama-3.1-8b",
    "llama-4-scout",
    "mistral-7b-v0.1",
    "mixtral-8x7b",
    "nemotron-h-8b",
    "phi-4",
    "qwen2.5-72b",
    "qwen2.5-7b",
    "qwen3-32b",
    "qwen3-8b",
    "qwen3-next-80b-a3b",
}
"""Names of the recorded configs."""


def leaves(value: object, path: str = "config") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, path)
    else:
        yield path, value


def folded(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.casefold())


def test_at_least_sixty_models_are_known_by_name():
    """The catalogue's promise; a third of them current."""
    models = catalog_models()

    assert len(models) >= 60
    assert sum(model.released.startswith("2026") for model in models) >= 20


def test_every_recorded_config_is_in_the_catalogue_under_its_name():
    """A user of the recorded data finds the same model by the same name."""
    assert {model.id for model in catalog_models()} >= RECORDED


def test_no_two_models_answer_to_one_name():
    """An id, a name or a hub id that two models share would hide one of them."""
    names = [
        name
        for model in catalog_models()
        for name in {folded(model.id), folded(model.name), folded(model.hub_id)}
    ]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("model", catalog_models(), ids=lambda model: model.id)
def test_a_model_is_well_formed(model):
    """Every field says something, in the form that its docstring promises."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9.\-]*", model.id)
    assert re.fullmatch(r"[\w.\-]+/[\w.\-]+", model.hub_id)
    assert model.name
    assert model.source
    assert isinstance(model.parameters, int)
    assert model.parameters > 10**8
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-[0-3]\d)?", model.released)
    assert isinstance(model.provenance, ConfigProvenance)
    assert isinstance(model.config["model_type"], str)
    assert isinstance(model.config["architectures"], list)


@pytest.mark.parametrize("model", catalog_models(), ids=lambda model: model.id)
def test_a_config_states_values_only(model):
    """TOML has no null: a field that is null in the file is left out, never spelt."""
    assert not [
        path
        for path, value in leaves(model.config)
        if value is None or (isinstance(value, str) and value.lower() in {"null", "none", ""})
    ]


@pytest.mark.parametrize("model", catalog_models(), ids=lambda model: model.id)
def test_lists_by_layer_are_as_long_as_the_model(model):
    """A list that was cut or repeated wrongly would move layers from one kind to another."""
    text = model.config.get("text_config", model.config)
    lists = {
        field: len(text[field])
        for field in ("layer_types", "mlp_layer_types", "indexer_types", "no_rope_layers")
        if field in text
    }

    assert set(lists.values()) <= {text.get("num_hidden_layers")}


@pytest.mark.parametrize(
    "name", ["llama-3.1-8b", "LLAMA-3.1-8B", "Llama 3.1 8B", "meta-llama/llama-3.1-8b"]
)
def test_a_model_is_found_by_id_name_and_hub_id_in_any_case(name):
    """People write names as they remember them."""
    assert find_model(name).id == "llama-3.1-8b"


def test_every_model_is_found_by_its_own_names():
    """What a listing prints must work as input."""
    for model in catalog_models():
        assert find_model(model.id) is model
        assert find_model(model.name) is model
        assert find_model(model.hub_id) is model


def test_a_misspelt_model_gets_near_ids():
    """The error helps: it names what was probably meant."""
    with pytest.raises(UnknownNameError, match=r"did you mean llama-3\.1-8b"):
        find_model("lama-3.1-8b")


def test_part_of_a_name_gets_those_that_contain_it():
    """Half a name is the commonest mistake; spelling distance alone would miss it."""
    with pytest.raises(UnknownNameError) as caught:
        find_accelerator("A100")

    assert caught.value.nearest == ("A100-SXM4-40GB", "A100-SXM4-80GB", "A100-PCIe-80GB")


@pytest.mark.parametrize("name", ["", "  ", "no such thing at all", "x" * 100_000])
def test_a_name_like_no_other_is_refused_without_a_hint(name):
    """A wild guess would mislead; and a huge name must not take long."""
    with pytest.raises(SpecError) as caught:
        find_model(name)

    assert "did you mean" not in str(caught.value)


def test_seventy_one_accelerators_are_known():
    """The whole recorded list of devices."""
    assert len(catalog_accelerators()) == 71


def test_no_two_accelerators_answer_to_one_name():
    """An alias that two devices share would pick one of them silently."""
    names = [
        folded(name)
        for device, aliases in accelerator_aliases().items()
        for name in (device, *aliases)
    ]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("device", catalog_accelerators(), ids=lambda device: device.name)
def test_an_accelerator_is_well_formed(device):
    """Sizes agree with each other, and every fact says where it comes from."""
    assert device.nominal_bytes % GiB == 0
    assert (
        device.reported_bytes is None or 0.6 <= device.reported_bytes / device.nominal_bytes < 1.01
    )
    assert all(0.9 <= total / device.nominal_bytes < 1.01 for total in device.torch_bytes)
    assert device.memory_source
    assert device.performance_source
    assert isinstance(device.memory_provenance, Provenance)
    if device.price is not None:
        assert 0 < device.price.low_usd_per_hour <= device.price.high_usd_per_hour
        assert re.fullmatch(r"2026(-\d\d)?", device.price.date)
        assert device.price.source


@pytest.mark.parametrize(
    ("name", "reported_mib", "torch_gib"),
    [
        ("H100-SXM5-80GB", 81559, (79.11,)),
        ("A100-SXM4-80GB", 81920, (79.15, 79.25)),
        ("H200-SXM-141GB", 143771, (139.72, 139.80, 139.81)),
        ("L4", 23034, (22.05,)),
        ("RTX 4090", 24564, (23.52,)),
        ("MI300X", 196592, (191.98,)),
        ("TPU v5p", 98038, (95.74,)),
    ],
)
def test_memory_is_what_drivers_and_torch_report(name, reported_mib, torch_gib):
    """To the byte where a source prints MiB; torch prints two decimals of GiB."""
    device = find_accelerator(name)

    assert device.reported_bytes == reported_mib * MiB
    assert device.torch_bytes == tuple(round(gib * GiB) for gib in torch_gib)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("h100", "H100-SXM5-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100-SXM5-80GB"),
        ("h100-sxm", "H100-SXM5-80GB"),
        ("a100_80gb", "A100-SXM4-80GB"),
        ("4090", "RTX 4090"),
        ("rtx4090", "RTX 4090"),
        ("dgx spark", "GB10 (DGX Spark)"),
        ("mi300x", "MI300X"),
    ],
)
def test_an_accelerator_is_found_by_alias_and_by_its_driver_name(alias, name):
    """Letter case, spaces, dashes and underscores don't matter."""
    assert find_accelerator(alias).name == name


def test_unified_memory_is_marked_where_the_cpu_shares_it():
    """There, what the device may use is no constant of the device."""
    unified = {device.name for device in catalog_accelerators() if device.unified_memory}

    assert {"GB10 (DGX Spark)", "MI300A", "Apple M3 Ultra 512GB"} <= unified
    assert "GH200-96GB" not in unified


def test_searching_for_nothing_lists_everything():
    """`kvsim models` without a word is the listing."""
    assert search_models("") == catalog_models()
    assert search_accelerators("") == catalog_accelerators()


def test_models_are_searched_by_family_and_by_year():
    """Any part of an id, a name, a hub id, a model type or a date is enough."""
    assert {"gemma-2-9b", "gemma-4-31b"} <= {model.id for model in search_models("gemma")}
    assert {model.released[:4] for model in search_models("2026-0")} == {"2026"}
    assert search_models("no such thing") == ()


def test_accelerators_are_searched_by_vendor_and_architecture():
    """A buyer knows the vendor; an engineer the architecture."""
    assert {device.vendor for device in search_accelerators("amd")} == {"AMD"}
    assert "H20-96GB" in {device.name for device in search_accelerators("hopper")}
