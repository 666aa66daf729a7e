"""The mean of several models' weights, as one model with the first one's header and the held-out pairs of them all.

    python experiments/average.py OUT.safetensors MODEL...

Checkpoints of one run lie close enough together for this: their mean is a network like them, with less of the last
steps' chance in it (Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
"""

from pathlib import Path

import torch
from arguments import arguments

from lowlight_cli.core import checkpoints
from lowlight_cli.core.errors import LowlightError


def main() -> None:
    out, *models = arguments(__doc__, 3)
    try:
        there = Path(out).exists()
        if there and not isinstance(checkpoints.load(out)[1].get("epoch"), list):  # which a mean has
            raise SystemExit(f"{out}: a model that is no mean: name another file for the mean, before the models")
        loaded = [checkpoints.load(model) for model in models]
    except LowlightError as error:
        raise SystemExit(error) from error
    net, header = loaded[0]
    if any((type(other), other.config) != (type(net), net.config) for other, _ in loaded):
        raise SystemExit("the models are not of one architecture: their mean would be none of any")
    states = [net.state_dict() for net, _ in loaded]
    net.load_state_dict(
        {name: torch.stack([state[name].double() for state in states]).mean(dim=0) for name in states[0]}
    )
    epochs = [about.get("epoch") for _, about in loaded]
    held_out = [set(about.get("held_out", ())) for _, about in loaded]
    unseen = [name for name in header.get("held_out", ()) if all(name in names for names in held_out)]
    learned = set().union(*(about.get("learned_from", ()) for _, about in loaded))
    header.pop("validation", None)  # the first one's own
    about = {"epoch": epochs, "held_out": unseen, "learned_from": sorted(learned)}
    checkpoints.save(net, Path(out), header | about)
    print(out)


if __name__ == "__main__":
    main()
