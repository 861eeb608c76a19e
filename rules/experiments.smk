"""Experiments of the papers: targets of their own, which nothing else depends on.

Writes results/experiments/bandit.json, .md and .svg.
"""

from wim import experiment_paths
from wim.dag.experiments import Experiments

experiments = Experiments(inputs)


rule bandit:
    """Show with a bandit what AI feedback can and cannot reach."""
    output:
        table=report(
            paths.at(experiment_paths.BANDIT, suffix="json"),
            caption="../workflow/report/bandit.rst",
            category="Experiments",
            labels={"result": "bandit: numbers"},
        ),
        text=report(
            paths.at(experiment_paths.BANDIT, suffix="md"),
            caption="../workflow/report/bandit.rst",
            category="Experiments",
            labels={"result": "bandit"},
        ),
        figure=report(
            paths.at(experiment_paths.BANDIT, suffix="svg"),
            caption="../workflow/report/bandit.rst",
            category="Experiments",
            labels={"result": "bandit: figure"},
        ),
    log:
        paths.log("bandit"),
    localrule: True
    params:
        spec=experiments.bandit,
        code=code_of("bandit"),
    script:
        "../workflow/scripts/bandit.py"
