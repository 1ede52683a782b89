"""Having movements pushed, what a push holds, and the registry's opt-out links (İYS API reference, 6.8 and 6.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from filters.registry.call import Call, brand_path, json_body
from filters.registry.reading import (
    as_list,
    as_object,
    find,
    find_integer,
    find_text,
    find_time,
    parse_json,
    parse_object,
    read_movements,
    read_recipient,
)
from filters.registry.values import (
    Movement,
    OptOutLink,
    PushConnection,
    PushRegistration,
    RegistryBrand,
    UnreadMovement,
)
from filters.registry.words import CHANNEL_WORDS, RECIPIENT_TYPE_WORDS, find_channel
from filters.registry.writing import UnsendableError, recipient_list
from filters.vocabulary import Channel, RecipientType

MAX_OPT_OUT_LINKS = 100


def register_push(brand: RegistryBrand, connections: Sequence[PushConnection]) -> Call[None]:
    """Have movements posted to these addresses; the registry tries each at once. Raises ``UnsendableError``."""
    if not connections:
        raise UnsendableError("H530", "no push connection")
    body = json_body({"connection": [_connection(connection) for connection in connections]})
    return Call("register_push", "POST", brand_path(brand, "push/registration"), _read_done, body=body)


def push_registrations(brand: RegistryBrand) -> Call[tuple[PushRegistration, ...]]:
    """The connections the registry knows."""
    return Call("push_registrations", "GET", brand_path(brand, "push/registration"), _read_registrations)


def unregister_push(brand: RegistryBrand, connection: PushConnection) -> Call[None]:
    """End one connection. Raises ``UnsendableError``."""
    body = json_body(_connection(connection))
    return Call("unregister_push", "POST", brand_path(brand, "push/unregistration"), _read_done, body=body)


def opt_out_links(
    brand: RegistryBrand, recipients: Sequence[str], recipient_type: RecipientType
) -> Call[tuple[OptOutLink, ...]]:
    """The registry's opt-out links for 1 to 100 e-mail addresses, good for 90 days. Raises ``UnsendableError``."""
    word = RECIPIENT_TYPE_WORDS[recipient_type]
    asked = recipient_list(recipients, Channel.EMAIL, MAX_OPT_OUT_LINKS, "H127")
    body = json_body({"recipients": [{"recipient": recipient, "recipientType": word} for recipient in asked]})
    return Call("opt_out_links", "POST", brand_path(brand, "via-hash-links"), _read_links, body=body)


class Pushed(NamedTuple):
    """What one push holds: movements, each with the codes of its brand, and those that could not be read."""

    movements: tuple[tuple[RegistryBrand, Movement], ...]
    unread: tuple[UnreadMovement, ...]


def read_push(body: bytes) -> Pushed:
    """A push as the registry posts it, a list of its own or inside an object. Raises ``UnreadableError``."""
    value = parse_json(body)
    items = as_list(find(value, "list") if isinstance(value, dict) else value, "list")
    brands: list[RegistryBrand] = []
    readable: list[Any] = []
    for item in items:
        iys_code = find_integer(item, "iysCode") if isinstance(item, dict) else None
        brand_code = find_integer(item, "brandCode") if isinstance(item, dict) else None
        if iys_code is not None and brand_code is not None:
            brands.append(RegistryBrand(iys_code, brand_code))
            readable.append(item)
        else:
            brands.append(RegistryBrand(0, 0))
            readable.append(None)
    movements, unread = read_movements(readable)
    missed = {entry.place for entry in unread}
    named = (brand for index, brand in enumerate(brands) if index not in missed)
    return Pushed(tuple(zip(named, movements, strict=True)), unread)


def _connection(connection: PushConnection) -> dict[str, str]:
    if not connection.url.startswith("https://"):
        raise UnsendableError("H531", "push needs https")
    if not connection.username or not connection.password:
        raise UnsendableError("H093", "push needs a user and a password")
    return {
        "url": connection.url,
        "type": CHANNEL_WORDS[connection.channel],
        "username": connection.username,
        "password": connection.password,
    }


def _read_done(status: int, body: bytes) -> None:
    """Success is the status; the message is Turkish prose."""


def _read_registrations(status: int, body: bytes) -> tuple[PushRegistration, ...]:
    if not body.strip():
        return ()
    return tuple(_registration(as_object(item, "connection")) for item in as_list(parse_json(body), "body"))


def _registration(fields: Mapping[str, Any]) -> PushRegistration:
    return PushRegistration(
        find_text(fields, "url"),
        find_channel(find(fields, "type")),
        find_text(fields, "status"),
        find_time(fields, "registerTime"),
    )


def _read_links(status: int, body: bytes) -> tuple[OptOutLink, ...]:
    value = parse_json(body)
    if isinstance(value, dict):
        value = find(parse_object(body), "list")
    return tuple(_link(as_object(item, "link")) for item in as_list(value, "body"))


def _link(fields: Mapping[str, Any]) -> OptOutLink:
    url = find_text(fields, "url")
    return OptOutLink(
        read_recipient(find(fields, "recipient")),
        url if url.startswith(("https://", "http://")) else None,
        find_text(fields, "code"),
    )
