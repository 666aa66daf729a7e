"""A fresh retinex-plus that takes over what fits from a model file, which may be of an earlier design.

    python experiments/graft.py OUT.safetensors MODEL.safetensors [--seed 0]

Tensors of the same name and shape are taken over; the others stay as they are drawn, and are named. What is drawn for
the scene adds nothing to the picture at first, so that training goes on from what the model could do.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file

from lowlight_cli.core import checkpoints
from lowlight_cli.core.networks import RetinexPlus


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    net = RetinexPlus()
    state, given = net.state_dict(), load_file(args.model)
    taken = {name: given[name] for name in state if name in given and given[name].shape == state[name].shape}
    net.load_state_dict(state | taken)
    checkpoints.save(net, args.out, {"settings": {"init": args.model.name, "seed": args.seed}})
    fresh = sorted({name.split(".")[0] for name in state.keys() - taken.keys()})
    print(f"{args.out}: {len(taken)} of {len(state)} tensors taken over; drawn anew: some of {', '.join(fresh)}")
    if unused := sorted(given.keys() - taken.keys()):
        print(f"not used of {args.model}: {len(unused)} tensors, {', '.join(unused)}")


if __name__ == "__main__":
    main()
