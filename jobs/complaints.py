"""What pydantic found wrong with a configuration, said to the person who wrote it."""

import difflib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from jobs.settings import Settings


def explain(error: Any, overridden: Mapping[tuple[str | int, ...], str]) -> str:  # noqa: ANN401 # pydantic's own TypedDict
    """One line: the key, what is wrong with it, and what to write."""
    location = tuple(part for part in error["loc"] if part == "accounts" or not _is_branch(part))
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    source = next(
        (f" (from {name})" for place, name in overridden.items() if location[: len(place)] == place), ""
    )
    match error["type"]:
        case "extra_forbidden":
            reason = f"is no key{_suggestion(location)}"
        case "missing":
            reason = f"is missing; write {_EXAMPLES.get(str(location[-1]), f'{location[-1]} = ...')}"
        case "value_error":
            reason = str(error["ctx"]["error"])
        case _:
            reason = f"is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"
    return f"{key}{source}: {reason}" if key else reason


# What to write for a key that is missing.
_EXAMPLES = {
    "accounts": '[[accounts]] with name = "main" and organizations = ["300123456"]',
    "name": 'name = "main"',
    "organizations": 'organizations = ["300123456"], or organizations = "all"',
    "database": '[database] with url = "sqlite:///usage.db"',
}


def _is_branch(part: str | int) -> bool:
    """Whether pydantic names here a branch of a union instead of a key."""
    return part in {"each", "every"}


def _suggestion(location: tuple[str | int, ...]) -> str:
    known = _known_keys(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known here: {', '.join(known)}"


def _known_keys(location: tuple[str | int, ...]) -> list[str]:
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
