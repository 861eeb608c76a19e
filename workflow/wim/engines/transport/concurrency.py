"""Runs many coroutines at once and gives their results one by one."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Seconds for requests in flight when a signal ends the work.
LAST_ANSWERS = 5.0


def results(
    jobs: Sequence[Callable[[], Awaitable[T]]],
    opened: AbstractAsyncContextManager[object],
    leave: Callable[[], None],
) -> Iterator[T]:
    """The results of jobs in order of finishing; all run at once while `opened` is open.

    When a job raises, what had finished by then is given before the error. When a signal would end
    this process, `leave` is called, after which jobs may cancel themselves; what finishes within
    LAST_ANSWERS seconds is given, and then the signal's handler runs. The remaining jobs are
    cancelled, also when the caller stops.
    """
    finished: asyncio.Queue[asyncio.Future[T] | None] = asyncio.Queue()
    done = object()

    async def following(found: AsyncIterator[T]) -> T | object:
        return await anext(found, done)

    with (
        asyncio.Runner() as runner,
        _deferred_signals(runner.get_loop(), lambda: finished.put_nowait(None)),
    ):
        found = _in_order(jobs, opened, leave, finished)
        while (result := runner.run(following(found))) is not done:
            yield result  # type: ignore[misc]


async def _in_order(
    jobs: Sequence[Callable[[], Awaitable[T]]],
    opened: AbstractAsyncContextManager[object],
    leave: Callable[[], None],
    finished: "asyncio.Queue[asyncio.Future[T] | None]",
) -> AsyncIterator[T]:
    """finished: takes each job as it ends, and None for a signal."""
    failure: BaseException | None = None
    until: float | None = None
    async with opened:
        tasks = [asyncio.ensure_future(job()) for job in jobs]
        for task in tasks:
            task.add_done_callback(finished.put_nowait)
        waiting = len(tasks)
        try:
            while waiting:
                try:
                    async with asyncio.timeout_at(until):
                        task = await finished.get()  # type: ignore[assignment]
                except TimeoutError:
                    break
                now = asyncio.get_running_loop().time()
                if task is None:
                    leave()
                    until = until or now + LAST_ANSWERS
                    continue
                waiting -= 1
                if task.cancelled():
                    continue
                if error := task.exception():
                    failure, until = failure or error, now
                else:
                    yield task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if failure:
        raise failure


@contextmanager
def _deferred_signals(
    loop: asyncio.AbstractEventLoop, notify: Callable[[], None]
) -> Iterator[None]:
    """Signals that would end this process notify a loop, and act when the context ends.

    A handler that raised in the middle of a job would lose the answer that it has just received.
    """
    came: list[int] = []
    former: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
        former = {number: handler for number, handler in handlers.items() if callable(handler)}

    def handle(number: int, _frame: object) -> None:
        came.append(number)
        loop.call_soon_threadsafe(notify)

    for number in former:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        if came:
            former[came[0]](came[0], None)
