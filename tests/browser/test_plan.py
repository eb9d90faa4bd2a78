"""Page Plan in a real browser: what a visitor sees, changes, shares and downloads."""

import json
import re
import subprocess
import sys

import pytest

import kvsim
from tests.app.server import ROOT
from tests.browser.conftest import choose, settle
from tests.browser.looks import check_nothing_is_clipped

LONG_NUMBERS = "?model=qwen2.5-0.5b&gpu=B300-SXM6-270GB&tensor_parallel_size=2&max_model_len=512"


def concurrency(page):
    """The last metric: the number people look for."""
    return page.get_by_test_id("stMetricValue").nth(3).inner_text()


def expect(what):
    from playwright.sync_api import expect as wait_for  # noqa: PLC0415 - only with a browser

    return wait_for(what)


def test_a_change_shows_in_the_number_and_the_address_and_survives_a_reload(visit):
    """A link is worth sending only if the other side sees the same."""
    page = visit()
    before = concurrency(page)
    field = page.get_by_role("spinbutton", name="Context, tokens")
    field.fill("16384")
    field.press("Enter")
    metric = page.get_by_test_id("stMetricValue").nth(3)
    expect(metric).not_to_have_text(before)
    page.wait_for_url(re.compile(r"max_model_len=16384"))
    settle(page)
    after = concurrency(page)
    assert after != before
    query = page.url.partition("/?")[2]
    assert "v=1" in query.split("&")
    other = visit(f"?{query}")
    expect(other.get_by_test_id("stMetricValue").nth(3)).to_have_text(after)


def test_a_fix_is_applied_by_a_click(visit):
    """The button changes the input, the address and the verdict."""
    page = visit("?concurrent_requests=64")
    expect(page.get_by_role("heading", name="Does not fit")).to_be_visible()
    page.get_by_role("button", name="kv_cache_dtype=fp8").click()
    page.wait_for_url(re.compile(r"kv_cache_dtype=fp8"))
    expect(page.get_by_role("heading", name="Does not fit")).to_have_count(0)


def test_reset_clears_the_address(visit):
    """Home has no parameters but the link's version."""
    page = visit("?model=gpt2&max_model_len=512")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_url(re.compile(r"/\?v=1$"))
    settle(page)
    assert page.get_by_role("spinbutton", name=re.compile("Context")).input_value() == "8192"


def test_a_bad_link_warns(visit):
    """Streamlit itself would drop the value without a word."""
    page = visit("?model=lama&max_model_len=0&weights_gib=1e400")
    warning = page.get_by_role("alert").first
    expect(warning).to_contain_text("Link values ignored")
    expect(warning).to_contain_text("model=lama")
    expect(warning).to_contain_text("max_model_len=0")
    expect(warning).to_contain_text("weights_gib=1e400")


def test_bad_input_is_explained_in_the_page(visit):
    """No traceback, no stale number."""
    page = visit("?model=gpt2")
    expect(page.get_by_role("alert")).to_contain_text("max_model_len=8192 must be")
    assert page.get_by_test_id("stMetricValue").count() == 0
    assert page.get_by_text("Traceback").count() == 0


@pytest.mark.parametrize("query", ["", LONG_NUMBERS, "?lang=zh&model=llama-3.1-70b"])
def test_no_number_is_clipped(visit, query):
    """A clipped number is a wrong number; only looking finds it, so a test looks."""
    page = visit(query)
    expect(page.get_by_test_id("stMetricValue")).to_have_count(4)
    check_nothing_is_clipped(page)


def download(page, form):
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download {form}").click()
    return waiting.value.path().read_text("utf-8")


def test_the_downloads_are_what_the_command_line_prints(visit):
    """One core, three faces; CSV for a spreadsheet, Markdown for a ticket."""
    page = visit()
    shown = json.loads(download(page, "JSON"))
    command = [sys.executable, "-m", "kvsim", "plan", "llama-3.1-8b", "--gpu", "H100-SXM5-80GB"]
    command += ["--max-model-len", "8192", "--concurrent-requests", "32", "--json"]
    printed = json.loads(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )
    asked = shown["provenance"]["inputs_sha256"]  # of the page's inputs, not of flags
    printed["provenance"]["inputs_sha256"] = asked
    assert shown == printed
    assert next(iter(shown)) == "schema_version"
    assert download(page, "CSV") == kvsim.report_csv(shown)
    assert download(page, "Markdown") == kvsim.report_markdown(shown)


def test_the_page_has_its_own_address_too(visit):
    """`/plan` is what one types who has seen `/engines`."""
    page = visit("plan?max_model_len=4096")
    field = page.get_by_role("spinbutton", name=re.compile("Context"))
    expect(field).to_have_value("4096")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    page.wait_for_url(re.compile(r"max_model_len=4096"))


def test_a_pasted_config_is_planned(visit):
    """No file, no hub: the text is enough."""
    page = visit("?model=custom")
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "max_position_embeddings": 8192,
    }
    field = page.get_by_role("textbox", name="Paste a config.json")
    field.fill(json.dumps(config))
    field.press("Control+Enter")
    expect(page.get_by_test_id("stMetricValue").first).to_have_text("16.00 KiB")


def test_charts_have_a_text_alternative(visit):
    """A screen reader gets the numbers, not the word "chart"."""
    page = visit()
    figures = page.get_by_role("figure")
    expect(figures).to_have_count(2)
    assert re.search(r"weights \d+\.\d\d\sGiB", figures.first.get_attribute("aria-label"))


def test_chinese_is_chosen_in_the_page(visit):
    """The language is part of the link."""
    page = visit()
    page.get_by_role("radio", name="zh").click()
    expect(page.get_by_role("heading", name=re.compile("单个 GPU 的显存"))).to_be_visible()
    page.wait_for_url(re.compile(r"lang=zh"))


def test_another_engine_is_chosen_in_the_page(visit):
    """Verdict, settings and launch line follow, and the link keeps the choice."""
    page = visit("?engine=llama.cpp&concurrent_requests=4")
    expect(page.get_by_text("llama-server -m")).to_be_visible()
    check_nothing_is_clipped(page)
    page.set_viewport_size({"width": 1300, "height": 900})
    choose(page, "Engine", "sglang")
    expect(page.get_by_text("sglang.launch_server")).to_be_visible()
    page.wait_for_url(re.compile(r"engine=sglang"))


@pytest.mark.parametrize("content", [b"not a model", b"GGUF\x03\x00\x00\x00" + b"\xff" * 99])
def test_a_bad_gguf_file_is_explained(visit, content):
    """No traceback, no number, and the server lives on."""
    page = visit("?model=custom&engine=llama.cpp")
    files = {"name": "../x.gguf", "mimeType": "application/octet-stream", "buffer": content}
    page.locator("input[type=file]").nth(1).set_input_files(files)
    expect(page.get_by_role("alert")).to_contain_text("is no readable GGUF file")
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_test_id("stMetricValue").count() == 0


def test_two_changes_are_applied_by_one_click(visit):
    """Where no single one is enough."""
    page = visit("?model=llama-3.1-405b&gpu=L4&concurrent_requests=1")
    page.get_by_role("button", name=re.compile(r" \+ ")).click()
    page.wait_for_url(re.compile(r"_size=|quantization="))
    expect(page.get_by_role("heading", name="Does not fit")).to_have_count(0)
