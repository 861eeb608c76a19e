"""Settings that a job is given and that rerun nothing.

Every job reads them, so this module imports little.
"""

from dataclasses import dataclass

from wim.settings.models import ModelSource
from wim.settings.precision import Attention


@dataclass(frozen=True)
class Untracked:
    """How and where a job runs, as far as it changes nothing of what comes out.

    It is the param `untracked` of every rule that opens a model or the row store. Snakemake
    compares a job's params with those of the last time, but only values of built-in types: one of
    this class reaches the script and is never compared. What decides the output belongs in `spec`.

    Attributes:
        models: How each model of the rule is run or called, in the order of their manifests.
        store: The folder of the row store.
        local_scratch: A folder on a node's own disk, where models are copied before they are opened.
        tracking: Trackers of training metrics.
        parallel: How several GPUs of one job train.
        harness: The Python that has lm-eval.
        attention: What computes the attention of the model that is trained.
    """

    models: tuple[ModelSource, ...]
    store: str
    local_scratch: str | None
    tracking: tuple[str, ...]
    parallel: str
    harness: str | None = None
    attention: Attention = "auto"
