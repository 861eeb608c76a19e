"""What a bundle holds of a run: the workflow, the files it reads, and what is staged of them."""

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wim import paths
from wim.bundling.unpack import ENVIRONMENT, is_safe
from wim.errors import UserError
from wim.models.manifest import NAME, read_manifest
from wim.models.opening import opened_folder
from wim.plan.dry_run import DryRun, dry_run
from wim.plan.reasons import Job
from wim.provenance.snakemake_records import RECORDS

# The workflow's own files and folders.
PROJECT = (
    *("Snakefile", "rules", "workflow", "config", "profiles", "docs", "pyproject.toml"),
    *("constraints.txt", "requirements-harness.txt", "Makefile", "README.md", "CHANGELOG.md"),
    "LICENSE",
)
# What runs write, which no rule reads as it is found.
WRITTEN = {"results", "logs", "benchmarks", "store", ".snakemake", ENVIRONMENT}
LEFT_SUFFIXES = (".pyc", ".egg-info")
# Keys whose values are places of one machine.
PLACES = {"store", "local_scratch", "python", "serve", "url"}


class Bundled:
    """The files of a bundle: where each is, by its path in it.

    Attributes:
        project: The workflow's own folder.
        here: The run's working directory.
        run: Its path in the bundle.
        files: Where each file is, links followed.
    """

    def __init__(self, project: Path, here: Path) -> None:
        self.project, self.here = project.resolve(), here.resolve()
        inside = self.here.is_relative_to(self.project)
        self.run = self.here.relative_to(self.project).as_posix() if inside else "run"
        self.files: dict[str, Path] = {}

    def name_of(self, path: Path, said: str) -> str:
        """A file's path in the bundle.

        Args:
            path: The file, links not followed; relative ones are from the working directory.
            said: What an error begins with.

        Raises:
            UserError: It is neither in the working directory nor in the workflow's folder.
        """
        absolute = Path(os.path.normpath(self.here / path))
        if absolute.is_relative_to(self.here):
            return (Path(self.run) / absolute.relative_to(self.here)).as_posix()
        if absolute.is_relative_to(self.project):
            return absolute.relative_to(self.project).as_posix()
        raise UserError(
            f"{said}: {absolute} is not in the working directory, {self.here}, and would not be "
            f"found on another machine. Link it there (ln -s {absolute} .), and write its path "
            "from there; the bundle has the file itself."
        )

    def add(self, path: Path, said: str) -> None:
        """Add a file, or all files of a folder, to be at the same place of the bundle."""
        absolute = self.here / path
        for file in [absolute] if absolute.is_file() else files_below(absolute):
            name = self.name_of(file, said)
            if not is_safe(name):
                raise UserError(f"{said}: {file} has a name that a bundle cannot hold; rename it.")
            self.files[name] = file

    def add_project(self) -> None:
        """Add the workflow."""
        if not (self.project / "Snakefile").is_file():
            raise UserError(
                f"wim bundle: {self.project} has no Snakefile; start it from an environment made by"
                " `make setup` in a clone of the workflow."
            )
        for name in PROJECT:
            if (self.project / name).exists():
                self.add(self.project / name, "wim bundle")

    def add_staged(self, jobs: Sequence[Job]) -> None:
        """Add what staging has made, checked, with Snakemake's record of it."""
        for path in sorted({output for job in jobs for output in job.output}):
            if Path(path).name == NAME and path.startswith(f"{paths.MODELS}/"):
                self._add_model(self.here / path)
            else:
                self.add(Path(path), path)
            record = RECORDS / base64.urlsafe_b64encode(path.encode()).decode()
            if (self.here / record).is_file() and not self._has_places(self.here / record):
                self.add(record, path)

    def _has_places(self, record: Path) -> bool:
        """Whether a record names folders of this machine, and so would differ on another."""
        text = record.read_text(encoding="utf-8")
        return str(self.project) in text or str(self.here) in text

    def _add_model(self, manifest: Path) -> None:
        folder = opened_folder(manifest)
        for name in [NAME, *read_manifest(manifest).files]:
            self.add(folder / name, str(manifest))


def files_below(folder: Path, within: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files of a folder, links to files and folders followed; hidden ones left out.

    Raises:
        UserError: A link leads nowhere, or to a folder that it is in.
    """
    here = folder.resolve()
    if here in within or not folder.is_dir():
        raise UserError(f"{folder}: a link that leads to no file; delete it, or put it right.")
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        if path.name.endswith(LEFT_SUFFIXES) or ".pyc." in path.name:
            continue
        if path.is_file():
            yield path
        else:
            yield from files_below(path, within | {here})


def check_places(values: object, here: Path, key: str = "") -> None:
    """Raise UserError for a file that the configuration names by a path which is none elsewhere."""
    if isinstance(values, Mapping):
        for name, value in values.items():
            if name not in PLACES:
                check_places(value, here, f"{key}.{name}" if key else str(name))
    elif isinstance(values, list):
        for value in values:
            check_places(value, here, key)
    elif isinstance(values, str):
        path = values.removeprefix("path:")
        elsewhere = path.startswith(("/", "~")) or ".." in Path(path).parts
        if elsewhere and path.strip("/~.") and _exists(here, path):
            raise UserError(
                f"config: {key}: found '{values}', a place on this machine. Link it into the "
                f"working directory (ln -s {path} {Path(path).name}), and write "
                f"{'path:' if values != path else ''}{Path(path).name}; the bundle has the files "
                "themselves."
            )


def _exists(here: Path, path: str) -> bool:
    """Whether there is such a file; not for texts that only begin like a path."""
    try:
        return (here / Path(path).expanduser()).exists()
    except (OSError, RuntimeError, ValueError):
        return False


def plan_from_nothing(project: Path, here: Path, options: Sequence[str]) -> DryRun:
    """All jobs of a run, as if it had made nothing yet.

    It is planned in a folder that has everything of the working directory but results.

    Args:
        project: The workflow's own folder.
        here: The working directory.
        options: Snakemake's, such as the configuration file, and the targets.
    """
    with tempfile.TemporaryDirectory(prefix="wim-bundle.") as empty:
        for path in here.iterdir():
            if path.name not in WRITTEN:
                (Path(empty) / path.name).symlink_to(path)
        return dry_run(["--snakefile", str(project / "Snakefile"), "--directory", empty, *options])


def files_read(plan: DryRun) -> list[str]:
    """The files that jobs read and that none of them makes."""
    made = {output for job in plan.jobs for output in job.output}
    return sorted({path for job in plan.jobs for path in job.input} - made)
