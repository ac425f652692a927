"""Wiring: an account's client with its connections, authorization and patience."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from jobs import __version__
from jobs.credentials import BearerToken, Credentials
from jobs.pipefy.auth import PipefyAuth, ReadyTokenAuth, ServiceAccountAuth
from jobs.pipefy.client import PipefyClient
from jobs.pipefy.endpoint import GraphQLEndpoint, Patience, Traffic
from jobs.pipefy.transport import BoundedTransport
from jobs.settings import AccountSettings, PipefySettings

_CONNECT_SECONDS = 10.0


@asynccontextmanager
async def open_client(
    account: AccountSettings,
    credentials: Credentials,
    *,
    pipefy: PipefySettings,
    patience: Patience,
    traffic: Traffic,
) -> AsyncIterator[PipefyClient]:
    """A client for an account; its connections are closed at the end.

    The usual proxy variables (``HTTPS_PROXY``, ``NO_PROXY``) and ``SSL_CERT_FILE`` are obeyed. Redirects are
    never followed: a token must not travel to an address that nobody configured.
    """
    # One set of certificates for both hosts: reading them is the dearest part of opening a client.
    certificates = httpx.create_ssl_context()
    token_url = account.token_url or pipefy.token_url
    async with httpx.AsyncClient(
        transport=_build_transport(pipefy.graphql_url, certificates),
        mounts={_origin(token_url): _build_transport(token_url, certificates)},
        event_hooks=traffic.hooks(pipefy.graphql_url),
        follow_redirects=False,
        timeout=httpx.Timeout(patience.answer_seconds, connect=_CONNECT_SECONDS),
        headers={"User-Agent": f"pipefy-usage-export/{__version__}", "Accept": "application/json"},
    ) as http:
        yield PipefyClient(
            GraphQLEndpoint(
                http=http,
                url=pipefy.graphql_url,
                auth=build_auth(account, credentials, pipefy),
                account=account.name,
                patience=patience,
                connections=pipefy.connections,
                traffic=traffic,
            )
        )


def build_auth(account: AccountSettings, credentials: Credentials, pipefy: PipefySettings) -> PipefyAuth:
    """The authorization that an account's settings ask for."""
    if isinstance(credentials, BearerToken):
        return ReadyTokenAuth(credentials, account=account.name)
    return ServiceAccountAuth(
        credentials,
        account=account.name,
        token_url=account.token_url or pipefy.token_url,
        token_request=account.token_request,
    )


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _build_transport(address: str, certificates: ssl.SSLContext) -> BoundedTransport:
    return BoundedTransport(httpx.AsyncHTTPTransport(verify=certificates, proxy=_proxy_of(address)))


def _proxy_of(address: str) -> str | None:
    parts = urlsplit(address)
    if proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
