"""Pipefy's limits on queries: complexity, depth, time and rate."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    InlineFragmentNode,
    SelectionSetNode,
)

if TYPE_CHECKING:
    from graphql import FragmentSpreadNode

# A list counts as a page of 50, Pipefy's usual; `nodes` takes no `first` that would say otherwise.
PAGE_SIZE = 50
LIST_FIELDS = frozenset({"nodes"})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What Pipefy allows; the defaults are what its documentation and its users report.

    Attributes:
        max_complexity: Of one query: each field 1, inside a list times 50.
        max_depth: Of one query.
        query_seconds: What the root fields of one query may take together.
        max_requests: Of one account in a window, or None for any number.
        window_seconds: Length of that sliding window.
    """

    max_complexity: int = 50_000
    max_depth: int = 15
    query_seconds: float = 33.0
    max_requests: int | None = 500
    window_seconds: float = 30.0


@dataclass(frozen=True)
class QuerySize:
    """How large a selection is."""

    complexity: int
    depth: int


NO_SIZE = QuerySize(0, 0)


def fields_of(
    selections: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[FieldNode]:
    """Yield the fields of a selection, those of fragments in their places.

    Args:
        selections: The selection; None, below a leaf, has no fields.
        fragments: The document's fragments by name, free of cycles (validation refuses those).
    """
    for selection in selections.selections if selections else ():
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from fields_of(selection.selection_set, fragments)
        else:
            spread = cast("FragmentSpreadNode", selection)
            yield from fields_of(fragments[spread.name.value].selection_set, fragments)


def size_of(
    selections: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]
) -> QuerySize:
    """Measure a selection, as `fields_of` goes through it; `@skip` and `@include` are not looked at."""
    complexity = depth = 0
    for node in fields_of(selections, fragments):
        inside = size_of(node.selection_set, fragments)
        times = PAGE_SIZE if node.name.value in LIST_FIELDS else 1
        complexity += 1 + times * inside.complexity
        depth = max(depth, 1 + inside.depth)
    return QuerySize(complexity, depth)


class RateLimit:
    """Counts the requests of each account in a sliding window.

    Args:
        monotonic: The clock of the window, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._accepted: dict[str, deque[float]] = {}

    def admits(self, client_id: str, limits: Limits) -> bool:
        """Count a request if the window has room for it; a refused one is not counted."""
        if limits.max_requests is None:
            return True
        now = self._monotonic()
        accepted = self._accepted.setdefault(client_id, deque())
        while accepted and accepted[0] <= now - limits.window_seconds:
            accepted.popleft()
        if len(accepted) >= limits.max_requests:
            return False
        accepted.append(now)
        return True
