"""What a rule may request of SLURM: resources that the plugin would ignore are refused.

Facts of snakemake-executor-plugin-slurm 2.8: only `gpu` becomes `--gpus`; `gpus` and `nvidia_gpu`
reach the inner srun alone, so a job would be queued without a GPU; `tasks` on a GPU rule becomes
--ntasks-per-gpu, which starts the script several times; `gres` takes one entry, and names of GPU
models have no hyphen there.
"""

import re
from collections.abc import Collection, Mapping

from wim.errors import UserError

INSTEAD = {"gpus": "gpu", "nvidia_gpu": "gpu", "num_gpus": "gpu", "gpu_type": "gpu_model"}
MODEL = re.compile(r"[A-Za-z0-9_.]+")


def rules_without_gpu(
    resources: Mapping[str, Mapping[str, object]], with_model: Collection[str]
) -> list[str]:
    """The rules among those that run a model (`with_model`) that say nothing about GPUs."""
    return [
        rule
        for rule, names in resources.items()
        if rule in with_model and not {"gpu", "gres"} & set(names)
    ]


def check_resources(resources: Mapping[str, Mapping[str, object]]) -> None:
    """Raise UserError, with a line for each, if rules request what would not reach SLURM.

    resources: of all rules, by rule and name.
    """
    found = [line for rule, of in resources.items() for line in invalid_resources(rule, of)]
    if found:
        raise UserError("\n".join(["These requests would be ignored:", *found]))


def invalid_resources(rule: str, requests: Mapping[str, object]) -> list[str]:
    """What is wrong with a rule's resources: one line each, with what to write instead.

    Values that are computed for each job (functions, expressions) are judged by name alone.
    """
    found = []
    for name, instead in INSTEAD.items():
        if name in requests:
            found.append(
                f"{rule}: the resource '{name}' would request no GPU, without a word; write "
                f"{instead}: {_shown(requests[name])}."
            )
    on_gpu = any(name in requests for name in ("gpu", "gpus", "nvidia_gpu")) or "gpu" in str(
        requests.get("gres", "")
    )
    for name in ("tasks", "tasks_per_gpu"):
        if on_gpu and name in requests:
            found.append(
                f"{rule}: the resource '{name}' would start the script several times on its GPUs; "
                "leave it out, and write gpu: <how many>: training starts its own processes."
            )
    model = requests.get("gpu_model")
    if isinstance(model, str) and not MODEL.fullmatch(model):
        found.append(
            f"{rule}: gpu_model: found '{model}'; the SLURM plugin takes letters, digits, '_' and "
            f"'.' alone. Write the name up to the hyphen ({re.split('[^A-Za-z0-9_.]', model)[0]}), "
            "or a node feature: constraint: <feature> (scontrol show node lists them)."
        )
    gres = requests.get("gres")
    if isinstance(gres, str) and "," in gres:
        rest = ",".join(entry for entry in gres.split(",") if not entry.startswith("gpu"))
        found.append(
            f"{rule}: gres: found '{gres}'; the SLURM plugin takes one entry. Write gpu: <how many>"
            f" for the GPUs and gres: {rest or '<the other>'}."
        )
    return found


def _shown(value: object) -> str:
    return str(value) if isinstance(value, int | str) else "<how many>"
