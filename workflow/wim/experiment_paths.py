"""Where the files of experiments are.

Apart from wim.paths, which is part of the code of every stage: a new path there would rerun them all.
"""

BANDIT = "results/experiments/bandit.{suffix}"
