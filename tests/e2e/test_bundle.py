"""A run is bundled, and unpacked, planned and begun where there is no network at all."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.workflow_runs import REPOSITORY, job_counts, tiny_config

# A folder of the wheels of the pinned environment, which are fetched from PyPI without it.
GIVEN_WHEELS = "WIM_TEST_WHEELS"
WITHOUT_NETWORK = ["unshare", "--map-root-user", "--net"]


@pytest.mark.soak  # Without the folder of wheels it collects gigabytes of them.
def test_a_bundle_is_unpacked_planned_and_run_without_network(
    tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    if not shutil.which("unshare") or subprocess.run([*WITHOUT_NETWORK, "true"]).returncode:
        pytest.skip("this system gives no network namespace of one's own (unshare)")
    here = tmp_path / "here"
    here.mkdir()
    for name, model in (("tiny", tiny_model), ("encoder", minilm)):
        (here / name).symlink_to(model)
    rewards = {
        "rewards": {"wim": {"judge": "tiny", "zeta": 1.0}},
        "arms": {"wim": {"reward": "wim"}},
    }
    config = tiny_config(Path("tiny"), Path("encoder"), shards=2, **rewards)
    (here / "mine.yaml").write_text(json.dumps(config))
    lines = [json.dumps({"prompt": f"Question {number}?"}) for number in range(6)]
    (here / "prompts.jsonl").write_text("\n".join(lines))
    wheels = ["--wheels", os.environ[GIVEN_WHEELS]] if GIVEN_WHEELS in os.environ else []
    options = ["--configfile", "mine.yaml", *wheels, "--output", "../bundle.tar"]
    made = subprocess.run(
        [sys.executable, "-m", "wim.cli", "bundle", *options],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "pip could not collect" in made.stderr and not wheels:
        pytest.skip(f"needs PyPI, or a folder of wheels in {GIVEN_WHEELS}: {made.stderr}")
    assert made.returncode == 0, made.stdout + made.stderr
    shutil.rmtree(here)

    script = f"""
    set -e
    test "$(tail -n +3 /proc/net/dev | cut -d: -f1 | xargs)" = lo
    test "$(wc -l < /proc/net/route)" -le 1
    tar -xf bundle.tar unpack.py
    {sys.executable} unpack.py bundle.tar there
    rm bundle.tar
    cd there
    source .venv/bin/activate
    snakemake --directory run --configfile run/mine.yaml --dry-run
    snakemake --directory run --configfile run/mine.yaml --cores 1 --quiet all -- dialogues
    """
    done = subprocess.run(
        [*WITHOUT_NETWORK, "bash", "-c", script],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    planned = job_counts(done.stdout + done.stderr)
    assert planned["generate_dialogues"] == 2
    assert "stage_model" not in planned and "ingest_prompts" not in planned
    spoken = pq.read_table(tmp_path / "there/run/results/dialogues/base").to_pydict()
    assert len(set(spoken["prompt_id"])) == len(lines)
