"""Every text exists in both languages, with the same placeholders, and is used."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import kvsim
from app import engine_charts, paging_charts, saved, scenario
from app.i18n import LANGUAGES, MODULES, TEXTS, Text
from app.views import (
    learn_work,
    log,
    paging,
    plan,
    reasons,
    run_results,
    search,
    simulate,
    verdict,
)

APP = Path(__file__).parents[2] / "app"


def test_no_key_is_written_twice():
    """The later module would silence the earlier."""
    assert sum(len(module.TEXTS) for module in MODULES) == len(TEXTS)


def placeholders(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", TEXTS)
def test_a_text_says_the_same_in_each_language(key):
    """A number that one language leaves out is lost to half the readers."""
    texts = TEXTS[key]
    assert len(texts) == len(LANGUAGES)
    assert len({frozenset(placeholders(text)) for text in texts}) == 1


@pytest.mark.parametrize("key", [key for key in TEXTS if key != "between_sentences"])
def test_no_text_is_empty(key):
    """An empty label is a widget without a name."""
    assert all(text.strip() for text in TEXTS[key])


@pytest.mark.parametrize("key", TEXTS)
def test_bold_ends_where_markdown_sees_it(key):
    """After a Chinese full stop and before a character, `**` closes nothing and shows."""
    hidden = r"[。，：；]\*\*(?! )"  # noqa: RUF001 - Chinese marks
    assert not any(re.search(hidden, text) for text in TEXTS[key])


def asked_keys():
    """Keys that `t(...)` is called with: whole ones, and patterns of those put together."""
    whole, patterns = set(), set()
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(func=func) if ast.unparse(func) not in {"t", "t.template"}:
                    continue
                case ast.Call(args=[ast.Constant(value=str(key)), *_]):
                    whole.add(key)
                case ast.Call(args=[ast.JoinedStr(values=parts), *_]):
                    patterns.add(
                        "".join(
                            re.escape(part.value) if isinstance(part, ast.Constant) else ".+"
                            for part in parts
                        )
                    )
    return whole, patterns


NAMED_ELSEWHERE = {
    *scenario.PRESETS,
    *(key for key, _, _ in verdict.VERDICTS.values()),
    *plan.CAUSES.values(),
    *("make_baseline", "ask_scenario", "remove_scenario"),
    "needs_has",
    "needs_none",
    "advanced",
    "machine",
    "measured",
    *(field.empty for field in (scenario.FIELDS | scenario.PAGE_FIELDS).values()),
    *("paste_first", "ask_hub_first", "trace_first", "press_run", "press_run_again"),
    *simulate.NOTICES.values(),
    *search.NOTICES.values(),
    *("log_explained", "log_unexplained", "log_printed", "log_predicted"),
}


def test_no_asked_text_is_missing():
    """A missing key would show as an error page."""
    whole, _ = asked_keys()
    assert whole | NAMED_ELSEWHERE <= TEXTS.keys()


def test_no_text_is_unused():
    """A text that nothing shows goes stale unseen."""
    whole, patterns = asked_keys()
    unused = TEXTS.keys() - whole - NAMED_ELSEWHERE
    assert {key for key in unused if not any(re.fullmatch(p, key) for p in patterns)} == set()


def scenario_of_defaults():
    """What the inputs describe as they are first seen."""
    return saved.scenario_of(saved.NOTHING).scenario()


def test_texts_that_are_put_together_exist():
    """Keys made from a field, a segment, a row or a setting."""
    fields = scenario.FIELDS | scenario.PAGE_FIELDS
    keys = {f"{kind}_{name}" for kind in ("label", "help") for name in fields}
    keys |= {f"segment_{name}" for name in kvsim.SegmentName}
    keys |= {f"row_{name}" for name in plan.BUDGET_ROWS}
    keys |= {f"bound_{name}" for name in ("compute", "bandwidth", "capacity")}
    keys |= {f"about_{model.provenance}" for model in kvsim.catalog_models()}
    settings = (
        *("gpu_memory_utilization", "max_num_seqs", "kv_cache_dtype", "max_model_len"),
        *("concurrent_requests", "quantization", "tensor_parallel_size", "gpu"),
        *("pipeline_parallel_size", "max_num_batched_tokens", "enforce_eager", "cache_type_k"),
        *("kv_cache_type", "gpu_layers", "num_gpu", "n_cpu_moe"),
    )
    keys |= {f"cost_{name}" for name in settings}
    keys |= {f"verdict_{verdict.name.lower()}" for verdict in kvsim.Verdict}
    keys |= {f"why_{part}_{name}" for part, names in reasons.PARTS.items() for name in names}
    keys |= {f"why_{name}" for name in reasons.STAGE_FIGURES}
    keys |= {f"setting_{name}" for name in reasons.SETTINGS}
    keys |= {f"figure_{name}" for name in engine_charts.FIGURES}
    keys |= {f"row_{name}" for name in run_results.LATENCIES}
    keys |= {f"waste_{name}" for name in run_results.WASTE}
    keys |= {f"compared_{name}" for name in kvsim.answer(scenario_of_defaults()).figures}
    keys |= {f"short_{verdict.name.lower()}" for verdict in kvsim.Verdict}
    keys |= {f"{what}_help" for what in ("make_baseline", "ask_scenario", "remove_scenario")}
    keys |= {f"outcome_{name}" for name in log.OUTCOMES}
    keys |= {f"walk_{name}" for name in learn_work.WALK}
    keys |= {f"search_outcome_{outcome.name.lower()}" for outcome in kvsim.SearchOutcome}
    keys |= {f"axis_{name}" for name in ("usd_per_month", "usd_per_million_tokens")}
    keys |= {f"player_{name}" for name in paging.PLAYER}
    keys |= {f"method_{name}" for name in (*kvsim.Reservation, "paged", "paged-cache")}
    keys |= {f"part_{name}" for name in paging_charts.PARTS}
    keys |= {f"column_in_{unit}" for unit in ("bytes", "tokens", "blocks")}
    assert keys <= TEXTS.keys()


def test_every_verdict_and_cause_has_words():
    """A new one in the library must not break the page."""
    assert set(verdict.VERDICTS) == set(kvsim.Verdict)
    assert set(plan.CAUSES) == set(kvsim.Cause)


def test_placeholders_are_filled():
    """The call fills what the text names."""
    assert Text("zh")("missing", missing="1 GiB") == "**缺 1 GiB**。"
