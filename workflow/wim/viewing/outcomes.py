"""The wins and losses of evaluations, a row for each prompt and speaker."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wim.evaluation.speakers import answers_of_speakers, judged_outcomes, scored_outcomes
from wim.settings.evaluated import evaluated_policy
from wim.viewing.content import Columns, Content
from wim.viewing.sample import PromptSample
from wim.viewing.sources import Source

COLUMNS = (
    "evaluation",
    "speaker",
    "reference",
    "by",
    "prompt_id",
    "own",
    "other",
    "score",
    "cause",
)


def wins_and_losses(
    evaluations: Iterable[Mapping[str, Any]],
    sources: Sequence[Source],
    comparisons: Sequence[str],
    content: Content,
    sample: PromptSample,
) -> Columns:
    """What every evaluation says of each speaker's answer beside the reference's.

    Args:
        evaluations: The `name`, `speakers` (the reference first), `by` (a judge or a reward) and
            whether that is a judge of `pairs`, of each.
        sources: The candidates of each policy.
        comparisons: The shards of all comparisons.
        content: The page's, which has the answers.
        sample: The prompts to show.
    """
    by_policy = {source.name: source for source in sources}
    columns: Columns = {name: [] for name in COLUMNS}
    for evaluation in evaluations:
        name, speakers, by = evaluation["name"], evaluation["speakers"], evaluation["by"]
        policies = [evaluated_policy(name, speaker) for speaker in speakers]
        paths = [str(path) for policy in policies for path in by_policy[policy].dialogues]
        answers = answers_of_speakers(paths, speakers)
        if evaluation["pairs"]:
            shards = [
                path
                for policy in policies[1:]
                for path in comparisons
                if f"/{policy}/{by}/" in path
            ]
            outcomes = judged_outcomes(shards, speakers, answers)
        else:
            tables = [str(by_policy[policy].rewards[by]) for policy in policies]
            outcomes = scored_outcomes(tables, speakers, answers)
        for speaker, of in outcomes.items():
            for one in of:
                if one.prompt_id not in sample.prompt_ids:
                    continue
                values = {
                    "evaluation": name,
                    "speaker": speaker,
                    "reference": speakers[0],
                    "by": by,
                    "prompt_id": one.prompt_id,
                    "own": content.place[answers[speaker][one.prompt_id].candidate_id],
                    "other": content.place[answers[speakers[0]][one.prompt_id].candidate_id],
                    "score": one.score,
                    "cause": one.cause,
                }
                for column in COLUMNS:
                    columns[column].append(values[column])
    return columns
