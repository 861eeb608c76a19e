"""Panels: several rewards taken together, where enough of them could be given."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from wim.errors import UserError
from wim.rewards.panel import combine_rewards
from wim.settings.load import load_config
from wim.settings.rewards import RewardSettings
from wim.tables.files import read_table, write_table
from wim.tables.schemas import PANELS, REWARDS

Member = Sequence[tuple[str, float | None]]


def combined(folder: Path, members: Sequence[Member], **settings: object) -> list[dict[str, Any]]:
    """The panel's rows; member number n is the reward `r<n>` of the judge `j<n>`."""
    paths = []
    for place, member in enumerate(members):
        rows = [
            {
                "candidate_id": f"c{number}", "prompt_id": "p", "turn": 1, "judge": f"j{place}",
                "status": status, "cosine": None, "rating_scaled": None, "reward": reward,
            }
            for number, (status, reward) in enumerate(member)
        ]  # fmt: skip
        paths.append(folder / f"r{place}.parquet")
        write_table(paths[-1], REWARDS, pa.Table.from_pylist(rows, schema=REWARDS.schema))
    names = [f"r{place}" for place in range(len(members))]
    panel = RewardSettings.model_validate({"kind": "panel", "of": names} | settings)
    combine_rewards(paths, panel, folder / "panel.parquet")
    found: list[dict[str, Any]] = read_table(folder / "panel.parquet", PANELS).to_pylist()
    return found


def test_a_panel_is_the_mean_or_the_median_of_the_members_that_have_a_reward(
    tmp_path: Path,
) -> None:
    members: list[Member] = [[("ok", 0.0)], [("ok", 0.2)], [("ok", 1.0)], [("echo", None)]]
    assert combined(tmp_path, members)[0]["reward"] == pytest.approx(0.4)
    assert combined(tmp_path, members, by="median")[0]["reward"] == pytest.approx(0.2)


def test_a_member_that_reads_no_judge_adds_no_name_to_the_panels_judges(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.parquet" for name in ("a", "b", "c")]
    for path, judge in zip(paths, ("j", "", "j"), strict=True):
        row = {
            "candidate_id": "c", "prompt_id": "p", "turn": 1, "judge": judge, "status": "ok",
            "cosine": None, "rating_scaled": None, "reward": 1.0,
        }  # fmt: skip
        write_table(path, REWARDS, pa.Table.from_pylist([row], schema=REWARDS.schema))
    panel = RewardSettings(kind="panel", of=["a", "b", "c"])
    combine_rewards(paths, panel, tmp_path / "panel.parquet")
    assert read_table(tmp_path / "panel.parquet", PANELS)["judge"].to_pylist() == ["j"]


def test_with_fewer_members_than_required_there_is_no_reward_and_the_status_says_why(
    tmp_path: Path,
) -> None:
    members: list[Member] = [
        [("ok", 0.5), ("ok", 0.5)],
        [("echo", None), ("nothing_missing", 1.0)],
        [("echo", None), ("refused", None)],
    ]
    failed, enough = combined(tmp_path, members, at_least=2)
    assert (failed["reward"], failed["status"], failed["with_reward"]) == (None, "echo", 1)
    assert (enough["reward"], enough["status"], enough["with_reward"]) == (0.75, "ok", 2)


def test_each_row_of_a_panel_names_what_it_is_made_of(tmp_path: Path) -> None:
    row = combined(tmp_path, [[("ok", 0.5)], [("truncated", None)]])[0]
    assert row["judge"] == "j0+j1"
    assert row["members"] == [
        {"member": "r0", "judge": "j0", "status": "ok", "reward": 0.5},
        {"member": "r1", "judge": "j1", "status": "truncated", "reward": None},
    ]


def test_a_panel_is_read_as_any_rewards_table(tmp_path: Path) -> None:
    combined(tmp_path, [[("ok", 0.5)], [("ok", 0.7)]])
    row = read_table(tmp_path / "panel.parquet", REWARDS).to_pylist()[0]
    assert math.isclose(row["reward"], 0.6)
    assert len(pd.read_parquet(tmp_path / "panel.parquet")["members"][0]) == 2


def test_members_of_different_candidates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="different candidates"):
        combined(tmp_path, [[("ok", 0.5)], [("ok", 0.7), ("ok", 0.1)]])


REWARDS_OF = {
    "wim": {"judge": "smollm2", "zeta": 1.0},
    "number": {"judge": "smollm2", "zeta": 0.0},
    "nothing": {"judge": "smollm2", "kind": "nothing_missing"},
}


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        ({"of": ["wim", "nothing"]}, "wim in points of -1 to 1, nothing in nats"),
        ({"of": ["wim"]}, "a panel has two members or more"),
        ({"of": ["wim", "numbr"]}, "did you mean 'number'"),
        ({"of": ["wim", "number"], "at_least": 3}, "write at most 2"),
        ({"of": ["wim", "number"], "judge": "smollm2"}, "ignores judge"),
        ({"of": ["wim", "other"]}, "itself a panel"),
    ],
)
def test_a_panel_that_means_nothing_is_refused_with_what_to_write(
    panel: dict[str, object], message: str
) -> None:
    other = {"kind": "panel", "of": ["wim", "number"]}
    rewards = {**REWARDS_OF, "other": other, "panel": {"kind": "panel", **panel}}
    with pytest.raises(UserError, match=message):
        load_config({"rewards": rewards, "arms": {}})


def test_a_reward_without_a_judge_is_refused() -> None:
    with pytest.raises(UserError, match=r"rewards.wim: judge is missing"):
        load_config({"rewards": {"wim": {"zeta": 1.0}}, "arms": {}})


def test_settings_of_a_panel_are_no_part_of_the_identity_of_other_kinds() -> None:
    identity = RewardSettings(judge="j", zeta=1.0).identity(0)
    assert identity == {"reward": {"judge": "j", "zeta": 1.0, "rating": "rating"}}
