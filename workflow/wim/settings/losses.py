"""The losses of preference training by name: who computes each, and which options it takes.

The formulas of our own are in wim.training.losses, TRL's in its DPOTrainer.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

LossName = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
    "cell",
    "padll",
    "dbaql",
    "aql",
    "aqfl",
    "pfl",
    "lrml",
    "slic",
    "kto_pair",
    "ipo_sum",
    "cdpo",
]
Divergence = Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"]
Option = Literal["tau", "label_smoothing", "f_divergence", "ld_alpha", "wpo_weighting"]

TAU = 0.05
"""The default temperature of DiscoPOP's losses: the beta that they were discovered at."""


@dataclass(frozen=True)
class LossKind:
    """What the settings must know of a loss.

    Attributes:
        takes: The options that affect it.
        own: Whether wim.training.losses computes it; otherwise TRL does.
        smoothing: The label smoothing of its paper, for a loss that is not defined without one.
        over_batch: Whether its value for a pair depends on the other pairs of the forward pass.
    """

    takes: frozenset[Option]
    own: bool = False
    smoothing: float | None = None
    over_batch: bool = False


# TRL 1.16 acts on log-probabilities before any loss but sft (ld_alpha), and multiplies afterwards
# (wpo_weighting). An f-divergence changes what the difference of two log-ratios is made of.
_EACH: frozenset[Option] = frozenset({"ld_alpha", "wpo_weighting"})
_DIFFERENCE: frozenset[Option] = _EACH | {"f_divergence"}

LOSSES: dict[str, LossKind] = {
    "sigmoid": LossKind(_DIFFERENCE),
    # TRL weights the loss in place, which autograd refuses for hinge's relu and sft's view.
    "hinge": LossKind(_DIFFERENCE - {"wpo_weighting"}),
    "ipo": LossKind(_DIFFERENCE),
    "exo_pair": LossKind(_DIFFERENCE | {"label_smoothing"}, smoothing=0.001),
    "nca_pair": LossKind(_EACH),
    "robust": LossKind(_DIFFERENCE | {"label_smoothing"}, smoothing=0.1),
    "bco_pair": LossKind(_EACH),
    "sppo_hard": LossKind(_EACH),
    "aot": LossKind(frozenset({"ld_alpha", "label_smoothing"}), over_batch=True),
    "aot_unpaired": LossKind(frozenset({"ld_alpha", "label_smoothing"}), over_batch=True),
    "apo_zero": LossKind(_EACH),
    "apo_down": LossKind(_EACH),
    "discopop": LossKind(_DIFFERENCE | {"tau"}),
    "sft": LossKind(frozenset(), over_batch=True),
    "sigmoid_norm": LossKind(_DIFFERENCE),
    "cell": LossKind(_DIFFERENCE, own=True),
    "padll": LossKind(_DIFFERENCE, own=True),
    "dbaql": LossKind(_DIFFERENCE | {"tau"}, own=True, over_batch=True),
    "aql": LossKind(_DIFFERENCE | {"tau"}, own=True, over_batch=True),
    "aqfl": LossKind(_DIFFERENCE | {"tau"}, own=True, over_batch=True),
    # Its cases go by the policy's own log-probabilities, which a divergence does not replace.
    "pfl": LossKind(_EACH | {"tau"}, own=True),
    "lrml": LossKind(_DIFFERENCE | {"tau"}, own=True),
    "slic": LossKind(_DIFFERENCE, own=True),
    "kto_pair": LossKind(_EACH, own=True, over_batch=True),
    "ipo_sum": LossKind(_DIFFERENCE, own=True),
    "cdpo": LossKind(_DIFFERENCE | {"label_smoothing"}, own=True, smoothing=0.1),
}
# Names that people use, and near which difflib would find another loss.
_ALSO_CALLED = {"dpo": "sigmoid", "dpo_sigmoid": "sigmoid", "kto": "kto_pair", "bco": "bco_pair"}


def checked_loss(value: Any) -> str | dict[str, float]:
    """A loss as the settings hold it: a known name, or known names with weights above 0.

    Raises ValueError with what to write.
    """
    if isinstance(value, str):
        _check_name(value)
        return value
    # Pairs in a tuple are a mixture as the settings hand it on (TrainingSettings).
    mixture = dict(value) if isinstance(value, tuple) else value
    if not isinstance(mixture, Mapping) or not mixture:
        raise ValueError(
            "write the name of a loss, or names with weights such as {sigmoid: 0.8, lrml: 0.2}"
        )
    for name in mixture:
        _check_name(name)
    # Sorted, so that reordering them in YAML changes nothing.
    return {name: _weight(name, mixture[name]) for name in sorted(mixture)}


def _check_name(name: object) -> None:
    if name in LOSSES:
        return
    near = _ALSO_CALLED.get(str(name)) or next(
        iter(difflib.get_close_matches(str(name), LOSSES, n=1)), None
    )
    if near:
        raise ValueError(f"did you mean '{near}'? docs/reference/losses.md has all names")
    raise ValueError(f"write one of {', '.join(LOSSES)}")


def _weight(name: str, weight: object) -> float:
    try:
        number = math.nan if isinstance(weight, bool) else float(weight)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ValueError(f"write the weight of {name} as a number above 0")
    return number


def check_option(option: Option, value: object, unset: object, losses: Iterable[str]) -> None:
    """Raise ValueError, with what to write, if an option does not fit the losses.

    Args:
        option: The option's name.
        value: Its value.
        unset: The value with which it has no effect; shown as YAML in the message.
        losses: The losses that are trained with.
    """
    losses = list(losses)
    taking = [name for name in losses if option in LOSSES[name].takes]
    if value == unset:
        needing = [name for name in losses if LOSSES[name].smoothing is not None]
        if option == "label_smoothing" and needing:
            raise ValueError(
                f"the loss {needing[0]} is not defined without: write a number above 0 and below "
                f"0.5; {LOSSES[needing[0]].smoothing} is usual"
            )
        return
    spared = [name for name in losses if name not in taking]
    if option == "f_divergence" and taking:
        spared = [name for name in spared if name != "sft"]
    if option not in ("f_divergence", "wpo_weighting") and taking:
        spared = []
    if spared:
        ways = ", ".join(name for name, kind in LOSSES.items() if option in kind.takes)
        nothing = {None: "null", False: "false"}.get(unset, unset)  # type: ignore[call-overload]
        raise ValueError(
            f"the loss {' and the loss '.join(spared)} cannot use it: write {nothing}, or choose "
            f"among the losses that do: {ways}"
        )
