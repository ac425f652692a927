"""A GraphQL engine over the sandbox's schema: parse, validate, measure, execute."""

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from uuid import uuid4

from graphql import (
    DocumentNode,
    FieldNode,
    FieldsOnCorrectTypeRule,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)

from jobs.sandbox.accounts import Account
from jobs.sandbox.executor import ReadyValuesExecutor
from jobs.sandbox.limits import NO_SIZE, Limits, QuerySize, fields_of, size_of
from jobs.sandbox.resolvers import ROOT_RESOLVERS, Asked, Asking
from jobs.sandbox.world import World

# A client that sends the same text with other variables, as this project does, is parsed once.
REMEMBERED_QUERIES = 64

OK, BAD_REQUEST = 200, 400


@dataclass(frozen=True)
class Question:
    """The body of a GraphQL request."""

    query: str
    variables: dict[str, object]
    operation_name: str | None


@dataclass(frozen=True)
class Prepared:
    """A query text that was read.

    Attributes:
        operation_name: Of the operation that would run.
        aliases: The number of its root fields.
        size: Its complexity and depth.
        document: Its syntax tree, or None when it is refused.
        errors: Why it is refused, ready to be sent.
        status: The HTTP status of that refusal.
    """

    operation_name: str | None = None
    aliases: int = 0
    size: QuerySize = NO_SIZE
    document: DocumentNode | None = None
    errors: tuple[object, ...] = ()
    status: int = OK


@dataclass
class Answer:
    """The answer to a GraphQL request, on its way out.

    Attributes:
        errors: Its error items; no `errors` is sent when there are none.
        data: What the root fields answered by alias, or None.
        has_data: Whether `data` is sent at all, be it null.
        asked: What was asked by alias.
        status: The HTTP status.
    """

    errors: list[object]
    data: dict[str, object] | None = None
    has_data: bool = False
    asked: dict[str, Asked] = field(default_factory=dict)
    status: int = OK

    @property
    def payload(self) -> dict[str, object]:
        """The object to send as JSON."""
        payload: dict[str, object] = {"data": self.data} if self.has_data else {}
        if self.errors:
            payload["errors"] = self.errors
        return payload


class FieldsExistRule(FieldsOnCorrectTypeRule):
    """The rule that fields must exist, in graphql-ruby's words, which Pipefy's server speaks."""

    def enter_field(self, node: FieldNode, *_arguments: object) -> None:
        """Report a field that its type does not have."""
        parent = self.context.get_parent_type()
        if parent and not self.context.get_field_def():
            message = f"Field '{node.name.value}' doesn't exist on type '{parent.name}'"
            self.report_error(GraphQLError(message, node, extensions={"code": "undefinedField"}))


RULES = [FieldsExistRule if rule is FieldsOnCorrectTypeRule else rule for rule in specified_rules]


def load_schema() -> GraphQLSchema:
    """Return the schema of `schema.graphql` with its resolvers."""
    text = files("jobs.sandbox").joinpath("schema.graphql").read_text(encoding="utf-8")
    schema = build_schema(text)
    fields = schema.query_type.fields if schema.query_type else {}
    for name, resolver in ROOT_RESOLVERS.items():
        fields[name].resolve = resolver
    return schema


class Engine:
    """Answers GraphQL questions from a world.

    Args:
        world: What is true; looked at anew for each question.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._schema = load_schema()
        self.prepare = lru_cache(maxsize=REMEMBERED_QUERIES)(self._prepare)

    def _prepare(self, query: str, operation_name: str | None) -> Prepared:
        try:
            document = parse(query)
        except GraphQLSyntaxError as exc:
            return Prepared(operation_name, errors=(exc.formatted,), status=BAD_REQUEST)
        invalid = validate(self._schema, document, RULES)
        if invalid:
            return Prepared(operation_name, errors=tuple(error.formatted for error in invalid))
        return _measured(document, operation_name)

    def answer(self, question: Question, prepared: Prepared, account: Account) -> Answer:
        """Execute a prepared query.

        Args:
            question: As it was received.
            prepared: What `prepare` made of its text.
            account: Who asks.

        Returns:
            The data with overrides in their places, and one located error for each root field that
            failed; or errors alone where nothing could be executed.
        """
        if prepared.document is None:
            return Answer(list(prepared.errors), status=prepared.status)
        excess = _excess(prepared.size, self._world.limits)
        if excess:
            return Answer([{"message": excess}])
        return self._executed(question, prepared.document, account)

    def _executed(self, question: Question, document: DocumentNode, account: Account) -> Answer:
        asking = Asking(self._world, account)
        result = execute_sync(
            self._schema,
            document,
            context_value=asking,
            variable_values=question.variables,
            operation_name=question.operation_name,
            executor_class=ReadyValuesExecutor,
        )
        errors: list[object] = [error_item(error) for error in result.errors or ()]
        if result.data is None:
            return Answer(errors)
        data = self._with_overrides(result.data, asking.asked)
        return Answer(errors, data, has_data=True, asked=asking.asked)

    def _with_overrides(self, answered: dict[str, object], asked: dict[str, Asked]) -> dict[str, object]:
        overrides = self._world.overrides
        if not overrides:
            return answered
        return {alias: _overridden(value, asked.get(alias), overrides) for alias, value in answered.items()}


def error_item(error: GraphQLError) -> object:
    """Return an error as Pipefy sends it: those with a code carry an id of their own."""
    item = error.formatted
    if error.extensions:
        item["extensions"] = {**error.extensions, "correlation_id": str(uuid4())}
    return item


def _overridden(value: object, asked: Asked | None, overrides: dict[tuple[str, str], object]) -> object:
    if value is None or asked is None or asked.organization_uuid is None or asked.period is None:
        return value
    return overrides.get((asked.organization_uuid, asked.period), value)


def _measured(document: DocumentNode, operation_name: str | None) -> Prepared:
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        return Prepared(operation_name, document=document)
    definitions = document.definitions
    fragments = {node.name.value: node for node in definitions if isinstance(node, FragmentDefinitionNode)}
    return Prepared(
        operation.name.value if operation.name else None,
        sum(1 for _ in fields_of(operation.selection_set, fragments)),
        size_of(operation.selection_set, fragments),
        document,
    )


def _excess(size: QuerySize, limits: Limits) -> str | None:
    if size.complexity > limits.max_complexity:
        return (
            f"Query has complexity of {size.complexity},"
            f" which exceeds max complexity of {limits.max_complexity}"
        )
    if size.depth > limits.max_depth:
        return f"Query has depth of {size.depth}, which exceeds max depth of {limits.max_depth}"
    return None
