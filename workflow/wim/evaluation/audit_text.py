"""A judge's row in the table of the critique audit."""

from typing import TYPE_CHECKING

from wim.display.markdown import estimate_with_interval, percent

if TYPE_CHECKING:
    from wim.evaluation.audit import Audit


def audit_row(judge: str, audit: "Audit") -> dict[str, str]:
    """A judge's figures by column."""
    return {
        "judge": f"`{judge}`",
        "critiques / judgements": f"{audit.critiques:,} / {audit.judgements:,}",
        "nothing missing": percent(audit.nothing_missing.share, 1),
        "cosine, own": estimate_with_interval(audit.own),
        "cosine, another's": estimate_with_interval(audit.shuffled),
        "specificity": estimate_with_interval(audit.specificity),
        "closer to its own": percent(audit.own_is_closer.share, 1),
        "copied: response": percent(audit.from_response.value, 1),
        "copied: template": percent(audit.from_template.value, 1),
        "copied: examples": percent(audit.from_examples.value, 1),
        "cosine by response length": estimate_with_interval(audit.by_response_length),
        "cosine by critique length": estimate_with_interval(audit.by_critique_length),
        "cut: responses": percent(audit.read_responses.cut.share, 1),
        "cut: critiques": percent(audit.read_critiques.cut.share, 1),
    }
