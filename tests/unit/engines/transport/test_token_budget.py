"""Tokens per minute stay within their bound, by a clock that tests move."""

import asyncio

import pytest

from support.api_server import ApiServer, said
from wim.engines.base import Request
from wim.engines.remote.engine import EndpointEngine
from wim.engines.transport.calls import Calls
from wim.engines.transport.token_budget import TokenBudget
from wim.settings.models import ApiSettings
from wim.settings.sampling import Sampling


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def budget(per_minute: int | None) -> tuple[TokenBudget, Clock]:
    clock = Clock()
    return TokenBudget(per_minute, lambda: clock.now, clock.sleep), clock


def times(per_minute: int | None, tokens: list[float]) -> list[float]:
    """When each of some requests may go, one after another."""
    held, _ = budget(per_minute)

    async def spend() -> list[float]:
        return [(await held.reserve(each)).time for each in tokens]

    return asyncio.run(spend())


def test_requests_go_while_their_tokens_fit_into_the_minute() -> None:
    assert times(100, [40, 40, 40, 40, 40]) == [0, 0, 60, 60, 120]


def test_no_bound_holds_nothing_back() -> None:
    assert times(None, [10**9] * 3) == [0, 0, 0]


def test_a_request_above_the_bound_goes_alone() -> None:
    assert times(100, [10, 500, 10]) == [0, 60, 120]


def test_what_the_server_counted_takes_the_place_of_the_estimate() -> None:
    held, clock = budget(100)

    async def spend() -> None:
        first = await held.reserve(90)
        first.tokens = 20
        await held.reserve(80)

    asyncio.run(spend())
    assert clock.now == 0


@pytest.mark.parametrize("seed", range(3))
def test_no_minute_has_more_than_the_bound(seed) -> None:
    import random

    draw = random.Random(seed)
    tokens = [float(draw.randint(1, 60)) for _ in range(60)]
    sent = list(zip(times(100, tokens), tokens, strict=True))
    for start, _ in sent:
        assert sum(each for time, each in sent if start <= time < start + 60) <= 100


def test_requests_to_a_server_keep_to_the_bound(monkeypatch) -> None:
    clock = Clock()
    with ApiServer(lambda *_: said("x")) as server:
        api = ApiSettings(url=server.url, tokens_per_minute=48, requests_in_flight=1)
        calls = Calls("far", server.url, api)
        monkeypatch.setattr(calls, "_budget", TokenBudget(48, lambda: clock.now, clock.sleep))
        requests = [Request(str(n), ({"role": "user", "content": "x"},)) for n in range(6)]
        list(EndpointEngine(calls, "m", 1).generate(requests, Sampling(max_new_tokens=16)))
    # Each is estimated at 16 and a third, and counted as 16: three in a minute do not fit, since
    # the third is estimated before it is counted.
    assert len(server.asked) == 6
    assert clock.now == 120
