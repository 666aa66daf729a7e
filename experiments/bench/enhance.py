"""Speed and memory of `lowlight enhance` against the plain way, in one run: seconds, MP/s, peak memory, and the ratio.

    python experiments/bench/enhance.py [--model NAME] [--cases network,start,400x600,folder,12MP,48MP,100MP]

The plain way is what most repositories do: decode, the whole picture at once through the network in NCHW and fp32,
encode, then the next file. lowlight is the command as it stands. Both use the same weights, threads and file formats;
their turns alternate, each in a process of its own, and the best of the repeats counts. A whole picture that would not
fit into memory is not tried. Pictures are noise on a smooth dark scene, JPEG of quality 92.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lowlight_cli.settings import DEFAULT_MODEL

SIZES = {"400x600": (400, 600), "12MP": (3000, 4000), "48MP": (6000, 8000), "100MP": (8400, 12000)}
FOLDER = 100
PLAIN = 2
"""How many times the memory of the activations the plain way takes: it is not tried beyond what is free."""


def scene(path: Path, height: int, width: int, seed: int = 0) -> None:
    """Write a dark picture."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 60, (6, 8, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    tile = rng.integers(0, 12, (256, 256, 3), dtype=np.uint8)
    image = np.asarray(coarse).copy()
    for top in range(0, height, 256):
        for left in range(0, width, 256):
            part = image[top : top + 256, left : left + 256]
            part += tile[: part.shape[0], : part.shape[1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=92)


def plain(sources: list[Path], out: Path, model: str) -> None:
    """The plain way."""
    import torch

    from lowlight_cli.core import checkpoints, tiling
    from lowlight_cli.core.networks.retinexnet import EnhanceNet, double

    def as_published(net: Any, quarter: Any, half: Any, full: Any) -> Any:
        return net.head(net.fuse(torch.cat([double(double(quarter)), double(half), full], dim=1)))

    EnhanceNet.fused = as_published  # type: ignore[method-assign]
    net, _ = checkpoints.load(model)
    for source in sources:
        image = np.asarray(Image.open(source).convert("RGB"))
        pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255
        with torch.no_grad():
            enhanced = tiling.run(net, pixels, tile=None).enhanced[0].clamp(0, 1)
        result = (enhanced * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(result).save(out / source.name, quality=92)


def lowlight(sources: list[Path], out: Path, model: str) -> None:
    """The command."""
    from lowlight_cli.app import main

    main(["enhance", *map(str, sources), "--out", str(out), "--model", model, "--overwrite"])


def network(model: str) -> dict[str, float]:
    """Seconds of the network at 400x600 in fp32, and of its convolutions alone without anything between them."""
    import torch
    import torch.nn.functional as F

    from lowlight_cli.core import checkpoints, tiling

    net, _ = checkpoints.load(model)
    net = net.to(memory_format=torch.channels_last)
    image = torch.rand(1, 3, 400, 600).contiguous(memory_format=torch.channels_last) * 0.2
    calls: list[tuple[Any, ...]] = []
    original = F.conv2d

    def noting(x: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, *rest: Any) -> Any:
        calls.append((torch.rand_like(x), weight, bias, stride, padding, *rest))
        return original(x, weight, bias, stride, padding, *rest)

    with torch.inference_mode():
        torch.nn.functional.conv2d = noting  # type: ignore[assignment]
        tiling.run(net, image, tile=None)
        torch.nn.functional.conv2d = original
        best = {"network": float("inf"), "convolutions": float("inf")}
        for _ in range(5):
            began = time.perf_counter()
            tiling.run(net, image, tile=None)
            middle = time.perf_counter()
            for call in calls:
                original(*call)
            best["network"] = min(best["network"], middle - began)
            best["convolutions"] = min(best["convolutions"], time.perf_counter() - middle)
    return best


def measured(way: str, case: str, scratch: Path, model: str) -> dict[str, float] | None:
    """Run one way over one case in a process of its own: seconds of wall and processor time, and peak memory in MB."""
    out = scratch / "out"
    out.mkdir(exist_ok=True)
    call = [sys.executable, __file__, "--child", way, "--case", case, "--scratch", str(scratch), "--model", model]
    began = time.perf_counter()
    process = subprocess.run(call, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    if process.returncode:
        print(process.stderr[-2000:], file=sys.stderr)
        return None
    return {"wall": wall, **json.loads(process.stdout.splitlines()[-1])}


def child(way: str, case: str, scratch: Path, model: str) -> None:
    """What ``measured`` runs."""
    began = time.perf_counter()
    sources = sorted((scratch / case).glob("*.jpg"))
    try:
        {"plain": plain, "lowlight": lowlight}[way](sources, scratch / "out", model)
    except SystemExit as left:
        if left.code:
            raise
    used = resource.getrusage(resource.RUSAGE_SELF)
    status = Path("/proc/self/status")  # where it exists: ru_maxrss begins with what the parent process had
    peak = used.ru_maxrss
    if status.exists():
        peak = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    print(
        json.dumps(
            {
                "seconds": time.perf_counter() - began,
                "cpu": used.ru_utime + used.ru_stime,
                "peak": peak / 1024,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="network,start,400x600,folder,12MP,48MP")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.case, given.scratch, given.model)
        return
    unknown = set(given.cases.split(",")) - {"network", "start", "folder", *SIZES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    report: dict[str, Any] = {"machine": machine(), "model": given.model, "cases": {}}
    print(", ".join(f"{name} {value}" for name, value in report["machine"].items()))
    print(f"{'case':9} {'way':9} {'seconds':>9} {'cpu s':>8} {'MP/s':>7} {'peak MB':>8}  ratio")
    with tempfile.TemporaryDirectory() as folder:
        for case in given.cases.split(","):
            if case == "network":
                report["cases"][case] = best = network(given.model)
                share = best["network"] / best["convolutions"]
                alone = f"its convolutions alone {best['convolutions']:.3f} s"
                print(f"network at 400x600 {best['network']:.3f} s, {alone}: {share:.2f}x")
            else:
                report["cases"][case] = compared(case, Path(folder), given.repeat, given.model)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n")


def compared(case: str, scratch: Path, repeat: int, model: str) -> dict[str, Any]:
    """Both ways over one case, by turns; prints a line each."""
    from lowlight_cli.core import checkpoints

    size = SIZES.get(case, SIZES["400x600"])
    for number in range(FOLDER if case == "folder" else 1):
        scene(scratch / case / f"{number:03}.jpg", *size, seed=number)
    megapixels = size[0] * size[1] / 1e6 * (FOLDER if case == "folder" else 1)
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    needed = size[0] * size[1] * PLAIN * checkpoints.load(model)[0].BYTES
    ways = ["lowlight"] if case == "start" or needed > free else ["plain", "lowlight"]
    best: dict[str, dict[str, float]] = {}
    for _ in range(repeat):
        for way in ways:
            found = measured(way, case, scratch, model)
            if found and (way not in best or found["wall"] < best[way]["wall"]):
                best[way] = found
    for way, found in best.items():
        seconds = found["wall"] if case == "start" else found["seconds"]
        ratio = f"{best['plain']['seconds'] / found['seconds']:.2f}x" if "plain" in best else ""
        speed = f"{seconds:9.2f} {found['cpu']:8.2f} {megapixels / seconds:7.3f}"
        print(f"{case:9} {way:9} {speed} {found['peak']:8.0f}  {ratio}")
    return best


def machine() -> dict[str, Any]:
    """What the figures hold for."""
    import torch

    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
