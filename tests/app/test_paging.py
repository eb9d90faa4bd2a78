"""Page Paging: what it shows is what the library did, and bad input is explained."""

import base64
import json
import zlib

import pytest

import kvsim
from app.paging_fields import PAGING

SMALL = {"paging_requests": "6"}


def drawn(num_requests=6, **settings):
    chat = kvsim.SmallChat(max_tokens=512)
    workload = kvsim.generate_workload(chat.traffic(), num_requests=num_requests)
    return kvsim.paging(workload, num_sequences=3, max_model_len=512, **settings)


def component(app):
    """The player's data as the browser gets them."""
    (player,) = app.get("bidi_component")
    return json.loads(player.proto.json)


def frames(app):
    return json.loads(zlib.decompress(base64.b64decode(component(app)["frames"])))


def test_the_player_gets_the_librarys_frames(open_page):
    """No figure is made on the way: the browser has what `kvsim waste --frames` prints."""
    app = open_page("paging", **SMALL)
    model = kvsim.load_model("llama-3.1-8b")
    expected = drawn(token_bytes=kvsim.token_notes(model).kept_bytes)
    assert not app.exception
    sent = frames(app)
    assert sent.pop("schema_version") == 1
    assert sent.pop("provenance")["seed"] == 0
    assert sent == json.loads(json.dumps(expected.as_dict()))
    assert component(app)["start"] == expected.busiest_frame


def test_the_outcome_is_a_sentence(open_page):
    """Who was faster, and by how many requests."""
    done = drawn(24)
    app = open_page("paging")
    text = app.success[0].value
    assert f"**{done.paged.num_steps}** steps" in text
    assert f"**{done.num_left}** were left" in text
    metrics = [metric.value for metric in app.metric]
    assert metrics == [
        f"{value:,}"
        for value in (
            done.most_saved_blocks,
            done.num_hit_tokens,
            done.num_evicted,
            done.num_preemptions,
        )
    ]


def test_memory_for_all_is_said(open_page):
    """Where nobody has to wait, both ways end together."""
    app = open_page("paging", paging_requests="1")
    assert "nobody had to wait for memory" in app.success[0].value


def test_the_bars_are_the_waste_report(open_page):
    """Six methods, five parts, each a share of the same pool."""
    app = open_page("paging", **SMALL)
    (chart,) = [chart.proto for chart in app.get("plotly_chart")]
    traces = json.loads(chart.spec)["data"]
    methods = list(reversed(drawn().report.methods))
    assert [trace["x"] for trace in traces] == [
        pytest.approx([getattr(method, part) for method in methods])
        for part in ("used", "reserved", "internal", "external", "free")
    ]
    for method in methods:
        assert f"{method.used:.1%}" in chart.alt


def test_sizes_are_the_visitors_models(open_page):
    """A block is as heavy as the chosen model's notes, in the chosen format."""
    texts = {}
    for dtype in ("auto", "fp8"):
        app = open_page("paging", kv_cache_dtype=dtype, **SMALL)
        texts[dtype] = next(m.value for m in app.markdown if "a block of 16 tokens" in m.value)
    assert "**2.00\u00a0MiB**" in texts["auto"]
    assert "**1.00\u00a0MiB**" in texts["fp8"]


def test_a_link_sets_every_input(open_page):
    """A colleague sees the same run."""
    query = {
        "reservation": "orca-pow2",
        "paging_requests": "7",
        "system_tokens": "0",
        "pool_sequences": "4",
        "question_tokens": "20",
        "reply_tokens": "40",
        "longest_tokens": "256",
        "rate_per_step": "0.5",
        "paging_seed": "3",
    }
    assert set(query) == {field.name for field in PAGING}
    app = open_page("paging", **query)
    sent = frames(app)
    assert not app.warning
    assert sent["reservation"] == "orca-pow2"
    assert len(sent["requests"]) == 7
    assert sent["setting"]["num_slots"] == 4 * 256
    assert sent["num_hit_tokens"] >= 0


BAD_INPUT = {
    "too many blocks": ({"block_size": "1"}, "num\\_gpu\\_blocks=1537"),
    "a system prompt longer than all": ({"system_tokens": "512"}, "prefix tree of 512 tokens"),
    "an unknown engine": ({"engine_version": "0.1"}, ""),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_is_explained(open_page, case):
    """The library's reason, and no picture of something else."""
    query, reason = BAD_INPUT[case]
    app = open_page("paging", **SMALL | query)
    assert not app.exception
    if reason:
        assert reason in app.error[0].value
        assert not app.get("bidi_component")


def test_own_model_is_asked_for_first(open_page):
    """Choosing `custom` is no error."""
    app = open_page("paging", model="custom")
    assert app.info[0].value.startswith("Paste or upload")


@pytest.mark.parametrize("model", ["deepseek-v2-lite", "qwen3-next-80b-a3b", "gpt2"])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_shows_every_kind_of_model(open_page, model, lang):
    """Latents, states, a short context: the pool is drawn in tokens, whatever they weigh."""
    app = open_page("paging", lang=lang, model=model, max_model_len="1024", **SMALL)
    assert not app.exception
    assert not app.error
    assert component(app)["texts"]["play"] == {"en": "Play", "zh": "播放"}[lang]


def test_little_is_sent(open_page):
    """All of it is well below what a rerun may cost."""
    app = open_page("paging", paging_requests="100")
    (player,) = app.get("bidi_component")
    assert len(player.proto.SerializeToString()) < 120_000
