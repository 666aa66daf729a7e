"""Where the value of a setting comes from, and what to say of one that is wrong.

In rising order of precedence: the default, the TOML (or JSON) file given with ``--config``, the environment
(``LOWLIGHT_PATCH`` sets ``patch``), the command line. Unknown keys are refused.
This module is a leaf: pydantic and the standard library.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PREFIX = "LOWLIGHT_"


class ConfigError(ValueError):
    """A settings file or variable that cannot be used; the message says which and why."""


class Table(BaseModel):
    """Settings that belong together: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def changed(self, name: str) -> bool:
        """Whether a setting has another value than its default."""
        return bool(getattr(self, name) != type(self).model_fields[name].default)


class Settings(Table):
    """Base of what a command accepts."""

    @classmethod
    def load(cls, config: Path | None = None, *, of_run: bool = False, **options: object) -> Self:
        """Defaults, then ``config``, then the environment, then every option that is given: not None, no empty list.

        Keys of ``config`` that are no settings are refused, or, if it is that of a run, which an earlier version may
        have begun, left out.
        """
        given = {name: value for name, value in options.items() if value not in (None, [])}
        filed = {cls.field(name): value for name, value in stored(config).items()}
        variables = environment(cls)

        def origin(name: str) -> str:
            if name in given:
                return ""
            return f"{variables[name]}, " if name in variables else f"{config}: " if name in filed else ""

        values = {**filed, **{name: os.environ[of] for name, of in variables.items()}, **given}
        for name, value in values.items():
            if value == "" and name != "suffix":
                raise ConfigError(f"{origin(name)}{name}: empty: leave it out, or give a value")
        try:
            return cls.model_validate(values, extra="ignore" if of_run else None)
        except ValidationError as error:
            faults = [
                origin(str(fault["loc"][0]) if fault["loc"] else "") + cls.said(fault) for fault in error.errors()
            ]
            raise ConfigError("; ".join(faults)) from error

    @classmethod
    def field(cls, name: str) -> str:
        """The field that a key of a settings file means: options may stand there as they are typed."""
        plain = name.replace("-", "_")
        return next((field for field in cls.model_fields if field in (f"{plain}_lines", f"{plain}_file")), plain)

    @classmethod
    def said(cls, fault: "ErrorDetails") -> str:
        """What is wrong with a value, and what to give instead."""
        place = ".".join(part for part in fault["loc"] if isinstance(part, str))  # without the place in a list
        match fault["type"]:
            case "value_error":
                reason = fault["msg"].removeprefix("Value error, ")
                return f"{place}: {reason}" if place else reason
            case "extra_forbidden":
                parts = {
                    f"{name}.{part}" for name, info in cls.model_fields.items() for part in fields(info.annotation)
                }
                like = difflib.get_close_matches(place, {*cls.model_fields, *parts}, n=1)
                return f"{place}: no such setting" + (f": did you mean {like[0]}?" if like else "")
            case "literal_error":
                words = fault["ctx"]["expected"].replace("'", "")
                return f"{place} {fault['input']}: give {words}"
            case "string_pattern_mismatch":
                return f"{place} {fault['input']}: give {cls.model_fields[place].description}".removesuffix(".")
            case "missing":
                return f"{place}: missing"
            case "model_type":
                return f"{place}: give a table, [{place}], in a --config file"
            case "too_short":
                return f"{place}: give at least {fault['ctx']['min_length']}"
            case "tuple_type":
                return f"{place} {fault['input']}: give a list"
            case "finite_number":
                return f"{place} {fault['input']}: give a number"
        return f"{place} {fault['input']}: {fault['msg'].removeprefix('Input ').partition(', unable')[0]}"


def fields(annotation: Any) -> list[str]:
    """The fields of a table within settings; none of any other value."""
    return list(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def stored(config: Path | None) -> dict[str, Any]:
    """The keys of a TOML or JSON settings file."""
    if config is None:
        return {}
    try:
        text = config.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
        content = json.loads(text) if config.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}: give --config a TOML file that exists") from error
    except ValueError as error:
        raise ConfigError(f"{config}: not valid {'JSON' if config.suffix == '.json' else 'TOML'}: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{config}: expected a table of settings")
    return content


def commands(base: type[Settings]) -> Iterator[type[Settings]]:
    """The settings of every command: what nothing else is derived from."""
    for derived in base.__subclasses__():
        if derived.__subclasses__():
            yield from commands(derived)
        else:
            yield derived


def environment(settings: type[Settings], variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The fields of ``settings`` that the environment sets, and the variables that do. One that no command knows is
    refused."""
    models = list(commands(Settings))
    found = {}
    for variable in variables:
        if variable.startswith(PREFIX):
            name = variable.removeprefix(PREFIX).lower()
            means = sorted({model.field(name) for model in models if model.field(name) in model.model_fields})
            if not means:
                known = {field for model in models for field in model.model_fields}
                alike = difflib.get_close_matches(name, known, 1)
                remedy = f"did you mean {PREFIX}{alike[0].upper()}?" if alike else "unset it"
                raise ConfigError(f"environment variable {variable} sets nothing: {remedy}")
            if len(means) > 1:
                other = " or ".join(f"{PREFIX}{field.upper()}" for field in means)
                raise ConfigError(
                    f"environment variable {variable} means one thing here and another there: use {other}"
                )
            found[settings.field(name)] = variable
    return {name: variable for name, variable in found.items() if name in settings.model_fields}
