"""Work that outlasts a cluster's time limit: the job asks SLURM for another turn.

SLURM warns a job before its time is up (`sbatch --signal=USR1@<seconds>`). The job then keeps what
it has and requeues itself: the same job, with the same number, waits for its next turn and goes on
from what was kept. To Snakemake it never failed, so its retries stay for real failures.
"""

import logging
import os
import subprocess
from pathlib import Path

logger = logging.getLogger(__name__)
FRUITLESS = 3
_kept = False


def work_was_kept() -> None:
    """Note that another turn would begin further on than this one did."""
    global _kept
    _kept = True


def ask_for_another_turn(tally: Path) -> bool:
    """Let SLURM queue this job again, after a warning; whether it will.

    tally: a file that counts the turns in a row in which nothing was kept. After FRUITLESS of them
    the job fails, since another would come no further.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    fruitless = 0 if _kept else _read(tally) + 1
    if fruitless >= FRUITLESS:
        tally.unlink(missing_ok=True)
        logger.error(
            "error: the time was up before anything could be kept, %d turns in a row; raise this "
            "rule's `runtime`, or warn it later (slurm_extra: --signal=USR1@<seconds>)",
            fruitless,
        )
        return False
    tally.write_text(str(fruitless))
    asked = subprocess.run(
        ["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False
    )
    if asked.returncode:
        logger.error(
            "error: SLURM does not queue job %s again: %s", job, asked.stderr.strip() or "no reason"
        )
        return False
    logger.info(
        "the time is nearly up; what is done is kept, and job %s goes on in a new turn", job
    )
    return True


def _read(tally: Path) -> int:
    try:
        return int(tally.read_text())
    except (FileNotFoundError, ValueError):
        return 0
