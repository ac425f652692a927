"""JSON between requests and responses."""

import gzip
import json
from base64 import b64decode
from collections.abc import Mapping

from starlette.responses import Response

from jobs.sandbox.engine import Question

# Below this, compressing saves less than a packet.
GZIP_FROM_BYTES = 1024


def json_response(payload: object, status: int, request_headers: Mapping[str, str]) -> Response:
    """Return a JSON response, compressed if the client accepts gzip and it is worth it.

    Numbers are written as they are: NaN, Infinity and integers of any size, too.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Vary": "Accept-Encoding"}
    if len(body) >= GZIP_FROM_BYTES and "gzip" in request_headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, status, headers)


def read_question(body: bytes) -> Question | None:
    """Return the GraphQL question of a request body, or None if there is none in it."""
    asked = json_object(body)
    query, variables, name = asked.get("query"), asked.get("variables"), asked.get("operationName")
    if not isinstance(query, str) or not isinstance(variables, dict | None):
        return None
    return Question(query, variables or {}, name if isinstance(name, str) else None)


def json_object(body: bytes) -> dict[str, object]:
    """Return the object that a body holds as JSON, an empty one if it holds none."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def bearer_of(authorization: str) -> str:
    """Return the token of an `Authorization` header, or an empty text."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def basic_of(authorization: str) -> tuple[str, str] | None:
    """Return name and password of an HTTP Basic `Authorization` header."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return name, password
