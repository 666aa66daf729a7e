"""The networks: plain modules, images in, maps out."""

from .retinex_plus import Context, Restored, RetinexPlus, exposed, thumbnail
from .retinexnet import DecomNet, Decomposition, EnhanceNet, Retinex, RetinexNet

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
]
