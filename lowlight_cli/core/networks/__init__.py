"""The networks: plain modules, images in, maps out."""

from .retinexnet import DecomNet, Decomposition, EnhanceNet, Retinex, RetinexNet

__all__ = ["DecomNet", "Decomposition", "EnhanceNet", "Retinex", "RetinexNet"]
