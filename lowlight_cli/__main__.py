"""``python -m lowlight_cli``, for instance under torchrun."""

from .app import main

main()
