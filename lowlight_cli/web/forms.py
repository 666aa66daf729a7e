"""The fields of a request beside its picture, and what to say of one that is wrong."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import ErrorDetails

from ..settings import Denoise, Format, Shadows, Strength, usual_suffix
from .uploads import short


class DecomposeForm(BaseModel):
    """The fields of ``POST /api/decompose`` beside ``image``."""

    model_config = ConfigDict(extra="forbid")

    model: str = ""
    denoise: Denoise = "off"


class EnhanceForm(DecomposeForm):
    """The fields of ``POST /api/enhance`` beside ``image``."""

    strength: Strength = 1.0
    protect_highlights: Annotated[bool, Field(description="true or false")] = False
    shadows: Shadows = 0.0
    format: Annotated[Format | None, BeforeValidator(usual_suffix)] = None


Form = TypeVar("Form", bound=DecomposeForm)


def said(fault: ErrorDetails, kind: type[DecomposeForm]) -> str:
    """What is wrong with a field, and what to give instead."""
    name = str(fault["loc"][0])
    if name not in kind.model_fields:
        return f"field {short(name)}: no such field: there are image, {', '.join(kind.model_fields)}"
    if fault["type"] == "literal_error":
        words = fault["ctx"]["expected"].replace("'", "")
        return f"field {name}: give {words}"
    return f"field {name}: give {kind.model_fields[name].description}"
