"""A bounded load for a vLLM: requests that are all there before the first step."""

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import kvsim
from validation.live.server import Server, fetch, metrics
from validation.live.vllm_readings import Usage, usage_of

QUEUED_S, SETTLED_S = 120.0, 30.0
SAMPLE_S = 0.02
ADDED = "Added request "
"""How the server's log says that a request is in the engine's queue; it is asked to say so."""

LOWEST_TOKEN, HIGHEST_TOKEN = 5, 900
SHARED_SEGMENT = 0
PROMPT_STRIDE, PROMPT_SPREAD, OUTPUT_STRIDE, OUTPUT_SPREAD = 11, 37, 5, 23
"""Request i is longer than the first by i strides, modulo the spread: no two lengths align."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests whose prompts begin alike and go on apart; lengths in tokens."""

    num_requests: int = 24
    num_shared_tokens: int = 130
    num_own_tokens: int = 70
    num_output_tokens: int = 60

    def as_dict(self) -> dict[str, int]:
        """What `Load(**...)` reads back."""
        return asdict(self)

    def workload(self) -> kvsim.Workload:
        """The requests, all there at second 0."""
        return kvsim.Workload(requests=tuple(self._requests()))

    def _requests(self) -> Iterator[kvsim.Request]:
        for i in range(self.num_requests):
            own = self.num_own_tokens + i * PROMPT_STRIDE % PROMPT_SPREAD
            shared = kvsim.PromptSegment(SHARED_SEGMENT, self.num_shared_tokens)
            yield kvsim.Request(
                arrival_s=0.0,
                prompt=(shared, kvsim.PromptSegment(i + 1, own)),
                num_prompt_tokens=self.num_shared_tokens + own,
                num_output_tokens=self.num_output_tokens + i * OUTPUT_STRIDE % OUTPUT_SPREAD,
            )

    def prompts(self, seed: int) -> list[list[int]]:
        """Token ids of each request; equal segments are equal ids."""
        return [
            [
                token
                for segment in request.prompt
                for token in ids(segment.segment_id, segment.num_tokens, seed)
            ]
            for request in self.workload()
        ]


def ids(segment: int, num_tokens: int, seed: int) -> list[int]:
    """The tokens of a segment."""
    drawn = random.Random(f"{seed}-{segment}")
    return [drawn.randint(LOWEST_TOKEN, HIGHEST_TOKEN) for _ in range(num_tokens)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The gauges' highest values while a load was served, as often as they were read."""

    num_samples: int
    highest_usage: float
    highest_running: int


def serve(server: Server, url: str, load: Load, *, model: str, seed: int) -> tuple[Usage, Sampled]:
    """The counters when all is served, and the gauges' highest values on the way.

    The engine is held still until it has every request: what it does then follows from the
    requests alone, not from when they came.

    Raises:
        ServerError: if the server ends, or does not take the requests in time.
        UnsupportedError: if it refuses one.
    """
    already = server.log.count(ADDED)
    fetch(f"{url}/pause?mode=keep", method="POST")
    senders = [Sender(url, body) for body in bodies(load, model=model, seed=seed)]
    for number, sender in enumerate(senders, start=1):
        sender.start()
        wait_until_queued(server, sender, already + number)
    fetch(f"{url}/resume", method="POST")
    seen = sample(url, senders)
    for sender in senders:
        sender.join()
        if sender.problem:
            raise kvsim.UnsupportedError(sender.problem)
    return settled(url, load), seen


def wait_until_queued(server: Server, sender: "Sender", number: int) -> None:
    """Until the log names so many requests, or this one was refused.

    Raises:
        ServerError: if the server ends, or takes too long.
    """
    server.wait_for(
        lambda: server.log.count(ADDED) >= number or bool(sender.problem),
        timeout_s=QUEUED_S,
        what=f"request {number}",
    )


def bodies(load: Load, *, model: str, seed: int) -> Iterator[dict[str, object]]:
    """One greedy completion per request, of exactly as many tokens as asked."""
    for request, prompt in zip(load.workload(), load.prompts(seed), strict=True):
        yield {
            "model": model,
            "prompt": prompt,
            "max_tokens": request.num_output_tokens,
            "temperature": 0.0,
            "ignore_eos": True,
            "seed": seed,
        }


class Sender(threading.Thread):
    """Posts one completion and waits for its end; `problem` is what went wrong."""

    def __init__(self, url: str, body: Mapping[str, object]) -> None:
        super().__init__(daemon=True)
        self.problem = ""
        self._url, self._body = url, body

    def run(self) -> None:
        """Post and wait."""
        try:
            json.loads(fetch(f"{self._url}/v1/completions", self._body))
        except kvsim.KvsimError as error:
            self.problem = str(error)


def sample(url: str, senders: list[Sender]) -> Sampled:
    """The gauges' highest values while any completion is under way."""
    number, usage, running = 0, 0.0, 0
    while any(sender.is_alive() for sender in senders):
        now = usage_of(metrics(url))
        number += 1
        usage, running = max(usage, now.kv_cache_usage), max(running, now.num_running)
        time.sleep(SAMPLE_S)
    return Sampled(num_samples=number, highest_usage=usage, highest_running=running)


def settled(url: str, load: Load) -> Usage:
    """The counters once they hold the last token: they lag behind the answers.

    Raises:
        UnsupportedError: if they never do.
    """
    asked = sum(request.num_output_tokens for request in load.workload())
    end_s = time.monotonic() + SETTLED_S
    while time.monotonic() < end_s:
        usage = usage_of(metrics(url))
        if usage.generation_tokens >= asked and not usage.num_running:
            return usage
        time.sleep(SAMPLE_S)
    msg = f"the metrics page counts {usage.generation_tokens} of {asked} tokens"
    raise kvsim.UnsupportedError(msg)
