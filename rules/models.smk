"""Models, staged once and known by their content.

Reads a model's source: the hub, a local folder or file, or a package's data file.
Writes results/models/<model>/: files that from_pretrained opens, and manifest.json.
"""

# Asked for once before planning: an error in an input function would be passed over in silence
# where the staged model is already there.
if workflow.is_main_process:
    for judge in CONFIG.judges.values():
        files_of_source(judge.model)
    files_of_source(CONFIG.dialogues.actor)
    files_of_source(CONFIG.embeddings.encoder)


rule stage_model:
    """Fetch a model, check it, and write its manifest."""
    input:
        files=lambda wildcards: files_of_source(wildcards.model),
    output:
        manifest="results/models/{model}/manifest.json",
    log:
        "logs/stage_model/{model}.log",
    params:
        spec=lambda wildcards: spec(model=CONFIG.models[wildcards.model].staging),
        code=code_of("stage_model"),
    message:
        "Staging the model {wildcards.model}"
    script:
        "../workflow/scripts/stage_model.py"
