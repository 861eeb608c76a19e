"""The study of rewards: which one to train on, by labelled pairs and recorded critiques.

Reads the files that the configuration names under study.recorded, and the ratings and rewards of the
gate's pairs, if it names any.
Writes results/evaluation/study.json, study.md and study.svg, and results/evaluation/heads/<reward>.parquet
and .json of each reward with a fitted head.
"""

from wim.dag.rewards import HEADS, HEADS_REPORT
from wim.dag.study import Study

study = Study(inputs)


rule fit_heads:
    """Fit the heads of a reward, one for each fold of prompts, to critiques and their numbers."""
    input:
        recorded=study.recorded_of_head,
        pairs=study.pairs_of_head,
        dialogues=after_sharding(study.judged_of_head(paths.DIALOGUES)),
        ratings=after_sharding(study.judged_of_head(paths.RATINGS)),
        embeddings=after_sharding(study.judged_of_head(paths.EMBEDDINGS)),
        others=after_sharding(study.others_of_head),
        encoder=inputs.manifest_of_encoder,
    output:
        heads=HEADS,
        report=report(
            HEADS_REPORT,
            caption="../workflow/report/study.rst",
            category="Reward study",
            labels={"result": "heads of {reward}"},
        ),
    log:
        paths.log("fit_heads/{reward}"),
    wildcard_constraints:
        reward=one_of(rewards.with_head),
    # It encodes what is recorded, and takes seconds where nothing is.
    localrule: not CONFIG.study.recorded
    params:
        spec=specs.heads,
        untracked=untracked.job,
        code=code_of("fit_heads"),
    script:
        "../workflow/scripts/fit_heads.py"


rule reward_study:
    """Measure all judges and rewards on labelled pairs and recorded critiques, side by side."""
    input:
        recorded=study.recorded_files,
        labels=study.label_files,
        pairs=study.pairs,
        rewards=study.rewards,
        ratings=study.ratings,
        encoder=study.encoder,
    output:
        table=report(
            paths.evaluation("study.json"),
            caption="../workflow/report/study.rst",
            category="Reward study",
            labels={"result": "numbers"},
        ),
        text=report(
            paths.evaluation("study.md"),
            caption="../workflow/report/study.rst",
            category="Reward study",
            labels={"result": "study"},
        ),
        figure=report(
            paths.evaluation("study.svg"),
            caption="../workflow/report/study.rst",
            category="Reward study",
            labels={"result": "figure"},
        ),
    log:
        paths.log("reward_study"),
    localrule: not CONFIG.study.recorded
    params:
        spec=study.spec,
        untracked=untracked.job,
        code=code_of("reward_study"),
    script:
        "../workflow/scripts/reward_study.py"
