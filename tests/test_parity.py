"""The networks and losses against the authors' TensorFlow graph.

One test runs the whole reference where it is present; the others read a golden file written from it by
``experiments/golden.py``, which first makes sure that the whole reference is reproduced.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from tf_reference import TERMS, image, parameters

from lowlight_cli.core.networks import Decomposition, RetinexNet
from lowlight_cli.core.training import losses
from lowlight_cli.core.training.events import Phase
from lowlight_cli.core.training.objective import Objective
from lowlight_cli.settings import LossWeights

GOLDEN = Path(__file__).parent / "golden" / "retinexnet.npz"
CASE = "even64x96/"


def check_against_tensorflow(path: Path) -> RetinexNet:
    """Outputs within 2e-5, loss terms within 1e-4 relative, gradients within 1e-3 of each tensor's largest entry."""
    with np.load(path) as reference:
        net = RetinexNet()
        net.load_state_dict(parameters(reference, "weights/"))
        low, high = image(reference[CASE + "input_low"]), image(reference[CASE + "input_high"])
        with torch.no_grad():
            found = net(low)
        for name, maps in (
            ("R_low", found.reflectance),
            ("I_low", found.illumination),
            ("I_delta", found.relit),
            ("S", found.enhanced),
        ):
            expected = image(reference[CASE + name])
            assert torch.allclose(maps.expand_as(expected), expected, rtol=0, atol=2e-5), name

        gradients = parameters(reference, CASE + "grad/")
        totals: dict[Phase, str] = {"decom": "loss_decom", "enhance": "loss_relight"}
        for phase, total in totals.items():
            net.zero_grad()
            terms = Objective(net, phase, LossWeights())(low, high)
            for name, value in terms.items():
                theirs, weight = TERMS[name]
                assert value.item() == pytest.approx(weight * float(reference[CASE + theirs]), rel=1e-4), name
            loss = torch.stack(list(terms.values())).sum()
            assert loss.item() == pytest.approx(float(reference[CASE + total]), rel=1e-4)
            loss.backward()
            learning = net.decom if phase == "decom" else net.enhance
            prefix = "decom." if phase == "decom" else "enhance."
            for name, parameter in learning.named_parameters():
                expected = gradients[prefix + name]
                assert parameter.grad is not None
                assert (parameter.grad - expected).abs().max() <= 1e-3 * expected.abs().max(), name
    return net


def test_whole_reference(reference: Path) -> None:
    check_against_tensorflow(reference)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


def picture(golden: dict[str, np.ndarray], side: str) -> torch.Tensor:
    return torch.from_numpy(golden[side]).float() / 255


def test_losses_equal_tensorflows(golden: dict[str, np.ndarray]) -> None:
    maps = {name.partition("/")[2]: torch.from_numpy(values) for name, values in golden.items() if values.ndim == 4}
    low, high = picture(golden, "low"), picture(golden, "high")
    of_low, of_high = Decomposition(maps["R_low"], maps["I_low"]), Decomposition(maps["R_high"], maps["I_high"])
    weights = LossWeights()
    found = losses.decomposition(low, high, of_low, of_high, weights)
    found |= losses.relighting(high, of_low.reflectance, maps["I_delta"], weights)
    assert found.keys() == TERMS.keys()
    for name, value in found.items():
        theirs, weight = TERMS[name]
        assert value.item() == pytest.approx(weight * float(golden[f"tf/{theirs}"]), rel=1e-4), name


def small(golden: dict[str, np.ndarray]) -> RetinexNet:
    prefix = "small/weights/"
    weights = {name.removeprefix(prefix): torch.from_numpy(v) for name, v in golden.items() if name.startswith(prefix)}
    net = RetinexNet(width=6)
    net.load_state_dict(weights)
    return net


def test_maps_equal_the_golden_ones(golden: dict[str, np.ndarray]) -> None:
    with torch.no_grad():
        found = small(golden)(picture(golden, "low"))
    for name, maps in zip(("R", "I", "I_hat"), found, strict=True):
        expected = torch.from_numpy(golden[f"small/{name}"])
        assert torch.allclose(maps[:1, :, 16:48, 24:72], expected, rtol=0, atol=2e-5), name


@pytest.mark.parametrize("phase", ["decom", "enhance"])
def test_terms_and_gradients_equal_the_golden_ones(phase: Phase, golden: dict[str, np.ndarray]) -> None:
    net = small(golden)
    terms = Objective(net, phase, LossWeights())(picture(golden, "low"), picture(golden, "high"))
    for name, value in terms.items():
        assert value.item() == pytest.approx(float(golden[f"small/{phase}/{name}"]), rel=1e-4), name
    torch.stack(list(terms.values())).sum().backward()
    learning, frozen = (net.decom, net.enhance) if phase == "decom" else (net.enhance, net.decom)
    assert all(parameter.grad is None for parameter in frozen.parameters())
    for name, parameter in learning.named_parameters():
        expected = torch.from_numpy(golden[f"small/{phase}/grad/{name}"])
        assert parameter.grad is not None
        assert (parameter.grad - expected).abs().max() <= 1e-3 * expected.abs().max(), name
