"""lowlight: bright pictures from dark ones, with retinex-plus and RetinexNet (Wei et al., BMVC 2018), as a command and
a library.

Importing the package costs nothing; torch loads with the first name that needs it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.enhancing.enhancer import Enhancer as Enhancer

__version__ = "0.1.0"
__all__ = ["Enhancer", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Enhancer":
        from .core.enhancing.enhancer import Enhancer

        return Enhancer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
