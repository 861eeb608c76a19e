"""The configuration, what the rules ask of it, and the wildcards."""

import signal

from wim import paths
from wim.dag.comparisons import Comparisons
from wim.dag.configuration import configuration_of
from wim.dag.inputs import Inputs, one_of
from wim.dag.resources import BATCH_SIZES, SAVE_SECONDS, threads_of_shard
from wim.dag.rewards import Gate, Rewards
from wim.dag.rounds import Rounds, with_previous_round
from wim.dag.snakemake_internals import get_once, is_main_process
from wim.dag.specs import Specs, code_of
from wim.dag.start import check_sources, warnings_of_run
from wim.dag.training import Training
from wim.dag.untracked import UntrackedOf

CONFIG = configuration_of(workflow, config)
inputs = Inputs(CONFIG, Path(workflow.basedir))
comparisons, rewards, training = Comparisons(inputs), Rewards(inputs), Training(inputs)
rounds, gate = Rounds(inputs), Gate(inputs)
specs, untracked = Specs(inputs), UntrackedOf(inputs)
THREADS_OF_SHARD = threads_of_shard(workflow.cores, CONFIG.prompts.shards)
SHARDED = all(map(os.path.exists, inputs.prompt_shards()))

if is_main_process(workflow):
    check_sources(inputs)
    for line in warnings_of_run(inputs, config):
        logger.warning(line)
else:
    # SLURM's warning reaches every process of a job; the script answers it, snakemake waits.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


wildcard_constraints:
    shard=inputs.shard_pattern,
    round=r"\d+",
    policy=f"{gate.policy_pattern}|{inputs.policy_pattern}|{inputs.written_pattern}",
    model=one_of(CONFIG.models),
    judge=one_of(CONFIG.judges),
    reward=one_of(CONFIG.rewards),
    arm=one_of(CONFIG.arms),
    sft=one_of(CONFIG.sft),
    reward_model=one_of(CONFIG.reward_models),


def after_sharding(files):
    """Inputs that follow from the shards: a pattern, paths, or a function of the wildcards.

    Requested through the checkpoint once the shards exist; docs/design/checkpoint.md.
    """

    def found(wildcards):
        if SHARDED:
            get_once(checkpoints.shard_prompts)
        if isinstance(files, str):
            return files.format(**dict(wildcards.items()))
        return files(wildcards) if callable(files) else files

    return found
