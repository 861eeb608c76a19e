"""A limit on tokens per minute."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WINDOW = 60.0


@dataclass
class Spending:
    """Tokens of a request, estimated until its answer reports their number."""

    time: float
    tokens: float


class TokenBudget:
    """Delays requests so that those of the last 60 seconds stay within a number of tokens."""

    def __init__(
        self,
        per_minute: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limit = per_minute
        self._clock = clock
        self._sleep = sleep
        self._spent: deque[Spending] = deque()

    async def reserve(self, tokens: float) -> Spending:
        """Wait until `tokens` may be spent. A request above the limit is sent alone."""
        while True:
            now = self._clock()
            while self._spent and self._spent[0].time <= now - WINDOW:
                self._spent.popleft()
            used = sum(each.tokens for each in self._spent)
            if self._limit is None or not self._spent or used + tokens <= self._limit:
                spending = Spending(now, tokens)
                if self._limit is not None:
                    self._spent.append(spending)
                return spending
            await self._sleep(self._spent[0].time + WINDOW - now)
