"""The critique audit: whether a judge's critiques are about the response that they criticise.

The cosine of response and critique measures a response only if the critique is about it. Evidence
against that: a cosine as high with another response, words copied from the response or the
template, a cosine that follows length, and texts that the encoder cut off.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.display.json_files import write_json
from wim.embedding.reading import READING, TextsRead, texts_read
from wim.errors import UserError
from wim.judging.overlap import overlap
from wim.judging.parse import placeholders
from wim.paths import made_anew
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
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True)
class Audit:
    """The figures of a judge's critiques.

    Means are over prompts; what is not defined has n 0 and is null. All figures but judgements
    and nothing_missing are of the critiques that name something.

    Attributes:
        judgements: How many there are.
        critiques: How many of them name something.
        nothing_missing: The share of usable judgements that name nothing.
        own, shuffled: Mean cosine with the critique's own response, and with the response to
            another prompt, sampled by seed.
        specificity: The mean difference of these two cosines.
        own_is_closer: The share of critiques that are closer to their own response.
        from_response, from_template, from_examples: Mean share of a critique's five-word
            sequences that appear in the response, in the template, or in the examples that the
            template spells out.
        by_response_length, by_critique_length: Spearman's correlation of the own cosine with the
            response's tokens, and with the critique's words.
        read_responses, read_critiques: How much of them the encoder reads.
        own_counts, shuffled_counts: The cosines in BINS equal bins of -1 to 1.
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
    read_responses: TextsRead
    read_critiques: TextsRead
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
    """Write the audit of one judge's critiques as JSON.

    Args:
        dialogues, ratings: The shards, in one order.
        embeddings: The shards; empty if no reward uses them, and then no cosine is defined.
        template: The template of the query for the critique.
        seed: By which critiques are shuffled.
        output: The audit.
    """
    import pandas as pd

    text = template.read_text(encoding="utf-8")
    parts = []
    for place, (said, rated) in enumerate(zip(dialogues, ratings, strict=True)):
        rows = judged_candidates(
            read_candidates(said, OF_DIALOGUES), read_table(rated, RATINGS, OF_RATINGS)
        )
        found = audited(rows, embeddings[place] if embeddings else None, text, seed)
        # The ids are no longer needed, and are a fifth of all.
        parts.append(found.reset_index(drop=True))
    audit = described(pd.concat(parts, ignore_index=True))
    write_json(output, asdict(audit))
    logger.info(
        "audit: %d judgements, %d critiques that name something", audit.judgements, audit.critiques
    )


def audited(
    rows: "pd.DataFrame", embeddings: Path | None, template: str, seed: int
) -> "pd.DataFrame":
    """A shard's judgements with the columns that the audit uses; NaN where there is no critique.

    Args:
        rows: prompt_id, status, wim, completion and completion_tokens by candidate_id.
        embeddings: The shard's, if there are any.
        template: The text of the critique's template.
        seed: By which critiques are shuffled.
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
        read = read_embeddings(embeddings, ["candidate_id", *READING]).to_pandas()
        of_named |= read.set_index("candidate_id").reindex(named["candidate_id"]).to_dict("list")
    for name in ("from_examples", "own", "shuffled", *READING, *of_named):
        found[name] = float("nan")
        if name in of_named:
            values = [float(value) for value in of_named[name]]
            found.loc[named["candidate_id"].tolist(), name] = values
    return found


def described(rows: "pd.DataFrame") -> Audit:
    """The figures of rows from `audited`."""
    named = rows[rows["status"] == Status.OK]
    prompts = named["prompt_id"].to_numpy(object)
    usable = int(rows["status"].isin(USABLE).sum())
    gap = (named["own"] - named["shuffled"]).dropna()

    def mean(name: str) -> Estimate:
        return mean_over_groups(named[name].to_numpy(float), prompts)

    def read(truncated: str, unknown: str) -> TextsRead:
        embedded = named[named[unknown].notna()]
        return texts_read(embedded[truncated].astype(bool).tolist(), embedded[unknown].tolist())

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
        read_responses=read("response_truncated", "response_unknown"),
        read_critiques=read("wim_truncated", "wim_unknown"),
        own_counts=_histogram(named["own"].to_numpy(float)),
        shuffled_counts=_histogram(named["shuffled"].to_numpy(float)),
    )


def _histogram(cosines: "np.ndarray[Any, Any]") -> tuple[int, ...]:
    import numpy as np

    known = np.clip(cosines[~np.isnan(cosines)], -1, 1)
    return tuple(np.histogram(known, bins=BINS, range=(-1, 1))[0].tolist())


def read_audit(path: Path) -> Audit:
    """Read an audit that `audit_critiques` wrote; raises UserError for another file."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Audit).validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path}: no audit ({error}). {made_anew(path)}") from None
