"""What a run starts with: the bank that it draws from, and the network that it trains."""

from typing import Any

import torch

from ...settings import TrainSettings
from .. import checkpoints
from ..data import synthesis, trainingset
from ..errors import TrainingError
from ..networks import Network, RetinexNet, RetinexPlus
from .contextbank import MORE, ContextBank
from .pairbank import PairBank, SynthesisBank


def bank(settings: TrainSettings, data: trainingset.TrainingSet, device: torch.device) -> PairBank:
    """What gives batches: with thumbnails of whole pictures where the network is to know of these, and with further
    ones where a thumbnail is what it learns to read."""
    if settings.network == "retinex-plus":
        return ContextBank(data.train, data.made, device, more=0 if settings.keep_context else MORE)
    if settings.exposure:
        return ContextBank(data.train, data.made, device, more=0, drawn=synthesis.draw)
    return SynthesisBank(data.train, data.made, device)


def network(settings: TrainSettings) -> tuple[Network, dict[str, Any]]:
    """A fresh network; or the one to start from, which must be of the kind that the settings name, and what its file
    says of it."""
    if settings.network == "retinex-plus":
        plus = RetinexPlus()
        about: dict[str, Any] = {}
        if settings.init is not None:
            given, about = checkpoints.load(settings.init)
            if not isinstance(given, RetinexPlus):
                raise TrainingError(f"{settings.init} is a RetinexNet: leave out --network retinex-plus")
            if given.config != plus.config:
                raise TrainingError(f"{settings.init} is a retinex-plus of another size: {differing(given, plus)}")
            plus.load_state_dict(given.state_dict())
        return plus, about
    fresh = RetinexNet(
        settings.width,
        settings.upsampling,
        ignore_enhance_net=settings.ignore_enhance_net,
        exposure=settings.exposure,
    )
    if settings.init is None:
        return fresh, {}
    given, about = checkpoints.load(settings.init)
    if not isinstance(given, RetinexNet):
        raise TrainingError(f"{settings.init} is a retinex-plus: use --network retinex-plus")
    decom_alone = settings.stage == "enhance"
    exposed = given.config.get("exposure", 0)  # a net may learn to see pictures turned up, but not lose it unsaid
    if exposed not in (0, settings.exposure):
        raise TrainingError(f"{settings.init} was trained with exposure {exposed}: use --exposure {exposed}")
    if given.config | {"exposure": settings.exposure} == fresh.config:
        fresh.load_state_dict(given.state_dict())
    elif decom_alone and given.config["width"] == fresh.config["width"]:
        fresh.decom.load_state_dict(given.decom.state_dict())
    else:
        raise TrainingError(f"{settings.init} is another net than the settings ask for: {differing(given, fresh)}")
    return fresh, about


def differing(given: Network, wanted: Network) -> str:
    """Which settings of two nets of one kind are not alike."""
    pairs = ((name, value, wanted.config[name]) for name, value in given.config.items())
    return ", ".join(f"its {name} is {value}, not {other}" for name, value, other in pairs if value != other)


def unseen(names: list[str], before: dict[str, Any]) -> list[str]:
    """Those of the held-out pairs that the weights to start from, of which ``before`` tells, have not learned from
    either."""
    learned = trainingset.known_folders(before.get("learned_from", ()))
    return [name for name in names if name.partition("/")[0] not in learned or name in before["held_out"]]
