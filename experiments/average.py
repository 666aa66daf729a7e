"""The mean of several models' weights, as one model with the first one's header and the held-out pairs of them all.

    python experiments/average.py OUT.safetensors MODEL...

Checkpoints of one run lie close enough together for this: their mean is a network like them, with less of the last
steps' chance in it (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
"""

import sys
from pathlib import Path

import torch

from lowlight_cli.core import checkpoints


def main() -> None:
    out, *models = sys.argv[1:]
    loaded = [checkpoints.load(model) for model in models]
    states = [net.state_dict() for net, _ in loaded]
    net, header = loaded[0]
    net.load_state_dict(
        {name: torch.stack([state[name].double() for state in states]).mean(dim=0) for name in states[0]}
    )
    epochs = [about.get("epoch") for _, about in loaded]
    unseen = [name for name in header["held_out"] if all(name in about["held_out"] for _, about in loaded)]
    learned = set().union(*(about["learned_from"] for _, about in loaded))
    about = {"epoch": epochs, "held_out": unseen, "learned_from": sorted(learned)}
    checkpoints.save(net, Path(out), header | about)
    print(out)


if __name__ == "__main__":
    main()
