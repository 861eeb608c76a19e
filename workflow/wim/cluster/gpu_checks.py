"""What a job on a GPU needs of its machine, asked before the work that would fail or crawl without.

The functions import torch.
"""

import os
import shutil
import sysconfig
from pathlib import Path
from typing import Any

from wim.cluster.gpus import GIVEN, VISIBLE
from wim.errors import UserError

WITHOUT = "WIM_WITHOUT_GPU"
"""Set to 1, jobs that requested GPUs compute on the CPU where there are none."""


def check_gpus() -> None:
    """Raise UserError if this job requested GPUs that torch does not find.

    Computing on the CPU instead would take a hundred times as long, without a word.
    """
    requested = int(os.environ.get(GIVEN, 0))
    if not requested or os.environ.get(WITHOUT) == "1":
        return
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found >= requested:
        return
    raise UserError(
        f"this job requested gpu: {requested}, and torch finds {found or 'none'} "
        f"({_versions()}; {VISIBLE}: {os.environ.get(VISIBLE, 'not set')}). {_remedy()} "
        f"To compute on the CPU on purpose, write gpu: 0, or export {WITHOUT}=1."
    )


def _versions() -> str:
    import torch

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    return f"torch {torch.__version__}, built for {torch.version.hip or built}"


def _remedy() -> str:
    """What is wrong with the installation, and what to do."""
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return "This is a build for the CPU alone: install torch's wheel for your CUDA."
    try:
        initialise: Any = torch.cuda.init
        initialise()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        return f"CUDA says: {reason} Install a newer driver, or torch's wheel for an older CUDA."
    return "Request as many as the job's node has."


def check_compiler() -> None:
    """Raise UserError if Triton, whose kernels train on a GPU, could not compile what calls them."""
    import torch

    if not torch.cuda.is_available():
        return
    missing = []
    named = os.environ.get("CC")
    if not any(map(shutil.which, [named] if named else ["gcc", "clang"])):
        missing.append(f"a C compiler ({named or 'gcc or clang'})")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.exists():
        missing.append(f"Python's headers ({header})")
    if missing:
        raise UserError(
            f"training on a GPU compiles kernels (Triton), and this node lacks "
            f"{' and '.join(missing)}. Load the site's modules of a compiler and of Python "
            "(`module load gcc python`) before snakemake starts, or install gcc and python3-dev; "
            "CC names a compiler elsewhere."
        )
