"""Models, staged once and known by their content.

Reads a model's source: the hub, a local folder or file, or a package's data file.
Writes results/models/<model>/: files that from_pretrained opens, and manifest.json.
"""

# Asked for once before planning: an error in an input function would be passed over in silence
# where the staged model is already there.
if workflow.is_main_process:
    for name in used_models():
        files_of_source(name)


rule stage_model:
    """Fetch a model, check it, and write its manifest."""
    input:
        files=lambda wildcards: files_of_source(wildcards.model),
    output:
        manifest="results/models/{model}/manifest.json",
    log:
        "logs/stage_model/{model}.log",
    localrule: True
    params:
        spec=lambda wildcards: spec(model=CONFIG.models[wildcards.model].staging),
        code=code_of("stage_model"),
    script:
        "../workflow/scripts/stage_model.py"


rule stage:
    """All that the configuration names, fetched: on a node with internet, before a cluster's jobs."""
    input:
        [manifest_of_model(name) for name in used_models()],
        # Topics are proposed by a model, in a job that may need a GPU.
        [] if CONFIG.prompts.topics else rules.ingest_prompts.output.prompts,
    localrule: True
