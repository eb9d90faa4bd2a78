"""Metrics pages: what is read off two scrapes, and which scrapes are refused."""

# long: one claim after another about one format

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvsim
from kvsim.cli import main
from kvsim.io.metrics_page import format_metrics
from kvsim.specs.lengths import counted_lengths
from kvsim.specs.metrics import Family, MetricKind, observed

INFINITE = float("inf")


def page(samples, name="page"):
    return kvsim.parse_metrics("\n".join(samples), name=name)


def vllm(prompts, outputs, *, hits=0, queries=0, extra=(), stamp="", model="m", bounds=(10, 100)):
    """A page of vLLM's after requests of these lengths."""
    labels = f'engine="0",model_name="{model}"'
    lines = []
    for name, values in (
        ("request_prompt_tokens", prompts),
        ("request_generation_tokens", outputs),
    ):
        histogram = observed(values, bounds)
        for bound, count in zip(histogram.bounds, histogram.cumulative, strict=True):
            le = "+Inf" if bound == INFINITE else float(bound)
            lines.append(f'vllm:{name}_bucket{{{labels},le="{le}"}} {count}{stamp}')
        lines.append(f"vllm:{name}_sum{{{labels}}} {sum(values)}{stamp}")
        lines.append(f"vllm:{name}_count{{{labels}}} {len(values)}{stamp}")
    lines.append(f"vllm:prefix_cache_hits_total{{{labels}}} {hits}{stamp}")
    lines.append(f"vllm:prefix_cache_queries_total{{{labels}}} {queries}{stamp}")
    return [*lines, *extra]


def test_what_happened_between_two_scrapes_is_their_difference():
    """
    Lengths, requests and hits are of the second scrape alone; those before do not count.
    """
    before = page(vllm([5] * 7, [1000] * 7, hits=100, queries=200))
    after = page(vllm([5] * 7 + [50] * 4, [1000] * 7 + [8] * 4, hits=120, queries=400))

    measured = kvsim.measured_traffic(before, after, seconds=2.0)

    assert (measured.num_finished, measured.rate_per_s) == (4, 2.0)
    assert measured.token_hit_rate == pytest.approx(0.1)
    assert (measured.prompt_mean, measured.output_mean) == (50, 8)
    assert 10 < measured.prompt_tokens.quantile(0.01) <= measured.prompt_tokens.quantile(1) < 101
    assert measured.output_tokens.quantile(1) < 11


def test_requests_that_still_run_have_arrived_too():
    """
    The rate counts what came in, not what happened to end in the meantime.
    """
    gauge = ['vllm:num_requests_running{model_name="m"} 3', "vllm:num_requests_waiting 2"]

    measured = kvsim.measured_traffic(
        page(vllm([], [])), page(vllm([5], [5], extra=gauge)), seconds=1.0
    )

    assert (measured.num_arrived, measured.num_finished) == (6, 1)


def test_time_stamps_tell_how_much_time_passed():
    """
    Milliseconds on the samples; without any source of time, and none stated, no rate is told.
    """
    stamped = (page(vllm([], [], stamp=" 1000")), page(vllm([5], [5], stamp=" 6000")))
    bare = (page(vllm([], [])), page(vllm([5], [5])))

    assert kvsim.measured_traffic(*stamped).rate_per_s == pytest.approx(0.2)
    assert kvsim.measured_traffic(*bare).rate_per_s is None
    assert kvsim.measured_traffic(stamped[0], bare[1]).elapsed is None


def test_one_page_counts_from_the_start_of_the_server():
    """
    Where the page says when that was.
    """
    started = ["process_start_time_seconds 2.0"]
    measured = kvsim.measured_traffic(
        None, page(vllm([5] * 8, [5] * 8, stamp=" 6000", extra=started))
    )

    assert measured.rate_per_s == pytest.approx(2.0)


def test_sglang_is_read_under_its_own_names():
    """
    Cached tokens over prompt tokens are its hit rate; ranks are not counted twice.
    """
    lines = [
        line.replace("vllm:request_prompt_tokens", "sglang:prompt_tokens_histogram")
        .replace("vllm:request_generation_tokens", "sglang:generation_tokens_histogram")
        .replace("vllm:prefix_cache_hits_total", "sglang:cached_tokens_total")
        .replace("vllm:prefix_cache_queries_total", "sglang:prompt_tokens_total")
        for line in vllm([50, 60], [5, 5], hits=33, queries=110)
    ]
    lines += [f'sglang:num_running_reqs{{tp_rank="{rank}"}} 1' for rank in (0, 1)]

    measured = kvsim.measured_traffic(None, page(lines), seconds=1.0)

    assert (measured.engine, measured.num_finished, measured.num_arrived) == ("sglang", 2, 3)
    assert measured.token_hit_rate == pytest.approx(0.3)


def test_the_longest_length_follows_from_the_cache():
    """
    Newer pages tell the cache's tokens and how many of the longest requests fit.
    """
    told = 'kv_cache_max_concurrency="2.5",kv_cache_size_tokens="1280",block_size="32"'
    measured = kvsim.measured_traffic(
        None, page(vllm([400], [20], extra=[f"vllm:cache_config_info{{{told}}} 1.0"]))
    )

    assert (measured.max_model_len, measured.block_size) == (512, 32)
    assert measured.traffic.max_tokens == 512


def test_without_the_cache_the_longest_prompt_may_get_the_longest_answer():
    """
    Histograms end at bounds: the last ones that anything fell under.
    """
    measured = kvsim.measured_traffic(None, page(vllm([90, 5], [20, 30], bounds=(10, 40, 100))))
    longest = measured.prompt_tokens.tokens[-1], measured.output_tokens.tokens[-1]

    assert measured.max_model_len is None
    assert measured.traffic.max_tokens == sum(map(ceil, longest)) == 101 + 41


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (vllm([5] * 3, [5] * 3), vllm([5], [5]), "the counter was reset"),
        (vllm([], [], hits=9), vllm([5], [5], hits=3), "prefix_cache_hits_total=3 of after"),
        (vllm([], [], model="a"), vllm([5], [5], model="b"), "model_name=b of after must be a"),
        (vllm([], [], bounds=(10, 200)), vllm([5], [5]), "the buckets of after must be those"),
        (vllm([5], [5]), vllm([5], [5]), "request_prompt_tokens_count=0 must be > 0"),
        (["up 1"], vllm([5], [5]), "before: none of its metrics is of a known server"),
        (vllm([], []), ["sglang:num_running_reqs 1"], "metrics=sglang: of after must be vllm:"),
        (vllm([], []), ["vllm:num_requests_running 1"], "vllm:request_prompt_tokens is missing"),
        (
            vllm([], [], extra=["process_start_time_seconds 1.0"]),
            vllm([5], [5], extra=["process_start_time_seconds 2.0"]),
            "process_start_time_seconds=2.0 of after must be 1.0",
        ),
        (
            vllm([], [], extra=['vllm:cache_config_info{block_size="16"} 1']),
            vllm([5], [5], extra=['vllm:cache_config_info{block_size="32"} 1']),
            "block_size 32 of after must be block_size 16",
        ),
        (
            vllm([], []),
            [*vllm([5], [5]), 'vllm:num_requests_running{model_name="other"} 1'],
            "model_name=m, other must be one",
        ),
        (vllm([], []), vllm([5], []), "must be > 0"),
    ],
)
def test_scrapes_that_tell_nothing_are_refused(before, after, message):
    """
    Field, value and rule: another server, a restart, or nothing in between.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.measured_traffic(page(before, "before"), page(after, "after"), seconds=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "page: the page holds no sample"),
        ("# HELP only\n", "holds no sample"),
        ("<html>", "line 1: '<html>' is no sample"),
        ("ok 1\nbad{x} 1", "line 2"),
        ("ok 1\nname{a=b} 1", "line 2"),
        ("name one", "line 1"),
    ],
)
def test_other_files_are_no_pages(text, message):
    """
    The line is named.
    """
    with pytest.raises(kvsim.SpecError, match=message):
        kvsim.parse_metrics(text, name="page")


LABELS = st.dictionaries(st.sampled_from(["a", "b_1", "_c"]), st.text(max_size=5), max_size=3).map(
    lambda d: tuple(sorted(d.items()))
)


@settings(max_examples=40)
@given(
    st.dictionaries(LABELS, st.floats(allow_nan=False), min_size=1, max_size=4),
    st.integers(0, 10**9),
)
def test_what_is_written_reads_back(values, stamp_ms):
    """
    Names, labels of any text, values and the time stamp.
    """
    family = Family(name="kv:x", kind=MetricKind.GAUGE, doc="", values=values)
    text = format_metrics([family], read_s=stamp_ms / 1000)

    read = kvsim.parse_metrics(text, name="page")

    assert read.samples["kv:x"] == values
    assert read.read_s == pytest.approx(stamp_ms / 1000)


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    st.lists(st.integers(1, 4000), unique=True, max_size=8).map(sorted),
)
def test_lengths_keep_their_buckets_and_their_mean(values, bounds):
    """
    A quantile of the rebuilt lengths lies in the bucket of the sample's own.
    """
    histogram = observed(values, bounds)
    mean = sum(values) / len(values)

    lengths = counted_lengths(histogram.bounds, histogram.counts, mean=mean, longest=5000)

    for rank, value in enumerate(sorted(values)):
        share = (rank + 0.5) / len(values)
        rebuilt = max(1, round(lengths.quantile(share)))
        assert observed([rebuilt], bounds).counts == observed([value], bounds).counts
    assert lengths.mean == pytest.approx(mean, abs=0.6)


@pytest.fixture
def server():
    """A server on this machine that shows a page; each scrape finds four requests more."""
    scrapes = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            scrapes.append(self.path)
            n = 4 * (len(scrapes) - 1)
            body = "\n".join(vllm([50] * n, [8] * n)).encode()
            self.send_response(302 if self.path == "/elsewhere" else 200)
            self.send_header("Location", "/metrics")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", scrapes
        http.shutdown()
        thread.join()


def test_a_server_is_scraped_twice(server, capsys):
    """
    One URL and a time to wait: the rate is what came in between.
    """
    url, scrapes = server
    argv = ["workload", "from-metrics", url, "--seconds", "1.1", "--num-requests", "5", "--json"]

    assert main(argv) == 0
    assert '"num_finished": 4' in capsys.readouterr().out
    assert scrapes == ["/metrics", "/metrics"]


def test_servers_that_show_no_page_are_refused(server):
    """
    Redirects are not followed, and a closed port is no traceback; what is secret stays so.
    """
    url, _ = server
    with pytest.raises(kvsim.FileError, match="/elsewhere: "):
        kvsim.read_metrics(f"{url}/elsewhere")
    with pytest.raises(kvsim.FileError, match="localhost/metrics: ") as refused:
        kvsim.read_metrics("http://user:secret@localhost:9")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"seconds": 0.0}, "seconds=0 must be > 0"),
        ({"seconds": INFINITE}, "seconds=inf must be > 0"),
        ({"max_model_len": 0}, "max_model_len=0 must be a whole number >= 1"),
        ({"max_model_len": 10**12}, "max_model_len=1000000000000 must be at most"),
    ],
)
def test_a_time_or_a_length_that_no_server_has_is_refused(asked, words):
    """
    What the user states beside the pages is checked as what the pages say.
    """
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.measured_traffic(None, page(vllm([5], [5])), **asked)


def test_a_page_that_does_not_count_hits_tells_no_hit_rate():
    """
    Nothing known is not nought: a server without these counters is not one without hits.
    """
    silent = [line for line in vllm([5], [5]) if "prefix_cache" not in line]

    measured = kvsim.measured_traffic(None, page(silent))

    assert measured.token_hit_rate is None
    assert kvsim.measured_traffic(None, page(vllm([5], [5]))).token_hit_rate == 0
    assert len(measured.not_modeled) == 2


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ('block_size="16",kv_cache_size_tokens="8000",kv_cache_max_concurrency="4"', (16, 2000)),
        ('block_size="None",kv_cache_size_tokens="8000"', (None, None)),
        ('block_size="0",kv_cache_size_tokens="1",kv_cache_max_concurrency="4"', (None, None)),
    ],
)
def test_what_the_server_says_of_its_cache_is_taken_where_it_can_be(labels, found):
    """
    8,000 tokens for 4 of the longest requests: 2,000 each; a quarter of a token is no length.
    """
    info = [f"vllm:cache_config_info{{{labels}}} 1.0"]

    measured = kvsim.measured_traffic(None, page(vllm([5], [5], extra=info)))

    assert (measured.block_size, measured.max_model_len) == found


@pytest.mark.parametrize(
    ("bounds", "longest"), [((1, 2), 4), ((1, 2, 5), 9), ((1, 2, 5, 10), 19), ((1, 10, 20), 49)]
)
def test_lengths_above_the_last_bound_end_before_the_next(bounds, longest):
    """
    Bounds are 1, 2 and 5 times powers of ten: after 2 comes 5, after 5 comes 10, after 20 50.
    """
    measured = kvsim.measured_traffic(None, page(vllm([10**6], [1], bounds=bounds)))

    assert f"they end at {longest} tokens" in measured.not_modeled[-1]


def test_pages_of_different_clocks_tell_no_time():
    """
    A stamped page beside one without a stamp: no gap, so no rate.
    """
    both = (page(vllm([], [], stamp=" 1000")), page(vllm([5], [5], stamp=" 1000")))

    assert kvsim.measured_traffic(*both).elapsed is None
    assert kvsim.measured_traffic(both[0], page(vllm([5], [5]))).rate_per_s is None
    assert kvsim.measured_traffic(page(vllm([], [])), both[1]).rate_per_s is None


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [line for line in vllm([5], [5]) if "+Inf" not in line],
            "prompt_tokens_bucket must rise to le=.Inf",
        ),
        (vllm([5], [5], extra=["vllm:num_requests_running -1"]), "running=-1 of page must be in"),
    ],
)
def test_a_page_that_no_server_prints_is_refused(lines, words):
    """
    A histogram without its end, and fewer requests than none.
    """
    with pytest.raises(kvsim.SpecError, match=words):
        kvsim.measured_traffic(None, page(lines))


def test_a_server_that_lost_a_series_was_another():
    """
    The engine whose counts are gone cannot be told from one that was restarted.
    """
    second = [line.replace('engine="0"', 'engine="1"') for line in vllm([5], [5])]

    with pytest.raises(kvsim.SpecError, match=r"'engine': '1'.* of page is gone"):
        kvsim.measured_traffic(page([*vllm([5], [5]), *second]), page(vllm([5, 6], [5, 6])))
