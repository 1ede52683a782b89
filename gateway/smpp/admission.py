"""Who may bind: a client's system_id and password (argon2, ``gateway.clients``), and its networks where it has some."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from filters.client import Client
from filters.smpp.bind import Bind
from filters.smpp.numbers import CommandStatus
from gateway.clients import ClientDirectory, LoginFailure, LoginResult
from gateway.smpp.settings import Network


class Admission:
    """Judges binds. ``networks`` by client name: from elsewhere its password does not help.

    A bind without a password is let in where the network alone makes a client known, as for mail, and the system_id is
    then that client's name.
    """

    def __init__(self, clients: ClientDirectory, networks: Mapping[str, tuple[Network, ...]] | None = None) -> None:
        self._clients = clients
        self._networks = dict(networks or {})

    def judge(self, bind: Bind, peer: str, done: Callable[[Client | int], None]) -> None:
        """``done`` gets the client, or the status that refuses the bind."""
        if not bind.password:
            known = self._clients.find_by_network(peer)
            if known is not None and known.name == bind.system_id:
                done(known)
                return
            done(CommandStatus.INVALID_PASSWORD)
            return

        def checked(result: LoginResult) -> None:
            if isinstance(result, Client):
                done(result if self._is_from_home(result, peer) else CommandStatus.BIND_FAILED)
            elif result is LoginFailure.WRONG:
                # The same for an unknown name: who may bind is nobody's business.
                done(CommandStatus.INVALID_PASSWORD)
            else:
                done(CommandStatus.BIND_FAILED)

        self._clients.check_login(bind.system_id.encode("latin-1"), bind.password.encode("latin-1"), peer, checked)

    def _is_from_home(self, client: Client, peer: str) -> bool:
        networks = self._networks.get(client.name)
        return not networks or any(ipaddress.ip_address(peer) in network for network in networks)
