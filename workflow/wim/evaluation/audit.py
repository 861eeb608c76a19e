"""The critique audit: whether a judge's critiques speak of the response that they are about.

The cosine of response and critique is a reward only as far as the critique is about the response.
What speaks against it: a cosine no higher with another response, words copied from the response or
the template, a cosine that follows length, texts that the encoder cut off.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.json_files import write_json
from wim.errors import UserError
from wim.judging.parse import overlap, placeholders
from wim.rewards.score import USABLE, cosine_by_candidate, judged_candidates
from wim.statistics import Estimate, Share, mean_over_groups, rank_correlation
from wim.tables.files import read_candidates, read_embeddings, read_table
from wim.tables.ratings import Status
from wim.tables.schemas import RATINGS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

logger = logging.getLogger(__name__)
BINS = 40
OF_DIALOGUES = ["candidate_id", "prompt_id", "completion", "completion_tokens"]
OF_RATINGS = ["candidate_id", "status", "wim"]
CUT = ["response_truncated", "wim_truncated"]
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Audit:
    """A judge's critiques. Means are over prompts; what is not defined has n 0 and is null.

    judgements: all; critiques: those that name something, which all figures but nothing_missing
    are of. nothing_missing: share of the usable judgements. own, shuffled: mean cosine with the own
    response, and with one of another prompt, drawn by seed; specificity: their mean difference;
    own_is_closer: share of critiques that are closer to their own. from_*: mean share of a
    critique's five-word sequences that stand in the response, the template, or the examples that
    the template spells out. by_*: Spearman's correlation of the own cosine with the response's
    tokens and the critique's words. *_cut: texts longer than the encoder reads. *_counts: of the
    cosines, in BINS equal bins of -1 to 1.
    """

    judgements: int
    critiques: int
    nothing_missing: Share
    own: Estimate
    shuffled: Estimate
    specificity: Estimate
    own_is_closer: Share
    from_response: Estimate
    from_template: Estimate
    from_examples: Estimate
    by_response_length: Estimate
    by_critique_length: Estimate
    responses_cut: Share
    critiques_cut: Share
    own_counts: tuple[int, ...]
    shuffled_counts: tuple[int, ...]


def audit_critiques(
    dialogues: Sequence[Path],
    ratings: Sequence[Path],
    embeddings: Sequence[Path],
    template: Path,
    seed: int,
    output: Path,
) -> None:
    """The audit of one judge's critiques, as JSON.

    embeddings: none where no reward is made of them; then no cosine is defined. template: what the
    judge was asked for its critique by.
    """
    import pandas as pd

    text = template.read_text(encoding="utf-8")
    parts = []
    for place, shard in enumerate(zip(dialogues, ratings, strict=True)):
        rows = judged_candidates(
            read_candidates(shard[0], OF_DIALOGUES), read_table(shard[1], RATINGS, OF_RATINGS)
        )
        parts.append(audited(rows, embeddings[place] if embeddings else None, text, seed))
    audit = described(pd.concat(parts, ignore_index=True))
    write_json(output, asdict(audit))
    logger.info(
        "audit: %d judgements, %d critiques that name something", audit.judgements, audit.critiques
    )


def audited(
    rows: "pd.DataFrame", embeddings: Path | None, template: str, seed: int
) -> "pd.DataFrame":
    """A shard's judgements with what the audit is made of; NaN where there is no critique.

    rows: status, wim, completion and completion_tokens of each candidate.
    """
    named = rows[rows["status"] == Status.OK]
    others = {
        "from_response": named["completion"].tolist(),
        "from_template": [JINJA.sub(" ", template)] * len(named),
    }
    examples = placeholders(template)
    found = rows[["prompt_id", "status"]].copy()
    found.index = rows["candidate_id"]
    of_named: dict[str, Any] = {
        name: [overlap(one, other) for one, other in zip(named["wim"], texts, strict=True)]
        for name, texts in others.items()
    }
    if examples:
        of_named["from_examples"] = [
            max(overlap(one, example) for example in examples) for one in named["wim"]
        ]
    of_named["words"] = [len(one.split()) for one in named["wim"]]
    of_named["tokens"] = named["completion_tokens"].tolist()
    if embeddings is not None:
        for name, shuffled_by in (("own", None), ("shuffled", seed)):
            cosine = cosine_by_candidate(embeddings, named, shuffled_by)
            of_named[name] = cosine.reindex(named["candidate_id"]).tolist()
        cut = read_embeddings(embeddings, ["candidate_id", *CUT]).to_pandas()
        of_named |= cut.set_index("candidate_id").reindex(named["candidate_id"]).to_dict("list")
    for name in ("from_examples", "own", "shuffled", *CUT, *of_named):
        found[name] = float("nan")
        if name in of_named:
            values = [float(value) for value in of_named[name]]
            found.loc[named["candidate_id"].tolist(), name] = values
    return found


def described(rows: "pd.DataFrame") -> Audit:
    """The figures of rows as `audited` gives them."""
    named = rows[rows["status"] == Status.OK]
    prompts = named["prompt_id"].to_numpy(object)
    usable = int(rows["status"].isin(USABLE).sum())
    gap = (named["own"] - named["shuffled"]).dropna()

    def mean(name: str) -> Estimate:
        return mean_over_groups(named[name].to_numpy(float), prompts)

    def counted(values: "pd.Series[float]") -> Share:
        return Share.of(int(values.sum()), int(values.count()))

    with_cosine = named[named["own"].notna()]
    cosine = with_cosine["own"].tolist()
    return Audit(
        judgements=len(rows),
        critiques=len(named),
        nothing_missing=Share.of(usable - len(named), usable),
        own=mean("own"),
        shuffled=mean("shuffled"),
        specificity=mean_over_groups((named["own"] - named["shuffled"]).to_numpy(float), prompts),
        own_is_closer=Share.of(int((gap > 0).sum()), len(gap)),
        from_response=mean("from_response"),
        from_template=mean("from_template"),
        from_examples=mean("from_examples"),
        by_response_length=rank_correlation(cosine, with_cosine["tokens"].tolist()),
        by_critique_length=rank_correlation(cosine, with_cosine["words"].tolist()),
        responses_cut=counted(named[CUT[0]]),
        critiques_cut=counted(named[CUT[1]]),
        own_counts=_histogram(named["own"].to_numpy(float)),
        shuffled_counts=_histogram(named["shuffled"].to_numpy(float)),
    )


def _histogram(cosines: "np.ndarray[Any, Any]") -> tuple[int, ...]:
    import numpy as np

    known = np.clip(cosines[~np.isnan(cosines)], -1, 1)
    return tuple(np.histogram(known, bins=BINS, range=(-1, 1))[0].tolist())


def read_audit(path: Path) -> Audit:
    """An audit as `audit_critiques` wrote it; UserError for a file of another form."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Audit).validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path}: no audit ({error}). Delete the file and run again.") from None
