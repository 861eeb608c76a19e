"""Discovery: a model proposes losses, and each is checked, trained with, evaluated and archived.

Reads the pairs of an arm, and the manifests of the model that it starts from and of the proposer.
Writes results/experiments/discovery/<candidate>/: proposals.json, check.json, checkpoint/, outcome.json
and fitness.json; archive/<generation>.parquet; and the report discovery.json, .md and .svg. A
candidate is a baseline, by its name, or generation<g>.
"""

from wim.dag.discovery import Discovery

discoveries = Discovery(inputs)


wildcard_constraints:
    candidate=one_of(discoveries.candidates),
    generation=r"\d+",


rule take_baseline:
    """Take a loss of the library as one that was proposed."""
    input:
        text=discoveries.text_of_baseline,
    output:
        proposals=experiment_paths.PROPOSALS,
    log:
        paths.log("take_baseline/{candidate}"),
    wildcard_constraints:
        candidate=one_of(discoveries.baselines),
    localrule: True
    params:
        spec=discoveries.baseline_spec,
        code=code_of("take_baseline"),
    script:
        "../workflow/scripts/take_baseline.py"


rule propose_loss:
    """Let the proposer write a loss, until one is valid."""
    input:
        manifests=discoveries.manifests_of_proposer,
        recorded=discoveries.recorded,
        archive=discoveries.archive_before,
        templates=discoveries.templates,
    output:
        proposals=experiment_paths.PROPOSALS,
    log:
        paths.log("propose_loss/{candidate}"),
    benchmark:
        paths.benchmark("propose_loss/{candidate}")
    wildcard_constraints:
        candidate=one_of(discoveries.generations),
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["propose_loss"],
    params:
        spec=discoveries.proposal_spec,
        untracked=discoveries.proposer,
        code=code_of("propose_loss"),
    script:
        "../workflow/scripts/propose_loss.py"


rule check_loss:
    """See what a proposed loss does, in a process under limits."""
    input:
        proposals=experiment_paths.PROPOSALS,
    output:
        check=experiment_paths.CHECK,
    log:
        paths.log("check_loss/{candidate}"),
    localrule: True
    params:
        spec=discoveries.check_spec,
        code=code_of("check_loss"),
    script:
        "../workflow/scripts/check_loss.py"


rule train_discovered:
    """Train on the arm's pairs with a loss that was proposed."""
    input:
        check=experiment_paths.CHECK,
        pairs=after_sharding(discoveries.pairs),
        manifest=discoveries.start,
        proof=discoveries.proof,
    output:
        manifest=experiment_paths.DISCOVERED_MANIFEST,
        metrics=experiment_paths.DISCOVERED_METRICS,
        card=experiment_paths.DISCOVERED_CARD,
        outcome=experiment_paths.OUTCOME,
    log:
        paths.log("train_discovered/{candidate}"),
    benchmark:
        paths.benchmark("train_discovered/{candidate}")
    threads: workflow.cores
    resources:
        batch_size=BATCH_SIZES["train_discovered"],
        save_seconds=SAVE_SECONDS,
    params:
        spec=discoveries.training_spec,
        untracked=untracked.job,
        code=code_of("train_discovered"),
    script:
        "../workflow/scripts/train_discovered.py"


rule compare_discovered:
    """Compare the answers of a loss's checkpoint with those of the reference."""
    input:
        prompts=discoveries.evaluation_prompts,
        leaks=discoveries.leaks,
        answers=discoveries.answers,
        ratings=discoveries.ratings,
        comparisons=discoveries.comparisons,
        rewards=discoveries.rewards,
        length_control=discoveries.length_control,
        kl=discoveries.kl,
        labels=discoveries.labels,
        labelled=discoveries.labelled,
    output:
        table=experiment_paths.COMPARED,
        text=experiment_paths.COMPARED_TEXT,
        figure=experiment_paths.COMPARED_FIGURE,
    log:
        paths.log("compare_discovered/{candidate}"),
    wildcard_constraints:
        candidate=one_of(discoveries.evaluated),
    localrule: True
    params:
        spec=discoveries.evaluation_spec,
        code=code_of("compare_discovered"),
    script:
        "../workflow/scripts/compare_discovered.py"


rule evaluate_discovered:
    """Say what a loss is worth."""
    input:
        outcome=experiment_paths.OUTCOME,
        metrics=experiment_paths.DISCOVERED_METRICS,
        pairs=after_sharding(discoveries.pairs),
        evaluation=discoveries.figures,
    output:
        fitness=experiment_paths.FITNESS,
    log:
        paths.log("evaluate_discovered/{candidate}"),
    localrule: True
    params:
        spec=discoveries.fitness_spec,
        code=code_of("evaluate_discovered"),
    script:
        "../workflow/scripts/evaluate_discovered.py"


rule archive_losses:
    """Add a generation to the archive."""
    input:
        before=discoveries.earlier_archive,
        proposals=discoveries.proposals_of_generation,
        outcomes=discoveries.outcomes_of_generation,
        fitness=discoveries.fitness_of_generation,
    output:
        archive=experiment_paths.ARCHIVE,
    log:
        paths.log("archive_losses/{generation}"),
    localrule: True
    params:
        spec=discoveries.archive_spec,
        code=code_of("archive_losses"),
    script:
        "../workflow/scripts/archive_losses.py"


rule discovery:
    """Propose, train with and compare the losses of all generations."""
    input:
        archive=discoveries.last_archive,
        checks=discoveries.checks,
    output:
        table=report(
            paths.at(experiment_paths.DISCOVERY, suffix="json"),
            caption="../workflow/report/discovery.rst",
            category="Experiments",
            labels={"result": "discovery: numbers"},
        ),
        text=report(
            paths.at(experiment_paths.DISCOVERY, suffix="md"),
            caption="../workflow/report/discovery.rst",
            category="Experiments",
            labels={"result": "discovery"},
        ),
        figure=report(
            paths.at(experiment_paths.DISCOVERY, suffix="svg"),
            caption="../workflow/report/discovery.rst",
            category="Experiments",
            labels={"result": "discovery: figure"},
        ),
    log:
        paths.log("discovery"),
    localrule: True
    params:
        spec=discoveries.report_spec,
        code=code_of("discovery"),
    script:
        "../workflow/scripts/discovery.py"
