"""graphql-core's executor, made quick for what is most of every answer: history nodes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import Executor, GraphQLObjectType, GraphQLResolveInfo, get_named_type, is_object_type
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import AwaitableOrValue, Path

# Their fields take no arguments, and `UsageBook.stats` has the values of all of them.
READY_TYPES = frozenset(
    {"IntegrationsUsageStats", "TasksConsumed", "FilterDate", "UsageHistory", "UsageHistoryNode"}
)


@dataclass(frozen=True)
class Shape:
    """What a selection takes out of a ready value.

    Attributes:
        type_name: The answer to `__typename`.
        fields: Name in the response, key of the value, and the shape of what is inside.
    """

    type_name: str
    fields: tuple[tuple[str, str, "Shape | None"], ...]

    def picked(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Return the selected fields of a value."""
        return {
            name: inside.picked_inside(value[key]) if inside else value.get(key, self.type_name)
            for name, key, inside in self.fields
        }

    def picked_inside(self, value: Mapping[str, Any] | list[Mapping[str, Any]]) -> object:
        """Return the selected fields of a value, or of each in a list."""
        return [self.picked(item) for item in value] if isinstance(value, list) else self.picked(value)


class ReadyValuesExecutor(Executor[None]):
    """Picks the selected fields out of ready values, instead of resolving each of them.

    A usage answer has a hundred fields, and with thousands of organizations the engine's care for
    each would be what a benchmark measures. What is selected is still the engine's judgement:
    it collects fragments, directives and merged fields.
    """

    def complete_object_value(  # noqa: PLR0913, PLR0917 the engine's signature
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Mapping[str, Any],
        position_context: None,
    ) -> AwaitableOrValue[dict[str, Any]]:
        """Complete an object: in one go if its type is ready, else as the engine does."""
        if return_type.name in READY_TYPES:
            return self._shape(return_type, field_details_list).picked(result)
        return super().complete_object_value(
            return_type, field_details_list, info, path, result, position_context
        )

    def _shape(self, parent: GraphQLObjectType, field_details_list: FieldDetailsList) -> Shape:
        selected, *_ = self.collect_subfields(parent, field_details_list)
        fields = ((name, *self._key_and_shape(parent, details)) for name, details in selected.items())
        return Shape(parent.name, tuple(fields))

    def _key_and_shape(
        self, parent: GraphQLObjectType, details: FieldDetailsList
    ) -> tuple[str, Shape | None]:
        key = details[0].node.name.value
        field = parent.fields.get(key)
        inner = get_named_type(field.type) if field else None
        return key, self._shape(inner, details) if is_object_type(inner) else None
