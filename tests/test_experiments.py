"""What the scripts in experiments/ rely on."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lowlight_cli.core.training import start


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "experiments")
    return importlib.import_module(request.param)


@pytest.mark.parametrize("script", ["ablation"], indirect=True)
def test_every_row_of_the_ablation_changes_what_is_there(script: Any) -> None:
    whole = start.ContextBank
    for name, (_, _, patches) in script.ROWS.items():
        with script.all_of(patches):
            assert (start.ContextBank is not whole) == (name in ("own", "crop"))
    assert start.ContextBank is whole


@pytest.mark.parametrize("script", ["ways_to_darken"], indirect=True)
def test_the_curve_is_that_of_mbllen(script: Any) -> None:
    """beta (alpha x) ** gamma, Lv et al., BMVC 2018."""
    high = torch.rand(3, 4, 5)
    beta, alpha, gamma = torch.rand(3, generator=torch.Generator().manual_seed(0)).tolist()
    beta, alpha, gamma = 0.5 + 0.5 * beta, 0.9 + 0.1 * alpha, 1.5 + 3.5 * gamma
    ours = script.curve(high, torch.Generator().manual_seed(0), 5)
    torch.testing.assert_close(ours, beta * (alpha * high) ** gamma)
