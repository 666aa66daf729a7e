"""What the scripts in experiments/ rely on."""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from lowlight_cli.core.networks import RetinexPlus
from lowlight_cli.core.training import start
from lowlight_cli.core.training.objective import PlusObjective
from lowlight_cli.settings import LossWeights, TrainSettings


@pytest.fixture
def script(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "experiments")
    return importlib.import_module(request.param)


@pytest.mark.parametrize("script", ["ablation"], indirect=True)
def test_every_row_of_the_ablation_changes_what_is_there(script: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = [(torch.rand(2, 3, 48, 64, generator=generator) * 255).byte().unbind() for _ in range(4)]
    torch.manual_seed(0)
    net = RetinexPlus((4, 4, 4, 4), (1, 1, 1, 1), context=6, scene_widths=(4, 6), scene_depths=(1, 1), scene_maps=2)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)

    def terms() -> dict[str, float]:
        batch = start.ContextBank(pairs).patches(torch.arange(4), 32, torch.Generator().manual_seed(0))
        return {name: value.item() for name, value in PlusObjective(net, LossWeights())(*batch).items()}

    found = {}
    for name, (_, options, patches) in script.ROWS.items():
        with script.all_of(patches):
            found[name] = terms()
        assert options or patches or name == "full"
    whole = terms()
    assert all((found[name] == whole) == (not patches) for name, (_, _, patches) in script.ROWS.items())
    assert found["exposure"]["exposure"] != whole["exposure"] == found["context"]["exposure"]
    assert found["scene"]["exposure"] == whole["exposure"]


@pytest.mark.parametrize("script", ["four_ways"], indirect=True)
def test_loss_of_the_last_epoch_is_the_mean_of_its_steps(script: Any, tmp_path: Path) -> None:
    run = tmp_path / "joint-seed1"
    run.mkdir()
    (run / "settings.json").write_text(TrainSettings(stage="joint", seed=1, batch=6).model_dump_json())
    journal = []
    # epoch, step, loss: 18 steps an epoch; step 28 comes once more after a kill, as it was not saved
    for epoch, step, loss in ((0, 10, 9.0), (0, 18, 9.0), (1, 28, 7.0), (1, 28, 2.0), (1, 36, 1.1)):
        known = {"event": "step", "phase": "joint", "epoch": epoch, "step": step, "terms": {"recon_low": loss}}
        journal.append(json.dumps(known | {"patches_per_second": 3.6}))
    (run / "events.jsonl").write_text("\n".join(journal))
    found = script.Run.read(run)
    assert found.trained == {"recon_low": pytest.approx((10 * 2.0 + 8 * 1.1) / 18)}
    assert found.minutes == pytest.approx(36 * 6 / 3.6 / 60)
    assert script.described(found) == "(c) `joint`, rate 0.001, step, seed 1"


@pytest.mark.parametrize("script", ["average"], indirect=True)
def test_a_mean_replaces_no_model(
    script: Any, monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path
) -> None:
    before = tiny_model.read_bytes()
    for given in ([], ["--help"], [tiny_model, tiny_model], [tiny_model, tiny_model, tiny_model]):
        monkeypatch.setattr("sys.argv", ["average.py", *map(str, given)])
        with pytest.raises(SystemExit):
            script.main()
    assert tiny_model.read_bytes() == before
    monkeypatch.setattr("sys.argv", ["average.py", str(tmp_path / "mean.safetensors"), *[str(tiny_model)] * 2])
    for _ in range(2):  # as where the whole recipe goes on
        script.main()
    assert (tmp_path / "mean.safetensors").exists()


@pytest.mark.parametrize("script", ["ways_to_darken"], indirect=True)
def test_the_curve_is_that_of_mbllen(script: Any) -> None:
    """beta (alpha x) ** gamma, Lv et al., BMVC 2018."""
    high = torch.rand(3, 4, 5)
    beta, alpha, gamma = torch.rand(3, generator=torch.Generator().manual_seed(0)).tolist()
    beta, alpha, gamma = 0.5 + 0.5 * beta, 0.9 + 0.1 * alpha, 1.5 + 3.5 * gamma
    ours = script.curve(high, torch.Generator().manual_seed(0), 5)
    torch.testing.assert_close(ours, beta * (alpha * high) ** gamma)
