"""The routes of the stand-in."""

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from jobs.sandbox.graphql_endpoint import GraphqlEndpoint
from jobs.sandbox.pages import SIGN_IN_PAGE, SIGN_IN_PATH
from jobs.sandbox.reception import Reception
from jobs.sandbox.token_endpoint import TokenEndpoint
from jobs.sandbox.tokens import TokenOffice
from jobs.sandbox.world import World

GRAPHQL_PATH = "/graphql"
TOKEN_PATH = "/oauth/token"  # noqa: S105 a path, no password


async def sign_in(_request: Request) -> Response:
    """Show the page that the edge sends people to who are not signed in."""
    return HTMLResponse(SIGN_IN_PAGE)


def build_app(
    world: World, tokens: TokenOffice, reception: Reception, monotonic: Callable[[], float]
) -> Starlette:
    """Build the ASGI application over a world.

    Args:
        world: What is true, and changes while the application runs.
        tokens: Where tokens come from and are known.
        reception: The way of every request.
        monotonic: The clock of the rate limit, in seconds.
    """
    graphql = GraphqlEndpoint(world, tokens, reception, monotonic)
    token = TokenEndpoint(world, tokens, reception)
    return Starlette(
        routes=[
            Route(GRAPHQL_PATH, graphql.respond, methods=["POST"]),
            Route(TOKEN_PATH, token.respond, methods=["POST"]),
            Route(SIGN_IN_PATH, sign_in),
        ]
    )
