"""The precision that rows are known by, and rows that a store has in another one.

With `dtype: auto` a row is known by the precision that computed it. Machines that differ in it keep
rows of their own in a store that they share.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wim.engines.machine import PRECISIONS, fitting_precision
from wim.settings.models import ModelSource
from wim.store.memo import Memo

logger = logging.getLogger(__name__)
Identity = Mapping[str, object]


@dataclass
class KnownBy:
    """What of a model's identity its rows are known by.

    Attributes:
        identity: What decides a row, with the precision that computes it.
        others: The same with each other precision, if the configuration leaves it to the machine.
        counts: Whether rows in these are as good as its own: where rows are counted, for machines
            that may be others, and none is computed.
    """

    identity: Identity
    others: Sequence[Identity] = ()
    counts: bool = False
    _told: bool = field(default=False, init=False)

    def lacking(
        self,
        memo: Memo[str, Any],
        missing: Sequence[str],
        key_of: Callable[[str, Identity], str],
    ) -> set[str]:
        """Those of some missing rows that count as missing; of others that are there it is said."""
        lacking = set(missing)
        for other in self.others:
            found = memo.known({name: key_of(name, other) for name in sorted(lacking)})
            if found and not self.counts and not self._told:
                self._told = True
                logger.warning(
                    "rows are in the store in %s, computed on another machine, and are computed "
                    "again in %s, which is faster here; write the model's dtype: %s to use them.",
                    *(other["dtype"], self.identity["dtype"], other["dtype"]),
                )
            if self.counts:
                lacking -= set(found)
        return lacking


def known_by(identity: Identity, source: ModelSource, unopened: bool) -> KnownBy:
    """What the rows of a model are known by.

    Args:
        identity: What decides a row besides the precision.
        source: The model's settings.
        unopened: Whether rows are only counted.
    """
    if source.engine != "local":
        return KnownBy(identity)
    if source.dtype != "auto":
        return KnownBy({**identity, "dtype": source.dtype})
    own = PRECISIONS[0] if unopened else fitting_precision("generation")
    each = {name: {**identity, "dtype": name} for name in PRECISIONS}
    return KnownBy(each.pop(own), list(each.values()), counts=unopened)
