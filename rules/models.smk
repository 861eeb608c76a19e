"""Models, staged once and known by their content.

Reads a model's source: the hub, a local folder or file, or a package's data file.
Writes results/models/<model>/: files that from_pretrained opens, and manifest.json.
"""

from wim.dag.harness import Harness
from wim.dag.models import Models

models = Models(inputs)


rule stage_model:
    """Fetch a model, check it, and write its manifest."""
    input:
        files=models.source_files,
    output:
        manifest=paths.MODEL,
    log:
        paths.log("stage_model/{model}"),
    localrule: True
    params:
        spec=specs.model,
        code=code_of("stage_model"),
    script:
        "../workflow/scripts/stage_model.py"


rule stage:
    """All that the configuration names, fetched: on a node with internet, before a cluster's jobs."""
    input:
        models=[inputs.manifest_of_model(name) for name in models.used],
        # Topics are proposed by a model, in a job that may need a GPU.
        prompts=[] if CONFIG.prompts.topics else rules.ingest_prompts.output.prompts,
        harness=expand(paths.HARNESS_TASKS, evaluation=Harness(inputs).names),
    localrule: True
