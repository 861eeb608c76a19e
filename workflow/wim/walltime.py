"""Work that outlasts a cluster's time limit: the job asks SLURM for another turn.

SLURM warns a job before its time is up (`sbatch --signal=USR1@<seconds>`). The job then keeps what
it has and requeues itself: the same job, with the same number, waits for its next turn and goes on
from what was kept. To Snakemake it never failed, so its retries stay for real failures.
"""

import logging
import os
import subprocess

logger = logging.getLogger(__name__)
_kept = False


def work_was_kept() -> None:
    """Note that another turn would begin further on than this one did."""
    global _kept
    _kept = True


def ask_for_another_turn() -> bool:
    """Let SLURM queue this job again, after a warning; whether it will.

    A turn that kept nothing is not repeated, since the next would come no further: it fails.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    if not _kept:
        logger.error(
            "error: the time was up before anything could be kept; raise this rule's `runtime`, "
            "or warn it earlier (slurm_extra: --signal=USR1@<seconds>)"
        )
        return False
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
