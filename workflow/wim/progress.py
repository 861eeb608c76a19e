"""Progress of long work: a bar on a terminal, plain lines in the log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)
T = TypeVar("T")
SECONDS_BETWEEN_LINES = 15.0


def progress(items: Iterable[T], total: int, doing: str, unit: str) -> Iterator[T]:
    """Yield the items while showing how many of `total` are done.

    A terminal gets a bar. The log gets a line at most every 15 seconds and one at the end.
    """
    from tqdm import tqdm

    bar = tqdm(total=total, desc=doing, unit=unit, disable=not sys.stderr.isatty())
    done, start = 0, time.monotonic()
    last = start
    try:
        for item in items:
            yield item
            done += 1
            bar.update()
            now = time.monotonic()
            if now - last >= SECONDS_BETWEEN_LINES:
                last = now
                logger.debug("%s: %d of %d %ss", doing, done, total, unit)
    finally:
        bar.close()
    logger.debug("%s: %d %ss in %.1f s", doing, done, unit, time.monotonic() - start)
