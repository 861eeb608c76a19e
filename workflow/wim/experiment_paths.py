"""Where the files of experiments are.

Apart from wim.paths, which is part of the code of every stage: a new path there would rerun them all.
"""

BANDIT = "results/experiments/bandit.{suffix}"
# Of the discovery: a candidate is a baseline, by its name, or `generation<g>`.
CANDIDATE = "results/experiments/discovery/{candidate}"
PROPOSALS = CANDIDATE + "/proposals.json"
CHECK = CANDIDATE + "/check.json"
OUTCOME = CANDIDATE + "/outcome.json"
FITNESS = CANDIDATE + "/fitness.json"
COMPARED = CANDIDATE + "/evaluation.json"
COMPARED_TEXT = CANDIDATE + "/evaluation.md"
COMPARED_FIGURE = CANDIDATE + "/evaluation.svg"
DISCOVERED = CANDIDATE + "/checkpoint"
DISCOVERED_MANIFEST = DISCOVERED + "/manifest.json"
DISCOVERED_METRICS = DISCOVERED + "/metrics.jsonl"
DISCOVERED_CARD = DISCOVERED + "/README.md"
ARCHIVE = "results/experiments/discovery/archive/{generation}.parquet"
DISCOVERY = "results/experiments/discovery/discovery.{suffix}"
