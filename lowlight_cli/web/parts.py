"""Several pictures in one answer, as browsers take them apart by themselves: multipart/form-data."""

import io
import json
import secrets
from collections.abc import Mapping
from math import ceil
from typing import IO

from torch import Tensor
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from ..core import images
from ..core.images import Encoding
from ..core.picture import Picture

MULTIPART = "multipart/form-data"
LOOKING = Encoding(quality=95)
"""Fine enough to look at; results to keep are encoded otherwise."""
LONGEST = 65_500
"""Side in px that a JPEG can have; of longer pictures every other pixel will do, or fewer."""


def multipart(file: IO[bytes], about: Mapping[str, object], pictures: Mapping[str, Picture | Tensor]) -> str:
    """Write the field ``about``, JSON, and one JPEG a picture; returns the answer's type."""
    boundary = secrets.token_hex(16)
    encoder = MultipartEncoder(boundary.encode())
    file.write(encoder.send_event(Preamble(b"")))
    file.write(encoder.send_event(Field(name="about", headers=Headers({"Content-Type": "application/json"}))))
    file.write(encoder.send_event(Data(json.dumps(about).encode(), more_data=False)))
    for name, pixels in pictures.items():
        picture = io.BytesIO()
        whole = Picture(pixels) if isinstance(pixels, Tensor) else pixels
        step = ceil(max(whole.size) / LONGEST)
        images.encode(picture, whole.thinned(step), "JPEG", LOOKING)
        headers = Headers({"Content-Type": "image/jpeg"})
        file.write(encoder.send_event(File(name=name, filename=f"{name}.jpg", headers=headers)))
        file.write(encoder.send_event(Data(picture.getvalue(), more_data=False)))
    file.write(encoder.send_event(Epilogue(b"")))
    return f"{MULTIPART}; boundary={boundary}"
