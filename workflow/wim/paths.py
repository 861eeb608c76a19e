"""Where the files of a run are, from the working directory: the one place for their names.

Words in braces are wildcards; `at` fills them in.
"""

PROMPTS = "results/prompts/prompts.parquet"
TOPICS = "results/prompts/topics.jsonl"
HUB_PROMPTS = "results/prompts/hub/{dataset}.tar"
PROMPT_SHARD = "results/prompts/shards/{shard}.parquet"
SPLIT_LEAKS = "results/prompts/leaks.jsonl"
ROUND_PROMPTS = "results/prompts/rounds/{arm}/round{round}/{shard}.parquet"

MODELS = "results/models"
MODEL = "results/models/{model}/manifest.json"

CHECKPOINT = "results/checkpoints/{arm}/round{round}"
CHECKPOINT_MANIFEST = CHECKPOINT + "/manifest.json"
CHECKPOINT_METRICS = CHECKPOINT + "/metrics.jsonl"
CHECKPOINT_CARD = CHECKPOINT + "/README.md"
SFT = "results/checkpoints/sft/{sft}"
SFT_MANIFEST = SFT + "/manifest.json"
SFT_METRICS = SFT + "/metrics.jsonl"
SFT_CARD = SFT + "/README.md"
REWARD_MODEL = "results/reward_models/{reward_model}"
REWARD_MODEL_MANIFEST = REWARD_MODEL + "/manifest.json"
REWARD_MODEL_METRICS = REWARD_MODEL + "/metrics.jsonl"
REWARD_MODEL_EVALUATION = REWARD_MODEL + "/evaluation.json"
REWARD_MODEL_CARD = REWARD_MODEL + "/README.md"

DIALOGUES = "results/dialogues/{policy}/{shard}.parquet"
RATINGS = "results/ratings/{policy}/{judge}/{shard}.parquet"
EMBEDDINGS = "results/embeddings/{policy}/{judge}/{shard}.parquet"
COMPARISONS = "results/comparisons/{comparison}/{judge}/{shard}.parquet"
REWARDS = "results/rewards/{policy}/{reward}.parquet"
PAIRS = "results/pairs/{arm}/round{round}.parquet"
EXCLUSIONS = "results/pairs/{arm}/round{round}.exclusions.json"
# What online DPO generates and labels while it trains.
ONLINE_DIALOGUES = "results/online/{arm}/round{round}/dialogues.parquet"
ONLINE_RATINGS = "results/online/{arm}/round{round}/ratings.parquet"
ONLINE_REWARDS = "results/online/{arm}/round{round}/rewards.parquet"
CONVERGENCE = "results/rounds/{arm}/round{round}.json"

# `gate`, `judge_tuning`, `verdict` and `passed` are no names of evaluations.
EVALUATION_PROMPTS = "results/evaluation/prompts/{evaluation}/{shard}.parquet"
LEAKS = "results/evaluation/leaks/{evaluation}.jsonl"
KL = "results/evaluation/kl/{policy}.json"
EVALUATION = "results/evaluation/{evaluation}.json"
EVALUATION_TEXT = "results/evaluation/{evaluation}.md"
EVALUATION_FIGURE = "results/evaluation/{evaluation}.svg"
EVALUATION_EXPORTS = "results/evaluation/exports/{evaluation}"
EVALUATED_CARD = "results/evaluation/cards/{arm}.md"
# What the tasks of the harness are, and how a speaker did in them.
HARNESS_TASKS = "results/evaluation/harness/{evaluation}.json"
HARNESS = "results/evaluation/harness/{evaluation}/{speaker}.json"
HARNESS_SCORES = "results/evaluation/harness/{evaluation}/{speaker}.parquet"
VERDICT = "results/evaluation/verdict.json"
PASSED = "results/evaluation/passed/{measured}.txt"
AUDIT = "results/report/critiques/{judge}.json"


def at(pattern: str, **wildcards: object) -> str:
    """A file's path: a pattern of this module, with its wildcards filled in."""
    return pattern.format(**wildcards)


def made_anew(*files: object) -> str:
    """What a person does about files that a stage has made and that are not as they should be."""
    names = " ".join(map(str, files))
    those, pronoun = ("the file", "it") if len(files) == 1 else ("the files", "them")
    return f"Delete {those} and run `snakemake -- {names}`, which makes {pronoun} again."


def shard_names(shards: int) -> list[str]:
    """The names of so many shards: their numbers, of one length, at least 3 digits."""
    digits = max(3, len(str(shards - 1)))
    return [f"{number:0{digits}d}" for number in range(shards)]


def table(stage: str, job: str) -> str:
    """The table of a stage that a job wrote, named by its wildcards as in its log."""
    return f"results/{stage}/{job}.parquet"


def evaluation(name: str) -> str:
    """A file of the reward gate."""
    return f"results/evaluation/{name}"


def report(name: str) -> str:
    """A file of the report."""
    return f"results/report/{name}"


def log(job: str) -> str:
    """The log of a job, named by its rule and wildcards as in `rate_candidates/{shard}`."""
    return f"logs/{job}.log"


def benchmark(job: str) -> str:
    """Time and memory of a job, named as in `log`."""
    return f"benchmarks/{job}.tsv"
