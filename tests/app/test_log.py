"""Page Log: a log is explained part by part, bad input is explained, nothing pasted is markup."""

import pytest

import kvsim
from app.example_log import EXAMPLE
from app.i18n import Text
from app.said import words_of
from app.scenario import MAX_LOG_BYTES
from app.text import gib, inert
from app.views import log

UNKNOWN_MODEL = EXAMPLE.replace("meta-llama/Llama-3.1-8B-Instruct", "acme/<b>x</b>")
STARTED = """\
INFO [api_server.py:1] vLLM API server version 0.11.0
INFO [utils.py:233] non-default args: {'model': 'meta-llama/Llama-3.1-8B', 'max_model_len': 4096}
INFO [gpu_worker.py:298] Available KV cache memory: 19.24 GiB
INFO [kv_cache_utils.py:1087] GPU KV cache size: 157,584 tokens
INFO:     Application startup complete.
"""


def pasted(open_page, text, **query):
    app = open_page("log", **query)
    return app.text_area(key="log_text").set_value(text).run()


def texts(app):
    return [text.value for text in app.text]


def test_it_says_what_to_paste(open_page):
    """An empty page explains itself."""
    app = open_page("log")
    assert not app.exception
    assert app.info[0].value.startswith("Paste or upload what vLLM")
    assert not app.error


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_example_is_explained(open_page, lang):
    """Every part of every check, and every piece of advice, is the library's."""
    app = open_page("log", lang=lang).button(key="log_example").click().run()
    assert not app.exception
    explained = kvsim.explain_log(EXAMPLE)
    assert explained.checks
    assert not explained.unexplained
    tables = [text.value for text in app.markdown if text.value.startswith("| ")]
    assert len(tables) == len(explained.checks)
    memory = next(check for check in explained.checks if check.unit == "bytes")
    for part in (memory.whole, *memory.parts):
        assert any(gib(part.value.best) in shown for shown in tables)
    page = Text(lang)
    (advised,) = (text.value for text in app.markdown if text.value.startswith("- "))
    assert len(explained.advice) == advised.count("\n") + 1
    for each in explained.advice:
        for words in (each.knob, each.change, each.why):
            assert inert(words_of(words, page)) in advised
    assert app.warning[0].value in ("The engine refused to start.", "引擎拒绝启动。")


def test_settings_have_the_lines_they_were_read_on(open_page):
    """The reader finds the line in his own log."""
    (cells,) = pasted(open_page, EXAMPLE).dataframe
    lines = dict(zip(cells.value["name"], cells.value["line"], strict=True))
    assert lines["kv_tokens"] == 8
    assert lines["total_gpu_gib"] == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello\nworld", "no line of vllm"),
        ("/etc/hostname", "no line of vllm"),
        ("\ud800\n", "no line of vllm"),
        ("x" * (MAX_LOG_BYTES + 1), "1,000,000 bytes here"),
    ],
)
def test_bad_input_is_explained(text, reason):
    """No text is a file's name, and none is too long for the page to say so."""
    with pytest.raises(kvsim.KvsimError, match=reason):
        log._explain(text, "auto", "auto")


def test_a_text_that_is_no_log_is_refused_in_words(open_page):
    """The reason stands where the answer would."""
    app = pasted(open_page, "hello\nworld")
    assert not app.exception
    assert "no line of vllm" in app.error[0].value
    assert not app.code


def test_an_unknown_model_is_asked_for(open_page):
    """It is never guessed, and its name is shown as text."""
    app = pasted(open_page, UNKNOWN_MODEL)
    assert not app.exception
    assert any("--model" in text and "acme/<b>x</b>" in text for text in texts(app))
    assert not any("<b>" in text.value for text in app.markdown)
    told = pasted(open_page, UNKNOWN_MODEL, log_model="llama-3.1-8b")
    assert not any("--model" in text for text in texts(told))


def test_a_chosen_gpu_adds_the_memory_of_a_rank(open_page):
    """A log without a total asks for the device."""
    app = pasted(open_page, STARTED)
    assert app.success[0].value == "The engine started."
    assert any("--gpu" in text for text in texts(app))
    told = pasted(open_page, STARTED, log_gpu="A100-SXM4-40GB")
    assert not any("--gpu" in text for text in texts(told))


def test_an_uploaded_log_is_read_and_stays_out_of_the_link(open_page):
    """The address is for colleagues, the log is not."""
    app = open_page("log")
    app.file_uploader(key="log_upload").set_value(("../x.log", STARTED.encode(), "text/plain"))
    app.run()
    assert app.success
    assert "log_text" not in app.query_params
    assert set(pasted(open_page, STARTED).query_params) == {"v"}


def test_every_outcome_has_words():
    """A new one in the library must not break the page."""
    assert set(log.OUTCOMES) == set(type(kvsim.read_engine_log(EXAMPLE).outcome))
