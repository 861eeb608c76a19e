"""The precision that a machine is fastest in: measured once, kept, and found without torch."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from wim.engines import machine
from wim.engines.machine import dtype_of, fitting_precision

RATES = {
    "generation": {"float32": 50.0, "bfloat16": 80.0},
    "training": {"float32": 160.0, "bfloat16": 45.0},
}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of machines of which none is known yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_has_gpu", lambda: False)
    fitting_precision.cache_clear()
    yield tmp_path / "wim/machines"
    fitting_precision.cache_clear()


def measured_as(monkeypatch: pytest.MonkeyPatch, rates: Any) -> list[int]:
    """Have the measurement find some rates; how often it was made."""
    made: list[int] = []

    def found() -> Any:
        made.append(1)
        return rates

    monkeypatch.setattr(machine, "rates", found)
    return made


def test_each_kind_of_work_has_its_own_fastest_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    measured_as(monkeypatch, RATES)
    assert fitting_precision("generation") == "bfloat16"
    assert fitting_precision("training") == "float32"
    assert dtype_of("auto", "training") is torch.float32
    assert dtype_of("float16", "training") is torch.float16


def test_a_machine_is_measured_once_and_says_so(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    made = measured_as(monkeypatch, RATES)
    fitting_precision("generation")
    fitting_precision.cache_clear()
    measured_as(monkeypatch, {"generation": {"float32": 2.0, "bfloat16": 1.0}})
    assert fitting_precision("generation") == "bfloat16"
    assert made == [1]
    (file,) = own_folder.iterdir()
    kept = json.loads(file.read_text())
    assert kept["gflops"] == RATES
    assert kept["machine"] == machine.description()
    assert "one thread has" in caplog.text and "160.0" in caplog.text


def test_the_job_that_measured_first_decides(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slower() -> Any:
        # Another job ends its measurement in the meantime.
        monkeypatch.setattr(machine, "rates", lambda: RATES)
        fitting_precision("training")
        return {"generation": {"float32": 2.0, "bfloat16": 1.0}, "training": {"bfloat16": 1.0}}

    monkeypatch.setattr(machine, "rates", slower)
    assert fitting_precision("generation") == "bfloat16"
    assert len(list(own_folder.iterdir())) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", '{"precisions": {"generation": "int4", "training": 1}}']
)
def test_what_is_kept_and_cannot_be_read_is_told_and_measured(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    measured_as(monkeypatch, RATES)
    fitting_precision("generation")
    (file,) = own_folder.iterdir()
    file.write_text(text)
    fitting_precision.cache_clear()
    assert fitting_precision("generation") == "bfloat16"
    assert "measures anew" in caplog.text and str(file) in caplog.text


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    measured_as(monkeypatch, RATES)
    assert fitting_precision("training") == "float32"
    assert "XDG_CACHE_HOME" in caplog.text


@pytest.mark.parametrize(
    ("native", "generation", "training"),
    [(True, "bfloat16", "bfloat16"), (False, "float16", "float32")],
)
def test_a_card_without_bfloat16_of_its_own_generates_in_float16_and_trains_in_float32(
    monkeypatch: pytest.MonkeyPatch, native: bool, generation: str, training: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return including_emulation or native

    monkeypatch.setattr(machine, "_has_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert fitting_precision("generation") == generation
    assert fitting_precision("training") == training


def test_what_is_kept_is_found_without_torch(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured_as(monkeypatch, RATES)
    fitting_precision("generation")
    if any(Path(folder).exists() for folder in machine.GPUS):
        pytest.skip("the machine may have a card, which torch is asked for")
    code = (
        "import sys; from wim.engines.machine import fitting_precision; "
        "print(fitting_precision('generation'), 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["bfloat16", "False"]


def test_products_are_measured_on_one_thread_and_give_the_others_back() -> None:
    before = torch.get_num_threads()
    found = machine.rates()
    assert torch.get_num_threads() == before
    assert {work: set(of) for work, of in found.items()} == {
        "generation": {"float32", "bfloat16"},
        "training": {"float32", "bfloat16"},
    }
    assert all(rate > 0 for of in found.values() for rate in of.values())
