"""The HTML that stands between a client and the API: sign-in page and error pages."""

from http import HTTPStatus

SIGN_IN_PATH = "/users/sign_in"

SIGN_IN_PAGE = """<!DOCTYPE html>
<html lang="en"><head><title>Sign in</title></head>
<body><h1>Sign in</h1><form method="post"><input name="email"></form></body></html>
"""


def error_page(status: int) -> str:
    """Return what a proxy says in place of the API."""
    title = f"{status} {HTTPStatus(status).phrase}"
    return f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"
