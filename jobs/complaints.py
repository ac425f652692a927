"""What pydantic found wrong with a configuration, said to the person who wrote it."""

import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from jobs.settings import Settings

Location = tuple[str | int, ...]

# What to write for a key that is missing, or whose value is of another kind.
_EXAMPLES = {
    "accounts": '[[accounts]] with name = "main" and organizations = ["300123456"]',
    "name": 'name = "main"',
    "organizations": 'organizations = ["300123456"], or organizations = "all"',
    "periods": 'periods = ["current_month", "last_month", "last_3_months"]',
    "database": '[database] with url = "sqlite:///usage.db"',
}
# The same for keys without an example, by pydantic's type of the error.
_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text in quotes",
}


def explain(error: Any, overridden: Mapping[Location, str]) -> str:  # noqa: ANN401 # pydantic's own TypedDict
    """One line: the key, what is wrong with it, and what to write."""
    location = tuple(part for part in error["loc"] if not _is_branch(part))
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    if error["type"] == "value_error":
        reason = str(error["ctx"]["error"])
        return f"{key}{_source(location, overridden)}: {reason}" if key else reason
    return f"{key}{_source(location, overridden)} {_mistake(error, location)}"


def _mistake(error: Any, location: Location) -> str:  # noqa: ANN401 # the same
    example = _EXAMPLES.get(str(location[-1]), f"{location[-1]} = ...")
    match error["type"]:
        case "extra_forbidden":
            return f"is no key{_suggestion(location)}"
        case "missing":
            state = "is missing"
        case "too_short" | "string_too_short":
            state = "is empty"
        case "list_type" | "literal_error" if location[-1] in _EXAMPLES:
            state = "cannot be used so"
        case "model_type":
            # What stands in the place of a section may be an address with a password: it is not repeated.
            state, example = "is no section", _EXAMPLES.get(str(location[0]), f"[{location[0]}]")
        case kind:
            wanted = f"write {_KINDS[kind]}" if kind in _KINDS else error["msg"].replace("Input", "it", 1)
            return f"is {error['input']!r}; {wanted}"
    return f"{state}; write {example}"


def _source(location: Location, overridden: Mapping[Location, str]) -> str:
    """The variables that set the key, or something in the section."""
    names = [
        name
        for place, name in overridden.items()
        if location[: len(place)] == place or place[: len(location)] == location
    ]
    return f" (from {', '.join(names)})" if names else ""


def _is_branch(part: str | int) -> bool:
    """Whether pydantic names here a branch of a union instead of a key."""
    return part in {"each", "every"}


def _suggestion(location: Location) -> str:
    known = _known_keys(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _known_keys(location: Location) -> list[str]:
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str):
            model = next(_models(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 # a type expression
    arguments = typing.get_args(annotation)
    if not arguments and issubclass(annotation, BaseModel):
        yield annotation
    for argument in arguments:
        yield from _models(argument)
