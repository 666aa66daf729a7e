"""Write tests/golden/retinexnet.npz from the TensorFlow reference, and retinex_plus.npz from the packaged models.

    make golden REFERENCE=.../retinexnet_tf_reference.npz

Without REFERENCE the latter alone is written: maps of a part of a sample, pooled, so that no change of the networks
goes unseen that would change what the packaged weights compute.

The whole reference is too large to ship, because of its weights. The golden file holds what can be tested without
them and what shows the same thing on a smaller net:

- ``tf/...``: maps and loss terms as TensorFlow computed them, on a crop of one picture size: the losses must agree.
- ``small/...``: a RetinexNet of width 6, its outputs, loss terms and gradients on that input, computed in float64 by
  the networks of this package *after* they have reproduced the whole reference here. Any later change of padding,
  layer order or activation moves them.
"""

from pathlib import Path

import numpy as np
import torch
from arguments import arguments
from test_parity import check_against_tensorflow
from test_retinex_plus import GOLDEN as GOLDEN_PLUS
from test_retinex_plus import PACKAGED, pooled_maps
from tf_reference import image

from lowlight_cli.core.networks import RetinexNet
from lowlight_cli.core.training.objective import Objective
from lowlight_cli.settings import LossWeights

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "retinexnet.npz"
CASE = "even64x96/"


def write_packaged() -> None:
    """What each packaged retinex-plus makes of a part of a sample."""
    found = {f"{model}/{name}": part for model in PACKAGED for name, part in pooled_maps(model).items()}
    np.savez_compressed(GOLDEN_PLUS, **found)
    print(GOLDEN_PLUS)


def main(path: str) -> None:
    with np.load(path) as reference:
        net = check_against_tensorflow(Path(path))
        low, high = image(reference[CASE + "input_low"]), image(reference[CASE + "input_high"])
        bytes_of = {
            "low": (low * 255).round().to(torch.uint8).numpy(),
            "high": (high * 255).round().to(torch.uint8).numpy(),
        }
        assert all(
            np.allclose(values / 255, source) for values, source in zip(bytes_of.values(), (low, high), strict=True)
        )
        with torch.no_grad():
            of_high = net.decom(high)
        golden = {
            **bytes_of,
            "tf/R_low": image(reference[CASE + "R_low"]).numpy(),
            "tf/I_low": image(reference[CASE + "I_low"])[:, :1].numpy(),
            "tf/I_delta": image(reference[CASE + "I_delta"])[:, :1].numpy(),
            "own/R_high": of_high.reflectance.numpy(),
            "own/I_high": of_high.illumination.numpy(),
            **{
                f"tf/{name.removeprefix(CASE)}": reference[name]
                for name in reference.files
                if name.startswith(CASE) and reference[name].ndim == 0
            },
        }

    torch.manual_seed(0)
    small = RetinexNet(width=6).double()
    for parameter in small.parameters():
        if parameter.ndim == 1:
            torch.nn.init.uniform_(parameter, -0.1, 0.1)
    golden |= {f"small/weights/{name}": value.float().numpy() for name, value in small.state_dict().items()}
    small.load_state_dict({name: value.float() for name, value in small.state_dict().items()})
    low, high = (torch.from_numpy(golden[side]).double() / 255 for side in ("low", "high"))
    found = small(low)
    for name, maps in zip(("R", "I", "I_hat"), found, strict=True):
        golden[f"small/{name}"] = maps.detach()[:1, :, 16:48, 24:72].float().numpy()
    for phase in ("decom", "enhance"):
        small.zero_grad()
        terms = Objective(small, phase, LossWeights())(low, high)
        sum(terms.values()).backward()
        golden |= {f"small/{phase}/{name}": value.detach().numpy() for name, value in terms.items()}
        learning = small.decom if phase == "decom" else small.enhance
        golden |= {
            f"small/{phase}/grad/{name}": parameter.grad.float().numpy()
            for name, parameter in learning.named_parameters()
        }
    GOLDEN.parent.mkdir(exist_ok=True)
    np.savez_compressed(GOLDEN, **golden)
    print(f"{GOLDEN}: {GOLDEN.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    references = arguments(__doc__, 0, 1)
    write_packaged()
    for reference in references:
        main(reference)
