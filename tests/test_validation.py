"""What training is judged by, against skimage on pictures as they would be stored."""

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from lowlight_cli.core import validation
from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.objective import objective
from lowlight_cli.core.pairbank import PairBank
from lowlight_cli.settings import LossWeights

WEIGHTS = LossWeights()


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
    figures = validation.figures(net, "joint", bank, WEIGHTS)
    assert figures["psnr"] == pytest.approx(sum(psnrs) / 2, abs=1e-4)
    assert figures["ssim"] == pytest.approx(sum(ssims) / 2, abs=1e-5)
    assert figures["relit_mean"] == pytest.approx(sum(lights) / 2, abs=1e-5)


def test_the_loss_is_that_of_training_and_decom_has_no_other_figure() -> None:
    net, bank = of_one_size(16, 24)
    with torch.inference_mode():
        losses = [sum(objective(net, "decom", WEIGHTS)(*bank.pair(index)).values()) for index in range(2)]
    figures = validation.figures(net, "decom", bank, WEIGHTS)
    assert figures == {"loss": pytest.approx(float(sum(losses)) / 2)}


def test_pictures_are_maps_of_the_first_pairs() -> None:
    net, bank = of_one_size(16, 24)
    shown = validation.pictures(net, bank, ["scene/1"])
    assert list(shown) == ["scene/1"]
    assert list(shown["scene/1"]) == ["low", "R", "I", "I_hat", "enhanced", "high"]
    assert torch.equal(shown["scene/1"]["high"], bank.pair(0)[1][0])
    assert shown["scene/1"]["I"].shape == (1, 16, 24)
