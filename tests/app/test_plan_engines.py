"""Page Plan under every engine, with the visitor's own model, and where GPUs differ."""

import json

import gguf
import numpy as np
import pytest

import kvsim
from app import engine_fields, own_model, scenario
from app.text import gib

H100 = kvsim.accelerator("H100-SXM5-80GB")
OTHERS = [engine for engine in engine_fields.ENGINES if engine != engine_fields.VLLM]


def plan_of(engine, model="llama-3.1-8b", *, requests=32, tp=1, length=8192):
    deployment = kvsim.Deployment(
        model=kvsim.load_model(model),
        accelerator=H100,
        engine=kvsim.Vllm(max_model_len=length),
        parallel=kvsim.Parallelism(tensor_parallel_size=tp),
    )
    settings = engine_fields.SETTINGS[engine]()
    return kvsim.plan_engine(deployment, settings, concurrent_requests=requests)


def verdict(app):
    shown = [*app.success, *app.warning, *app.error]
    assert len(shown) == 1
    return shown[0].value


@pytest.mark.parametrize("engine", OTHERS)
def test_every_engine_has_its_own_verdict_and_launch_line(open_app, engine):
    """What vLLM makes of a GPU says little of what another engine does."""
    app = open_app(engine=engine)
    plan = plan_of(engine)
    tightest = plan.judged.tightest
    assert not app.exception
    assert "Fits" in verdict(app)
    assert gib(tightest.needed_bytes) in verdict(app)
    assert gib(tightest.cache_bytes.best) in verdict(app)
    assert f"{plan.judged.best.requests:,}" in [metric.value for metric in app.metric]
    assert any(plan.command == code.value for code in app.code)


@pytest.mark.parametrize("engine", OTHERS)
def test_an_engines_fix_is_a_button_that_makes_it_fit(open_app, engine):
    """Under the names that the engine itself gives its settings."""
    fix = plan_of(engine, requests=90).fixes[0]
    app = open_app(engine=engine, concurrent_requests="90")
    app.button(key=button_of(engine, fix.setting)).click().run()
    assert "Does not fit" not in verdict(app)


def button_of(engine, setting):
    inputs = engine_fields.FIX_INPUTS.get((engine, setting), (setting,))
    return f"fix_{'_'.join(inputs)}"


def test_two_changes_are_one_button(open_app):
    """Where no single change is enough."""
    app = open_app(model="llama-3.1-405b", gpu="L4", concurrent_requests="1")
    (button,) = (b for b in app.button if str(b.key).startswith("fix_"))
    assert " + " in button.label
    button.click().run()
    assert "Does not fit" not in verdict(app)


def test_only_the_engines_own_inputs_are_shown(open_app):
    """A setting that does nothing invites to change it."""
    app = open_app(engine="llama.cpp")
    shown = {
        widget.key for kind in ("selectbox", "number_input", "toggle") for widget in app.get(kind)
    }
    assert {"cache_type_k", "gpu_layers", "n_cpu_moe"} <= shown
    assert not shown & {"gpu_memory_utilization", "kv_cache_dtype", "mem_fraction_static"}


def test_inputs_of_another_engine_stay_and_are_said_to_do_nothing(open_app):
    """A link keeps what it was given, and no number changes in silence."""
    app = open_app(engine="sglang", gpu_memory_utilization="0.5", n_cpu_moe="3")
    words = [c.value for c in app.sidebar.caption if "not used by sglang" in c.value]
    assert len(words) == 1
    assert "gpu\\_memory\\_utilization=0\\.5, n\\_cpu\\_moe=3" in words[0]
    assert app.query_params["n_cpu_moe"] == "3"
    app.selectbox(key="engine").set_value("vllm").run()
    assert app.number_input(key="gpu_memory_utilization").value == 0.5


def test_every_gpu_that_differs_has_a_bar(open_app):
    """The last stage holds the output head; an average would hide that it is full."""
    app = open_app(model="llama-3.1-70b", pipeline_parallel_size="3", tensor_parallel_size="2")
    deployment = kvsim.Deployment(
        model=kvsim.load_model("llama-3.1-70b"),
        accelerator=H100,
        engine=kvsim.Vllm(max_model_len=8192),
        parallel=kvsim.Parallelism(tensor_parallel_size=2, pipeline_parallel_size=3),
    )
    stages = kvsim.plan(deployment, concurrent_requests=32).stages
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert len(stages) == 3
    assert len({trace["y"][0] for trace in bars}) == 3
    for stage in stages:
        assert gib(stage.weights_bytes.best) in app.get("plotly_chart")[0].proto.alt


def test_gpus_that_are_alike_are_one_bar(open_app):
    """Sixteen equal bars say no more than one."""
    app = open_app(pipeline_parallel_size="1", tensor_parallel_size="8", model="llama-3.1-70b")
    bars = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert {trace["y"][0] for trace in bars} == {""}


def test_all_engines_stand_side_by_side(open_app):
    """Each with its verdict; one without a plan says so."""
    app = open_app()
    (table,) = (m.value for m in app.markdown if m.value.startswith("| engine | verdict"))
    for engine in kvsim.EngineName:
        assert f"{engine}" in table
    assert "| **vllm** | Fits |" in table


def header(tmp_path, **keys):
    """A small GGUF file's bytes, its tensors' data cut off."""
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    values = {
        "block_count": 2,
        "context_length": 16384,
        "embedding_length": 64,
        "attention.head_count": 4,
        "attention.head_count_kv": 2,
    } | keys
    for key, value in values.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_tensor("token_embd.weight", np.zeros((100, 64), dtype=np.float32))
    for layer in range(2):
        writer.add_tensor(f"blk.{layer}.attn_k.weight", np.zeros((32, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()[:-2000]


def upload(app, content):
    app.selectbox(key="model").set_value(scenario.CUSTOM).run()
    app.file_uploader(key="gguf").set_value(("tiny.gguf", content, "application/octet-stream"))
    return app.run()


def test_a_gguf_files_start_is_planned(open_app, tmp_path):
    """Heads and exact weights of the file, under the engine that loads it."""
    app = upload(open_app(engine="llama.cpp"), header(tmp_path))
    assert not app.exception
    assert "tiny" in verdict(app)
    assert app.metric[0].value == "256\u00a0B"


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64, b"{}"])
def test_a_bad_gguf_file_is_explained(open_app, content):
    """A stranger's bytes end in a sentence."""
    app = upload(open_app(), content)
    assert not app.exception
    assert "is no readable GGUF file" in verdict(app)
    assert not app.metric


def test_a_hub_is_asked_by_the_button_alone(open_app, monkeypatch):
    """Drawing a page tells nobody what the visitor looks at."""
    asked = []

    def fetch(name, *, anonymous):
        asked.append((name, anonymous))
        return kvsim.load_model("qwen3-8b")

    monkeypatch.setattr(kvsim, "hub_model", fetch)
    monkeypatch.setattr(kvsim, "is_offline", lambda: False)
    app = open_app(model=scenario.HUB, hub_id="some-one/some-model")
    assert asked == []
    assert app.info[0].value.startswith("Enter an id")
    app.button(key="hub_fetch").click().run()
    assert asked == [("some-one/some-model", True)]
    assert len(app.metric) == 4
    app.number_input(key="max_model_len").set_value(4096).run()
    assert len(asked) == 1
    app.text_input(key="hub_id").set_value("some-one/other").run()
    assert app.info[0].value.startswith("Enter an id")
    assert not app.metric


def test_a_hub_that_cannot_be_had_is_explained(open_app, monkeypatch):
    """The reason stands where the verdict would be."""

    def fail(name, *, anonymous):
        message = f"model={name}: the hub cannot be reached, {anonymous}"
        raise kvsim.FileError(message)

    monkeypatch.setattr(kvsim, "hub_model", fail)
    monkeypatch.setattr(kvsim, "is_offline", lambda: False)
    app = open_app(model=scenario.HUB, hub_id="some-one/some-model")
    app.button(key="hub_fetch").click().run()
    assert "cannot be reached" in verdict(app)
    assert not app.exception


def test_offline_offers_no_button(open_app, monkeypatch):
    """It could not work."""
    monkeypatch.setattr(kvsim, "is_offline", lambda: True)
    app = open_app(model=scenario.HUB, hub_id="some-one/some-model")
    assert any("ask no hub" in info.value for info in app.info)
    assert "hub_fetch" not in {button.key for button in app.button}


def test_the_stated_limit_is_the_enforced_one(open_app):
    """The command that cuts a header makes a file that is taken."""
    app = open_app(model=scenario.CUSTOM)
    limit = own_model.GGUF_MB * 1_000_000
    assert any(f"head -c {limit} " in code.value for code in app.sidebar.code)
    assert limit <= own_model.GGUF_MB * 2**20


def test_the_launch_line_starts_what_was_judged():
    """Without the context it would be the model's own, which may not fit."""
    plan = plan_of(kvsim.EngineName.LLAMA_CPP, requests=4)
    words = plan.command.split()
    assert words[words.index("--ctx-size") + 1] == str(4 * 8192)
    assert words[words.index("--parallel") + 1] == "4"
