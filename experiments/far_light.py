"""Train an Enhance-Net that sees far: at a fraction of the resolution, on whole pictures, over a frozen Decom-Net.

    python experiments/far_light.py OUT.safetensors [--data data] [--photos DIR] [--init MODEL] [--light-scale 16]

`lowlight train --stage enhance --init MODEL --light-scale N` learns the same from patches, at full size. Here the maps
of every picture are computed once and reduced by N, so that an epoch over LOL takes a few seconds. Half of the batches
see parts of the pictures, at least half as high and wide. Photographs, if there are any, are darkened once and learned
from as well; those of one size make batches together. The pairs are split as `lowlight train` splits them; last comes
what the result, the average of the weights, does on the held-out ones.
"""

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from held_out import held_out
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from lowlight_cli.core import checkpoints, device, losses, metrics, tiling
from lowlight_cli.core.networks import Decomposition, RetinexNet
from lowlight_cli.core.picture import quantised
from lowlight_cli.core.schedule import moving_average
from lowlight_cli.settings import TrainSettings

BATCH, RATE, CLIP, DECAY = 8, 1e-3, 1.0, 0.995
SMOOTH = 0.7
"""Weight of I_hat's smoothness, per pixel of the full picture, as in retinexnet_best.toml."""
Maps = tuple[Tensor, Tensor, Tensor]


def network(init: str, scale: int) -> RetinexNet:
    """Decom-Net of ``init``, and a fresh Enhance-Net that starts from a light of 1."""
    given, _ = checkpoints.load(init)
    if not isinstance(given, RetinexNet):
        raise SystemExit(f"{init} has no Decom-Net: give a RetinexNet")
    net = RetinexNet(given.config["width"], given.config["upsampling"], light_scale=scale)
    net.decom.load_state_dict(given.decom.state_dict())
    torch.nn.init.ones_(net.enhance.head.bias)
    return net.to(memory_format=torch.channels_last)


@torch.inference_mode()
def reduced(net: RetinexNet, low: Tensor, high: Tensor) -> Maps:
    """R and I of a dark picture (3, H, W) uint8 and its truth, at the scale of the light."""
    image, truth = (tiling.padded(picture[None].float() / 255, net.MULTIPLE) for picture in (low, high))
    with torch.autocast("cpu", torch.bfloat16, enabled=device.fast_bf16(torch.device("cpu"))):
        reflectance, illumination = net.decom(image.contiguous(memory_format=torch.channels_last))
    small = net.small_maps(Decomposition(reflectance.float(), illumination.float()))
    return small[:, :3], small[:, 3:], F.avg_pool2d(truth, net.light_scale)


def varied(maps: Maps, generator: torch.Generator) -> Maps:
    """Mirrored at random, and every other time a part."""
    for side in (2, 3):
        if torch.rand((), generator=generator) < 0.5:
            maps = tuple(part.flip(side) for part in maps)
    if torch.rand((), generator=generator) < 0.5:
        share = 0.5 + 0.5 * float(torch.rand((), generator=generator))
        for side in (2, 3):
            whole = maps[0].shape[side]
            length = round(whole * share)
            start = int(torch.randint(whole - length + 1, (), generator=generator))
            maps = tuple(part.narrow(side, start, length) for part in maps)
    return maps


def alike(maps: list[Maps]) -> list[Maps]:
    """Those of one size put together, (N, 3 or 1, h, w), for each size."""
    sizes: dict[torch.Size, list[Maps]] = {}
    for each in maps:
        sizes.setdefault(each[0].shape, []).append(each)
    return [
        (torch.cat(r), torch.cat(i), torch.cat(high)) for r, i, high in (zip(*of, strict=True) for of in sizes.values())
    ]


def batches(groups: list[Maps], generator: torch.Generator) -> list[tuple[Maps, Tensor]]:
    """A group and the places in it of each batch of an epoch, in random order. A rest of a group has to wait."""
    found = []
    for maps in groups:
        count = len(maps[0]) // BATCH
        order = torch.randperm(len(maps[0]), generator=generator)[: count * BATCH]
        found += [(maps, index) for index in order.reshape(count, BATCH)]
    return [found[place] for place in torch.randperm(len(found), generator=generator).tolist()]


def trained(net: RetinexNet, groups: list[Maps], epochs: int, seed: int) -> AveragedModel:
    """The average of Enhance-Net's weights after training on groups of (N, 3 or 1, h, w)."""
    generator = torch.Generator().manual_seed(seed)
    enhance = net.enhance
    average = AveragedModel(enhance, multi_avg_fn=moving_average(DECAY))
    optimizer = torch.optim.Adam(enhance.parameters(), RATE)
    steps_an_epoch = sum(len(maps[0]) // BATCH for maps in groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: (1 + math.cos(math.pi * step / steps_an_epoch / epochs)) / 2
    )
    for epoch in range(1, epochs + 1):
        total = 0.0
        for maps, index in batches(groups, generator):
            reflectance, illumination, high = varied((maps[0][index], maps[1][index], maps[2][index]), generator)
            with torch.autocast("cpu", torch.bfloat16, enabled=device.fast_bf16(torch.device("cpu"))):
                small = torch.cat([reflectance, illumination], dim=1).contiguous(memory_format=torch.channels_last)
                light = net.small_light(small)
            loss = (reflectance * light - high).abs().mean()
            loss = loss + SMOOTH / net.light_scale * losses.smoothness(light, reflectance)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(enhance.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            average.update_parameters(enhance)
            total += loss.item()
        if epoch % 10 == 0 or epoch == epochs:
            print(f"epoch {epoch}: loss {total / steps_an_epoch:.4f}", flush=True)
    return average


@torch.inference_mode()
def judged(net: RetinexNet, pairs: list[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Mean PSNR and SSIM (RGB) of the 8-bit results, as training itself measures them."""
    figures = []
    for low, high in pairs:
        enhanced = quantised(tiling.run(net, low[None].float() / 255).enhanced) / 255
        truth = high[None] / 255
        figures.append([metrics.psnr(enhanced, truth).item(), metrics.ssim(enhanced, truth).item()])
    psnr, ssim = torch.tensor(figures).mean(dim=0).tolist()
    return psnr, ssim


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--init", default="retinexnet-best")
    parser.add_argument("--light-scale", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    datasets = ["lol", "synthetic"] if args.photos else ["lol"]
    split = held_out(args.data, TrainSettings(dataset=tuple(datasets), photos=args.photos, seed=args.seed))
    torch.manual_seed(args.seed)
    net = network(args.init, args.light_scale)
    groups = alike([reduced(net, *pair) for pair in split.train])
    print(f"{len(split.train)} pairs: " + ", ".join("{} of {}x{}".format(len(r), *r.shape[2:]) for r, *_ in groups))
    average = trained(net, groups, args.epochs, args.seed)
    net.enhance.load_state_dict(average.module.state_dict())
    psnr, ssim = judged(net, split.validation)
    about = {
        "epoch": args.epochs,
        "held_out": split.held_out,
        "learned_from": datasets,
        "validation": {"psnr": psnr, "ssim": ssim},
    }
    settings = {"init": Path(args.init).name, "dataset": datasets, "light_scale": args.light_scale, "seed": args.seed}
    settings["recipe"] = Path(__file__).name
    checkpoints.save(net, args.out, {**about, "settings": settings})
    print(f"{args.out}: {len(split.validation)} held-out pairs, {psnr:.2f} dB, SSIM {ssim:.4f}")


if __name__ == "__main__":
    main()
