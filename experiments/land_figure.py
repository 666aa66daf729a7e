"""Land's point on a Mondrian: patches A and B send very different light and have one colour; decomposition finds it.

    python experiments/land_figure.py [MODEL] [OUT]

Draws the first Mondrian of the package with the maps that the model finds, and prints for all of them how many times
as bright A is as B, and how far reflectance and illumination are from the true ones (LMSE), next to what one gets for
nothing: the picture itself as reflectance, its brightest channel as illumination.
"""

from pathlib import Path

import mondrians
import torch
from arguments import arguments
from PIL import ImageDraw, ImageFont
from torch import Tensor

from lowlight_cli.core import metrics
from lowlight_cli.core.enhancing.enhancer import Enhancer
from lowlight_cli.core.pictures import decoding, images
from lowlight_cli.core.pictures.panel import panel
from lowlight_cli.core.pictures.picture import quantised, to_image

FIGURE = Path(__file__).parent / "figures" / "land.png"


def marked(pixels: Tensor, mondrian: mondrians.Mondrian) -> Tensor:
    """The picture with the letters A and B on their patches."""
    picture = to_image(quantised(pixels.expand(3, -1, -1)))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(20)
    for letter, box in (("A", mondrian.a), ("B", mondrian.b)):
        at = (box.left + box.right) / 2, (box.top + box.bottom) / 2
        draw.text(at, letter, (255, 255, 255), font, anchor="mm", stroke_width=2, stroke_fill=(0, 0, 0))
    return decoding.from_image(picture).pixels


def main() -> None:
    given = arguments(__doc__, 0, 2)
    model, target = given + ["retinexnet", str(FIGURE)][len(given) :]
    enhancer = Enhancer(model, "cpu")
    print("              A : B in             LMSE of reflectance     LMSE of illumination")
    print("              picture  reflectance  found  for nothing     found  for nothing")
    for number, mondrian in enumerate(mondrians.mondrians()):
        low = images.read(mondrian.low).pixels
        found = enhancer.decompose(low)
        truth = mondrian.truth
        brightest = low.amax(dim=0, keepdim=True)
        values = (
            mondrians.a_to_b(low, mondrian),
            mondrians.a_to_b(found.reflectance, mondrian),
            metrics.lmse(found.reflectance, truth.reflectance),
            metrics.lmse(low, truth.reflectance),
            metrics.lmse(found.illumination, truth.illumination),
            metrics.lmse(brightest, truth.illumination),
        )
        print(
            f"{mondrian.name}    {{:5.2f}}    {{:5.2f}}        {{:.3f}}  {{:.3f}}           {{:.3f}}  {{:.3f}}".format(
                *values
            )
        )
        if number == 0:
            columns = [
                (f"dark picture: A is {values[0]:.1f} times B", low),
                (f"reflectance found: A is {values[1]:.2f} times B", found.reflectance),
                ("illumination found", found.illumination),
                ("true reflectance: A = B", truth.reflectance),
                ("true illumination", truth.illumination),
            ]
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            panel([(label, marked(pixels, mondrian)) for label, pixels in columns], width=320).save(
                target, optimize=True
            )


if __name__ == "__main__":
    with torch.inference_mode():
        main()
