"""Settings of questions of several turns (MT-Bench): which of an evaluation's keys are theirs."""

# Temperatures of answers by category, and the categories that are judged with a reference answer, as
# Zheng et al. 2023 (arXiv 2306.05685) set them.
TEMPERATURES = {
    "writing": 0.7,
    "roleplay": 0.7,
    "extraction": 0.0,
    "math": 0.0,
    "coding": 0.0,
    "reasoning": 0.0,
    "stem": 0.1,
    "humanities": 0.1,
}
WITH_REFERENCE = ["math", "reasoning", "coding"]
# Keys of an evaluation that only the kind mt_bench has, and keys of its prompts.
OF_QUESTIONS = ("mode", "parse", "temperatures", "reference_answers", "reference_categories")
OF_PROMPTS = ("files", "split", "limit", "fraction", "min_chars", "max_chars")
# Questions are a set of their own: none is left out for its length unless one says so.
LONGEST = 1_000_000
