"""Work that outlasts a cluster's time limit: a job near its limit saves and requeues itself.

SLURM warns a job before its time is up (`sbatch --signal=USR1@<seconds>`). The job then saves what
it has and requeues itself: the same job, with the same number, waits in the queue and resumes from
what was saved. To Snakemake it never failed, so its retries are left for real failures.
"""

import logging
import os
import subprocess
from pathlib import Path

logger = logging.getLogger(__name__)
MAX_REQUEUES_WITHOUT_PROGRESS = 3
_kept = False


def work_was_kept() -> None:
    """Note that this job, requeued, would start further along than it did now."""
    global _kept
    _kept = True


def requeue_job(tally: Path) -> bool:
    """Requeue this SLURM job, after SLURM's warning.

    Args:
        tally: A file that counts the runs in a row in which nothing was saved. After
            MAX_REQUEUES_WITHOUT_PROGRESS of them the job fails, since one more would not help.

    Returns:
        Whether SLURM has requeued it; False outside SLURM.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    without_progress = 0 if _kept else _read(tally) + 1
    if without_progress >= MAX_REQUEUES_WITHOUT_PROGRESS:
        tally.unlink(missing_ok=True)
        logger.error(
            "error: the time was up before anything could be saved, %d times in a row; raise this "
            "rule's `runtime`, or warn it later (slurm_extra: --signal=USR1@<seconds>)",
            without_progress,
        )
        return False
    tally.write_text(str(without_progress))
    done = subprocess.run(
        ["scontrol", "requeue", job], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        logger.error(
            "error: SLURM does not requeue job %s: %s", job, done.stderr.strip() or "no reason"
        )
        return False
    logger.info(
        "the time is nearly up; what is done is saved, and job %s is requeued to resume", job
    )
    return True


def _read(tally: Path) -> int:
    try:
        return int(tally.read_text())
    except (FileNotFoundError, ValueError):
        return 0
