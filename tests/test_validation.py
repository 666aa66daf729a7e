"""What training is judged by, against skimage on pictures as they would be stored."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight_cli.core.networks import RetinexNet, RetinexPlus, thumbnail, turned_up
from lowlight_cli.core.training import validation
from lowlight_cli.core.training.losses import smoothness
from lowlight_cli.core.training.objective import objective
from lowlight_cli.core.training.pairbank import PairBank
from lowlight_cli.core.training.ranks import Ranks
from lowlight_cli.settings import LossWeights

WEIGHTS = LossWeights()
ALONE = Ranks(0, 1, torch.device("cpu"))


def of_one_size(height: int, width: int) -> tuple[RetinexNet, PairBank]:
    """A net whose results cover all of [0, 1], and two pairs."""
    torch.manual_seed(0)
    net = RetinexNet(width=4).eval()
    pictures = torch.randint(0, 256, (2, 2, 3, height, width), dtype=torch.uint8)
    return net, PairBank([(low // 4, high) for low, high in pictures])


def test_psnr_and_ssim_are_of_stored_pictures_of_any_size() -> None:
    net, bank = of_one_size(21, 30)
    psnrs, ssims, lights = [], [], []
    for index in range(2):
        low, high = bank.pair(index)
        with torch.inference_mode():
            found = net(torch.nn.functional.pad(low, (0, 2, 0, 3), mode="reflect"))
        stored = (found.enhanced[0, :, :21, :30].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        truth = (high[0] * 255).round().byte().permute(1, 2, 0).numpy()
        psnrs.append(peak_signal_noise_ratio(truth, stored))
        how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        _, map_ = structural_similarity(truth, stored, channel_axis=2, full=True, **how)
        ssims.append(map_[5:-5, 5:-5].mean())  # valid windows
        lights.append(found.relit[0, :, :21, :30].mean().item())
    figures = validation.figures(net, "joint", bank, WEIGHTS, ALONE)
    assert figures["psnr"] == pytest.approx(sum(psnrs) / 2, abs=1e-4)
    assert figures["ssim"] == pytest.approx(sum(ssims) / 2, abs=1e-5)
    assert figures["relit_mean"] == pytest.approx(sum(lights) / 2, abs=1e-5)


def test_the_loss_is_that_of_training_and_decom_has_no_other_figure() -> None:
    net, bank = of_one_size(16, 24)
    with torch.inference_mode():
        losses = [sum(objective(net, "decom", WEIGHTS)(*bank.pair(index)).values()) for index in range(2)]
    figures = validation.figures(net, "decom", bank, WEIGHTS, ALONE)
    assert figures == {"loss": pytest.approx(float(sum(losses)) / 2)}


def test_the_loss_of_a_large_picture_is_that_of_its_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    net, bank = of_one_size(40, 56)
    monkeypatch.setattr(validation, "WHOLE", 24)
    pairs = [[side[..., 8:32, 16:40] for side in bank.pair(index)] for index in range(2)]
    with torch.inference_mode():
        losses = [sum(objective(net, "decom", WEIGHTS)(*pair).values()) for pair in pairs]
    assert validation.figures(net, "decom", bank, WEIGHTS, ALONE)["loss"] == pytest.approx(float(sum(losses)) / 2)


def test_retinex_plus_is_told_where_the_middle_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = RetinexPlus(widths=(4, 4, 4, 4), depths=(1, 1, 1, 1), context=6)
    net.scenes.head.reset_parameters()
    net.locals.told.reset_parameters()
    net.locals.head.reset_parameters()
    low, high = torch.randint(0, 256, (2, 3, 80, 96), dtype=torch.uint8)
    bank = PairBank([(low // 4, high)])
    monkeypatch.setattr(validation, "WHOLE", 32)
    low, high = bank.pair(0)
    part = [side[..., 24:56, 32:64] for side in (low, high)]
    frame = torch.tensor([[24 / 80, 32 / 96, 56 / 80, 64 / 96]])
    with torch.inference_mode():
        terms = objective(net, "plus", WEIGHTS)(*part, thumbnail(low), thumbnail(high), frame)
    found = validation.figures(net, "plus", bank, WEIGHTS, ALONE)["loss"]
    assert found == pytest.approx(float(sum(terms.values())))


@pytest.mark.parametrize("phase", ["decom", "joint"])
def test_what_is_exposed_first_is_told_of_the_whole_picture(phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    net = RetinexNet(width=4, exposure=0.4)
    low, high = torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8)
    low[..., 16:] //= 8
    bank = PairBank([(low // 2, high)])
    monkeypatch.setattr(validation, "WHOLE", 24)
    low, high = bank.pair(0)
    gain = [(0.4 / thumbnail(side).mean()).clamp(min=1)[None, None, None, None] for side in (low, high)]
    part = [side[..., 8:32, 16:40] for side in (low, high)]
    lit = [side * turned_up(side, by) for side, by in zip(part, gain, strict=True)]
    plain = RetinexNet(width=4)
    plain.load_state_dict(net.state_dict())
    with torch.inference_mode():
        expected = {**objective(plain, "decom", WEIGHTS)(*lit)}
        if phase == "joint":
            found = plain(lit[0])
            expected["relight"] = (found.enhanced - part[1]).abs().mean()
            expected["smooth_relit"] = WEIGHTS.smooth_relit * smoothness(found.relit, found.reflectance)
    found = validation.figures(net, phase, bank, WEIGHTS, ALONE)["loss"]
    assert found == pytest.approx(float(sum(expected.values())))


def test_pictures_are_maps_of_the_first_pairs() -> None:
    net, bank = of_one_size(16, 24)
    assert [*validation.pictures(net, "decom", bank, {"scene/1": 0})["scene/1"]] == ["low", "R", "I", "high"]
    shown = validation.pictures(net, "joint", bank, {"scene/1": 0})
    assert list(shown) == ["scene/1"]
    assert list(shown["scene/1"]) == ["low", "R", "I", "I_hat", "enhanced", "high"]
    assert torch.equal(shown["scene/1"]["high"], bank.pair(0)[1][0])
    assert shown["scene/1"]["I"].shape == (1, 16, 24)
