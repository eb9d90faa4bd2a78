"""The public library."""

import subprocess
import sys

import pytest

import kvsim


def test_all_names_exist_and_nothing_else_is_promised():
    """
    `__all__` is what can be imported, name by name.
    """
    assert sorted(kvsim.__all__, key=lambda n: (not n.isupper(), n)) == kvsim.__all__
    for name in kvsim.__all__:
        assert getattr(kvsim, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kvsim.nothing  # noqa: B018


def test_import_loads_no_heavy_package():
    """
    `import kvsim` and a first answer need none of the packages that take long to load.
    """
    code = (
        "import sys, kvsim; kvsim.cache_bytes(kvsim.load_model('gpt2'), num_tokens=1);"
        "heavy = {'numpy', 'numba', 'rich', 'polars', 'torch', 'streamlit'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_plan_stays_a_function_whatever_was_imported_first():
    """
    A package of the same name would replace it once imported; none may exist.
    """
    code = "import kvsim.planner.advise, kvsim.api, kvsim; print(callable(kvsim.plan))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True"


def test_layers_sum_to_the_total():
    """
    Sums of parts equal totals to the byte, batch and ranks included.
    """
    model = kvsim.load_model("qwen3-next-80b-a3b")
    for engine in ("ideal", "vllm"):
        cache = kvsim.cache_bytes(
            model, num_tokens=5000, batch_size=3, engine=engine, tensor_parallel_size=2
        )
        assert sum(layer.total_bytes for layer in cache.layers) == cache.total_bytes
        assert cache.all_ranks_bytes == 2 * cache.total_bytes
        assert cache.state_bytes > 0


def test_weights_quantisation_never_implies_a_cache_format():
    """
    An fp8 checkpoint still caches in its compute dtype unless asked otherwise.
    """
    model = kvsim.load_model("deepseek-v3")
    assert model.quantization is not None
    assert model.quantization.method == "fp8"

    plain = kvsim.cache_bytes(model, num_tokens=1000)
    asked = kvsim.cache_bytes(model, num_tokens=1000, kv_cache_dtype="fp8")

    assert plain.kv_cache_dtype == "bfloat16"
    assert plain.kv_bytes == 2 * asked.kv_bytes


def test_curve_crosses_where_the_cache_reaches_the_threshold():
    """
    The crossing is the first length at or above the threshold, not a point of the grid.
    """
    model = kvsim.load_model("llama-3.1-8b")
    curve = kvsim.cache_curve(model, lengths=[1, 1000, 100_000], threshold_bytes=131072 * 777)

    assert curve.crossing_tokens == 777
    assert curve.total_bytes == (131072, 131072 * 1000, 131072 * 100_000)
    assert kvsim.cache_curve(model, lengths=[5], threshold_bytes=10**12).crossing_tokens is None


def test_cross_attention_of_a_text_encoder_needs_its_length():
    """
    T5's encoder is as long as the prompt, which only the caller knows; Whisper's is fixed.
    """
    t5 = kvsim.load_model("t5-large")
    with pytest.raises(kvsim.SpecError, match="num_encoder_tokens must be given"):
        kvsim.cache_bytes(t5, num_tokens=100)

    long, short = (
        kvsim.cache_bytes(t5, num_tokens=100, num_encoder_tokens=n).total_bytes for n in (20, 10)
    )
    assert long - short == 10 * 24 * 2 * 16 * 64 * 2
    whisper = kvsim.load_model("whisper-large-v3")
    assert kvsim.cache_bytes(whisper, num_tokens=1).kv_bytes == 32 * 2 * 20 * 64 * 2 * 1501


def test_engines_settings_change_the_layout():
    """
    A block of 64 tokens rounds 65 tokens up to two blocks.
    """
    model = kvsim.load_model("llama-3.1-8b")
    cache = kvsim.cache_bytes(model, num_tokens=65, engine=kvsim.Vllm(block_size=64))

    assert cache.total_bytes == 128 * 131072
    assert cache.engine_version == "0.32.0"
