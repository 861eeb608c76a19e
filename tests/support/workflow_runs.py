"""Running the workflow as its user does, in a copy of the project, and reading what it did."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from support.forking import address
from wim.provenance.digest import digest_file

REPOSITORY = Path(__file__).parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
TARGETS = {
    *("total", "all", "dialogues", "ratings", "rewards", "pairs", "dpo_checkpoint"),
    *("sft_checkpoint", "reward_model"),
    # Sums up the times of whatever has run.
    "costs",
}
JOB_COUNT = re.compile(r"^(\w+) +(\d+)$", re.MULTILINE)
FINISHED = re.compile(r"Finished jobid: \d+ \(Rule: (\w+)\)")
COMPUTED = re.compile(r"(\d+) (generated|judged|embedded)")


def forked_environment(
    library: Path = REPOSITORY / "workflow", hash_seed: str | None = None
) -> dict[str, str]:
    """An environment in which snakemake, its jobs and `wim` run in forks of the fork server."""
    path = [str(library), str(REPOSITORY / "tests/support/forked")]
    forked = {"PYTHONPATH": os.pathsep.join(path), "WIM_TEST_FORK_SERVER": address(hash_seed)}
    return os.environ | forked | ({"PYTHONHASHSEED": hash_seed} if hash_seed else {})


def tiny_config(
    model: Path, encoder: Path, tokens: int = 16, shards: int = 1, **sections: object
) -> dict[str, object]:
    """A configuration of a tiny actor that judges itself, in the prompt file that a Project writes.

    tokens: the longest completion and judgement. sections: what else is to be set.
    """
    drawn = {"max_new_tokens": tokens, "temperature": 1.0}
    return {
        "models": {
            "tiny": {"source": f"path:{model}", "dtype": "float32"},
            "encoder": {"source": f"path:{encoder}", "dtype": "float32"},
        },
        "prompts": {"files": ["prompts.jsonl"], "shards": shards, "eval_fraction": 0.0},
        "dialogues": {"actor": "tiny", "sampling": {"max_new_tokens": tokens}},
        "judges": {"tiny": {"model": "tiny", "sampling": drawn}},
        "embeddings": {"encoder": "encoder"},
        **sections,
    }


class Project:
    """A copy of the project's own files, with results beside them.

    hash_seed: PYTHONHASHSEED of what `call` and `run` start; None for the environment's.
    """

    def __init__(self, folder: Path, hash_seed: str | None = None) -> None:
        self.folder = folder
        self.hash_seed = hash_seed

    @classmethod
    def copied(cls, folder: Path, config: dict[str, object], prompts: list[str]) -> "Project":
        """A fresh copy with a configuration and a prompt file."""
        for name in ("rules", "workflow", "profiles", "config"):
            shutil.copytree(
                REPOSITORY / name,
                folder / name,
                ignore=shutil.ignore_patterns("*.pyc.*", "*.egg-info"),
            )
        shutil.copy2(REPOSITORY / "Snakefile", folder)
        # Digests of the same code are the same in every copy, and are known by the code.
        known = REPOSITORY / ".cache/tests/code"
        known.mkdir(parents=True, exist_ok=True)
        (folder / ".snakemake").mkdir()
        (folder / ".snakemake/wim-code").symlink_to(known)
        project = cls(folder)
        project.configure(config)
        project.write_prompts(prompts)
        return project

    def again(self, folder: Path) -> "Project":
        """A copy of everything, results and Snakemake's memory included, with the same times."""

        def link_weights(source: str, target: str) -> None:
            # Weights are replaced by renaming, never written in place, so a link is safe.
            if source.endswith("model.safetensors"):
                with suppress(OSError):  # Another file system.
                    os.link(source, target)
                    return
            shutil.copy2(source, target)

        shutil.copytree(self.folder, folder, copy_function=link_weights)
        return Project(folder)

    @property
    def config(self) -> dict[str, object]:
        """The configuration as written."""
        found: dict[str, object] = json.loads((self.folder / "config/config.yaml").read_text())
        return found

    def configure(self, config: dict[str, object]) -> None:
        """Write the configuration (JSON is YAML)."""
        (self.folder / "config/config.yaml").write_text(json.dumps(config))

    def set(self, path: str, value: object) -> None:
        """Change one key, named by dots."""
        config = self.config
        *way, last = path.split(".")
        place: dict[str, object] = config
        for key in way:
            place = place.setdefault(key, {})  # type: ignore[assignment]
        place[last] = value
        self.configure(config)

    def write_prompts(self, prompts: list[str]) -> None:
        """Write the prompt file."""
        lines = [json.dumps({"prompt": text}) + "\n" for text in prompts]
        (self.folder / "prompts.jsonl").write_text("".join(lines))

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file."""
        path = self.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        path.write_text(text.replace(old, new))

    def edit_code(self, old: str, new: str, package: str = "") -> None:
        """Replace a text that is found once in the library or a package, in whichever module."""
        library = self.folder / "workflow/wim" / package
        (file,) = (each for each in library.rglob("*.py") if old in each.read_text())
        self.edit(str(file.relative_to(self.folder)), old, new)

    def note_what_is_kept(self, flush_rows: int) -> None:
        """Have jobs flush so many rows, and note each row and each saved state in `kept.log`.

        A job that has noted something does not go on as long as there is a file `hold`. Only
        projects with the same code can be compared, so all of these have to do it.
        """
        self.edit_code("flush_rows: int = 64", f"flush_rows: int = {flush_rows}", "store")
        self._note("self._waiting.append(batch)", "{self.folder.name} {key}", "store")
        self._note("synchronise(working)", "{working.name} {state.name}", "training")

    def _note(self, statement: str, what: str, package: str) -> None:
        """Add to a statement, which stands once in a package, that it is noted."""
        noting = f'with open("kept.log", "a") as noted: noted.write(f"{what}\\n")'
        holding = 'while os.path.exists("hold"): time.sleep(0.05)'
        library = self.folder / "workflow/wim" / package
        (file,) = (each for each in library.rglob("*.py") if statement in each.read_text())
        lines = file.read_text().splitlines()
        (place,) = (number for number, line in enumerate(lines) if line.strip() == statement)
        indent = lines[place].removesuffix(statement)
        added = ["import os, time", noting, holding]
        lines[place + 1 : place + 1] = [indent + line for line in added]
        file.write_text("\n".join(lines) + "\n")

    def kept(self) -> Counter[tuple[str, str]]:
        """How often each row was computed, and each state saved.

        They are named by the stage and the row's key, and by the training and the state.
        """
        log = self.folder / "kept.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return Counter((first, last) for first, last in map(str.split, lines))

    def results(self) -> dict[str, str]:
        """The SHA-256 of every result by its path.

        Not of hidden files and of costs: they are records of times, or left by what was killed.
        """
        folder = self.folder / "results"
        paths = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        shown = sorted(path for path in paths if not any(part[0] == "." for part in path.parts))
        timeless = [path for path in shown if path.stem != "costs"]
        return {str(path): digest_file(folder / path) for path in timeless}

    def append(self, file: str, text: str) -> None:
        """Add to the end of a file."""
        with (self.folder / file).open("a") as opened:
            opened.write(text)

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The command line and environment that run the copy's own library."""
        environment = os.environ | {"PYTHONPATH": str(self.folder / "workflow")}
        return [str(SNAKEMAKE), *arguments], environment

    def call(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command line in the project's folder, with its own library, by the fork server."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=forked_environment(self.folder / "workflow", self.hash_seed),
            capture_output=True,
            text=True,
            check=False,
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run snakemake; its output. Fails the test if it ends with another exit status."""
        command, _ = self.command(*arguments)
        result = self.call(command)
        output = result.stdout + result.stderr
        assert result.returncode == status, output
        return output

    def planned(self, *arguments: str) -> dict[str, int]:
        """The jobs of a dry run by rule, without target rules."""
        return job_counts(self.run("-n", *arguments))


def job_counts(output: str) -> dict[str, int]:
    """The jobs that Snakemake announced, by rule, without target rules."""
    if "Job stats:" not in output:
        return {}
    stats = output.split("Job stats:")[1].split("total")[0]
    counts = {rule: int(count) for rule, count in JOB_COUNT.findall(stats)}
    return {rule: count for rule, count in counts.items() if rule not in TARGETS}


def jobs_done(output: str) -> dict[str, int]:
    """The jobs that a run finished, by rule, without target rules."""
    return dict(Counter(rule for rule in FINISHED.findall(output) if rule not in TARGETS))


def rows_computed(output: str) -> dict[str, int]:
    """Rows generated, judged and embedded, as the jobs reported them."""
    rows: Counter[str] = Counter(generated=0, judged=0, embedded=0)
    for count, verb in COMPUTED.findall(output):
        rows[verb] += int(count)
    return dict(rows)
