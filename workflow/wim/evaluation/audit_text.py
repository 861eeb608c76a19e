"""The critique audit in words: a row for each judge."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wim.evaluation.audit import Audit
    from wim.evaluation.pair_statistics import Estimate
    from wim.statistics import Share

UNDEFINED = "\N{EN DASH}"


def audit_row(judge: str, audit: "Audit") -> dict[str, str]:
    """A judge's figures by column."""
    return {
        "judge": f"`{judge}`",
        "critiques / judgements": f"{audit.critiques:,} / {audit.judgements:,}",
        "nothing missing": _share(audit.nothing_missing),
        "cosine, own": _estimate(audit.own),
        "cosine, another's": _estimate(audit.shuffled),
        "specificity": _estimate(audit.specificity),
        "closer to its own": _share(audit.own_is_closer),
        "copied: response": _percent(audit.from_response),
        "copied: template": _percent(audit.from_template),
        "copied: examples": _percent(audit.from_examples),
        "cosine by response length": _estimate(audit.by_response_length),
        "cosine by critique length": _estimate(audit.by_critique_length),
        "cut: responses": _share(audit.responses_cut),
        "cut: critiques": _share(audit.critiques_cut),
    }


def _estimate(one: "Estimate") -> str:
    if one.value is None:
        return UNDEFINED
    if one.low is None or one.high is None:
        return f"{one.value:.2f}"
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def _percent(one: "Estimate") -> str:
    return UNDEFINED if one.value is None else f"{100 * one.value:.1f} %"


def _share(one: "Share") -> str:
    return UNDEFINED if one.share is None else f"{100 * one.share:.1f} %"
