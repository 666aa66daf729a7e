"""The networks: plain modules, images in, maps out."""

from .exposure import exposed, thumbnail
from .retinex_plus import Context, Restored, RetinexPlus
from .retinexnet import DecomNet, Decomposition, EnhanceNet, Retinex, RetinexNet, turned_up

Network = RetinexNet | RetinexPlus

__all__ = [
    "Context",
    "DecomNet",
    "Decomposition",
    "EnhanceNet",
    "Network",
    "Restored",
    "Retinex",
    "RetinexNet",
    "RetinexPlus",
    "exposed",
    "thumbnail",
    "turned_up",
]
