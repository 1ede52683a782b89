"""Whose call it is: by the network it comes from, else by a login of ours."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Sequence
from functools import lru_cache, partial

from aiohttp import web

from filters.client import Client
from filters.sms.dialect import Fault, RequestRefusedError
from filters.sms.http import HttpRequest
from gateway.clients import ClientDirectory, LoginFailure, LoginResult, Network
from gateway.http.direct import DirectRequest
from gateway.peer import normalise_peer
from gateway.sms.callbacks import answer_of


class ClientRecogniser:
    """Knows the clients of one HTTP listener. ``forwarded_from``: reverse proxies whose X-Forwarded-For is believed."""

    def __init__(self, clients: ClientDirectory, forwarded_from: Sequence[Network] = ()) -> None:
        self._clients = clients
        self._forwarded_from = tuple(forwarded_from)

    async def find_client(self, request: web.Request | DirectRequest, head: HttpRequest) -> Client:
        """By network, else by a login of ours in HTTP Basic. Raises ``RequestRefusedError`` for a stranger."""
        if (client := self.find_known(request, head)) is not None:
            return client
        peer = self.peer_of(request, head)
        login = _basic_login(head)
        if login is None or not self._clients.has_logins:
            raise RequestRefusedError(Fault.UNAUTHENTICATED, "this client is not known to the gateway")
        result: LoginResult = await answer_of(partial(self._clients.check_login, *login, peer))
        if isinstance(result, LoginFailure):
            if result is LoginFailure.WRONG:
                raise RequestRefusedError(Fault.UNAUTHENTICATED, "wrong user name or password")
            raise RequestRefusedError(Fault.TOO_MANY_REQUESTS, "too many logins, try again later")
        return result

    def find_known(self, request: web.Request | DirectRequest, head: HttpRequest) -> Client | None:
        """By network; None for whom no network names."""
        peer = self.peer_of(request, head)
        return self._clients.find_by_network(peer) if peer else None

    def peer_of(self, request: web.Request | DirectRequest, head: HttpRequest) -> str:
        """The client's address, normalised; "" where it is not known."""
        try:
            peer = _normalise(request.remote or "")
            if self._forwarded_from and _is_in(peer, self._forwarded_from):
                forwarded = [value for name, value in head.headers if name == "x-forwarded-for"]
                # The last one was written by the proxy we believe; those before it by whoever wanted to.
                return normalise_peer(forwarded[-1].rpartition(",")[2].strip()) if forwarded else ""
            return peer
        except ValueError:
            return ""


_normalise = lru_cache(maxsize=4096)(normalise_peer)
"""Clients are few, and each asks often."""


def _is_in(peer: str, networks: Sequence[Network]) -> bool:
    address = ipaddress.ip_address(peer)
    return any(address.version == network.version and address in network for network in networks)


def _basic_login(head: HttpRequest) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = (head.header("authorization") or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        username, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (username, password) if colon else None
