"""More variety than the pairs have: other colours, and blends of two. All pictures of a pair are changed alike."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from .picture import luma

SATURATION = 0.6, 1.3
"""Range of the saturation of a tinted pair, against its own."""
Batch = tuple[Tensor, ...]


def augmented(
    batches: Iterable[Batch], mixup: float, tint: float, generator: torch.Generator | None = None
) -> Iterator[Batch]:
    """The batches of a bank, tinted and blended: patches and their thumbnails alike, and any further thumbnails,
    (B, M, 3, S, S), alike among themselves. Where the patches lie in their thumbnails, between the two, is left."""
    for batch in batches:
        groups = batch[:4], [part.flatten(0, 1) for part in batch[5:]]
        own, further = (varied(group, mixup, tint, generator) for group in groups)
        yield *own, *batch[4:5], *(part.unflatten(0, (len(batch[0]), -1)) for part in further)


def varied(
    pictures: Sequence[Tensor], mixup: float, tint: float, generator: torch.Generator | None = None
) -> Sequence[Tensor]:
    """Pictures (B, 3, H, W) of the same B pairs, of any sizes, or none, tinted and blended as asked."""
    if tint and pictures:
        pictures = tinted(pictures, tint, generator)
    if mixup and pictures:
        pictures = blended(pictures, mixup, generator)
    return pictures


def tinted(pictures: Sequence[Tensor], strength: float, generator: torch.Generator | None = None) -> list[Tensor]:
    """In other colours: channel gains with a mean of 1, whose logarithms deviate by ``strength``, and more or less
    saturation. Clamped to [0, 1]."""
    count, device = len(pictures[0]), pictures[0].device
    gain = (strength * torch.randn(count, 3, 1, 1, generator=generator, device=device)).exp()
    gain = gain / gain.mean(dim=1, keepdim=True)
    least, most = SATURATION
    saturation = least + (most - least) * torch.rand(count, 1, 1, 1, generator=generator, device=device)
    changed = []
    for picture in pictures:
        gray = luma(picture)
        changed.append(((gray + saturation * (picture - gray)) * gain).clamp(0, 1))
    return changed


def blended(pictures: Sequence[Tensor], share: float, generator: torch.Generator | None = None) -> list[Tensor]:
    """That ``share`` of the pairs mixed with another of the batch, which has at most half of the weight.

    Mixup: Zhang et al., ICLR 2018 (arXiv:1710.09412). Light adds up, so a blend of dark pictures is nearly one of
    bright ones, and the brightness that a net has learned by heart for a picture is of no use in it.
    """
    count, device = len(pictures[0]), pictures[0].device
    order = torch.randperm(count, generator=generator, device=device)
    chance, place = torch.rand(2, count, 1, 1, 1, generator=generator, device=device)
    own = torch.where(chance < share, 0.5 + 0.5 * place, torch.ones_like(place))
    return [own * picture + (1 - own) * picture[order] for picture in pictures]
