"""`snakemake --lint`, with its demand of an environment per rule answered once for all rules.

All rules run in the one pinned environment that `make setup` installs from constraints.txt
(docs/design/decisions/environment.md), so that finding is expected of every rule. Any other
finding is printed and ends with exit status 1.
"""

import subprocess
import sys
from pathlib import Path

ANSWERED = "* Specify a conda environment or container for each rule.:"


def findings() -> list[str]:
    """The linter's findings but for the answered one, a line each."""
    command = [Path(sys.executable).with_name("snakemake"), "--lint"]
    linted = subprocess.run(command, capture_output=True, text=True, check=False)
    found, place = [], ""
    for line in linted.stderr.splitlines():
        if line.startswith("Lints for "):
            place = line.removeprefix("Lints for ")
        elif line.startswith("    * ") and line.strip() != ANSWERED:
            found.append(f"{place} {line.strip()}")
    return found if place else [linted.stdout + linted.stderr]


if __name__ == "__main__":
    found = findings()
    print("\n".join(found) or "snakemake --lint: nothing to say")
    sys.exit(bool(found))
