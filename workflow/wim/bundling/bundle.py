"""Make a bundle: stage everything, collect what a run reads and its wheels, and pack them."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wim.bundling.archive import Packed, write_archive
from wim.bundling.contents import Bundled, check_places, files_read, plan_from_nothing
from wim.bundling.unpack import WHEELS
from wim.bundling.wheels import fetch_wheels, installed_bytes, made_for, requirements
from wim.errors import UserError
from wim.settings.configfile import CONFIG


def make_bundle(
    project: Path,
    output: Path,
    configfile: Path | None,
    targets: Sequence[str],
    extras: Sequence[str] = (),
    given_wheels: Path | None = None,
) -> Packed:
    """Write the archive of a run in the working directory, whole or not at all.

    Args:
        project: The workflow's own folder.
        output: The archive.
        configfile: As in snakemake; None for the default.
        targets: What is to be run.
        extras: Further packages, by their names in pyproject.toml.
        given_wheels: Where wheels are taken from; None for PyPI.

    Raises:
        UserError: A file that the run reads is not in the working directory, a staged one is not
            as its manifest says, wheels are missing, or there is no room.
    """
    requirements(project, extras)
    bundled = Bundled(project, Path.cwd())
    options = ["--configfile", str(configfile.resolve())] if configfile else []
    plan = plan_from_nothing(bundled.project, bundled.here, [*options, "--", *targets])
    check_places(plan.config, bundled.here)
    bundled.add_project()
    if configfile or CONFIG.is_file():
        bundled.add(configfile or CONFIG, "--configfile")
    for name in files_read(plan):
        bundled.add(Path(name), name)
    print("Staging models and prompts", flush=True)
    _stage(bundled.project, options)
    staging = plan_from_nothing(bundled.project, bundled.here, [*options, "--", "stage"])
    bundled.add_staged(staging.jobs)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
        print("Collecting wheels", flush=True)
        fetch_wheels(bundled.project, Path(scratch), extras, given_wheels)
        wheels = sorted(Path(scratch).glob("*.whl"))
        configuration = bundled.name_of(configfile, "--configfile") if configfile else None
        return write_archive(
            output,
            {**bundled.files, **{f"{WHEELS}/{path.name}": path for path in wheels}},
            made_for(wheels),
            {
                "run": bundled.run,
                "configfile": configuration,
                "extras": sorted(set(extras)),
                "installed_bytes": installed_bytes(wheels),
            },
        )


def _stage(project: Path, options: Sequence[str]) -> None:
    """Run `snakemake stage` in the working directory."""
    snakefile = ["--snakefile", str(project / "Snakefile")]
    command = [sys.executable, "-m", "snakemake", *snakefile, "--cores", "1", *options]
    if subprocess.run([*command, "--", "stage"], check=False).returncode:
        raise UserError("wim bundle: staging failed; its message is above.")
