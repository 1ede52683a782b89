"""The systems that hand us messages, and the headers by which they tag them."""

from __future__ import annotations

import re
from typing import Annotated

from filters.vocabulary import MessageClass, RecipientType
from gateway.configuration import kinds
from gateway.configuration.section import REQUIRED, FromEnvironment, SecretFile, Section, setting
from gateway.configuration.sections.brands import MOST_BRAND_CODE
from gateway.configuration.values import Network, Size, parse_host

_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII)
_FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,75}", re.ASCII)

# Fields without which a mail is no longer the same mail; tag headers are removed before relay.
_STRUCTURAL = frozenset(
    {
        "bcc",
        "cc",
        "date",
        "dkim-signature",
        "from",
        "in-reply-to",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "message-id",
        "mime-version",
        "received",
        "references",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
    }
)


def _parse_sender(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError("")  # noqa: TRY004 - one error type for every unfit value
    local, at, domain = raw.rpartition("@")
    if not at or (local and _LOCAL_PART.fullmatch(local) is None):
        raise ValueError("")
    # Local parts are compared with case, domains without: the same rule as for recipients would widen what a class
    # was given to.
    return f"{local}@{parse_host(domain)}"


def _parse_field_name(raw: object) -> str:
    if not isinstance(raw, str) or _FIELD_NAME.fullmatch(raw) is None:
        raise ValueError("")
    if raw.lower() in _STRUCTURAL or raw.lower().startswith("content-"):
        raise ValueError("tag headers are removed before relay, and mail needs this one")
    return raw


Class = Annotated[MessageClass, kinds.one_of(MessageClass)]
Type = Annotated[RecipientType, kinds.one_of(RecipientType)]
Sender = Annotated[
    str, kinds.Kind("a sender address, or @domain for all of a domain", '"news@shop.example"', _parse_sender)
]
FieldName = Annotated[
    str, kinds.Kind("the name of a header field of letters, digits and -", '"X-Izin-Class"', _parse_field_name)
]
TagWord = Annotated[str, kinds.text(40, "ticari")]


class ClientSection(Section):
    """A system that may hand us messages, recognised by its network or its login. Any other is refused.

    If networks of two clients overlap, the narrower one wins; a login wins over a network.
    """

    name: Annotated[str, kinds.name("shop")] = setting(REQUIRED, "Name in logs, metrics and evidence.", given='"shop"')
    brands: tuple[Annotated[int, kinds.whole(1, MOST_BRAND_CODE, 600123)], ...] = setting(
        REQUIRED,
        "Codes of the brands it may send for. Where there is more than one, each message names its brand.",
        given="[600123]",
    )
    networks: tuple[Annotated[Network, kinds.network()], ...] = setting(
        [], "Where it connects from.", given='["127.0.0.1/32"]', example='["192.0.2.0/24", "2001:db8::25"]'
    )
    username: Annotated[str, kinds.text(200, "shop")] | None = setting(None, "Login name (AUTH).")
    password_hash: Annotated[str, kinds.password_hash()] | None = setting(
        None, "Argon2 hash of the password, or the environment variable that holds it."
    )
    password_hash_file: SecretFile | None = setting(None, "The hash from the first line of a file.")
    default_class: Class = setting(
        "commercial",
        "Class of a message without a tag. Anything but commercial is the client's own answer for.",
        given='"commercial"',
    )
    allowed_classes: tuple[Class, ...] = setting(
        ["commercial", "informational", "service"], "Classes its tags may claim; a message with another is refused."
    )
    fixed_class: Class | None = setting(
        None,
        """Class of all its messages, whatever their tags say. It is then known before RCPT, so a recipient without
        consent gets its own 550.""",
    )
    sender_classes: dict[Sender, Class] = setting(
        {},
        "The same for single senders (MAIL FROM); an address goes before its domain.",
        example='{ "news@shop.example" = "commercial", "@orders.shop.example" = "informational" }',
    )
    default_recipient_type: Type | None = setting(
        None, "Recipient type of a message that does not say; left out, the strictest reading of the records decides."
    )
    max_message_size: Annotated[Size, kinds.size("1 kB", "1 GiB", "25 MiB")] | None = setting(
        None, "Largest message it may send; left out, the listener's limit."
    )
    retailer: Annotated[int, kinds.whole(10_000_000, 99_999_999, 12345678)] | None = setting(
        None,
        """Set where this client is a dealer of its brands: its dealer number in the registry, eight digits. Its
        commercial messages then go only to those whose consent lists that number. Left out: it is the owner itself.""",
    )
    report_url: Annotated[str, kinds.web_base("https://shop.example/izin")] | None = setting(
        None,
        """Where it is told, after each mail, which recipients were left out and why: a signed POST of JSON. Left out:
        nowhere.""",
    )
    report_secret: FromEnvironment | None = setting(
        None, "What these reports are signed with (HMAC-SHA256), at least 16 bytes, from the environment."
    )
    report_secret_file: SecretFile | None = setting(
        None, "The same from the first line of a file.", example='"secrets/shop-reports"'
    )


class TagsSection(Section):
    """The header fields by which a message is tagged; they are removed before relay. The first that is present counts.

    Add the fields your mail software already sets, and the words it uses: the words of this program always work.
    """

    class_headers: tuple[FieldName, ...] = setting(["X-Izin-Class"], "Fields with the message class.")
    brand_headers: tuple[FieldName, ...] = setting(["X-Izin-Brand"], "Fields with the brand's code.")
    recipient_type_headers: tuple[FieldName, ...] = setting(
        ["X-Izin-Recipient-Type"], "Fields with the recipient type."
    )
    campaign_headers: tuple[FieldName, ...] = setting(
        ["X-Izin-Campaign"], "Fields with a name of the campaign, kept in the evidence."
    )
    class_words: dict[TagWord, Class] = setting(
        {"ticari": "commercial", "bilgilendirme": "informational"},
        "Other words for the classes.",
    )
    recipient_type_words: dict[TagWord, Type] = setting(
        {"bireysel": "individual", "tacir": "business"}, "Other words for the recipient types."
    )


class SmsRuleSection(Section):
    """What SMS requests of one kind are, where the provider's dialect has no field for it. Of several that fit, the
    first counts; all conditions that are set must hold.

    A class set here holds like a client's fixed_class: a tag can make it stricter, never looser.
    """

    upstream: Annotated[str, kinds.name("netgsm")] | None = setting(None, "Requests to this [[upstreams.sms]].")
    client: Annotated[str, kinds.name("shop")] | None = setting(None, "Requests of this client.")
    sender_title: Annotated[str, kinds.text(40, "ORNEK")] | None = setting(None, "Requests with this originator.")
    account: Annotated[str, kinds.text(200, "8501234567")] | None = setting(
        None, "Requests with this user name, account id or API key name at the provider (never its secret)."
    )
    header: FieldName | None = setting(None, "Requests with this HTTP field …", example='"X-Campaign-Type"')
    header_value: Annotated[str, kinds.text(100, "marketing")] | None = setting(None, "… and this value.")
    message_class: Class | None = setting(None, "Their class.", example='"informational"')
    recipient_type: Type | None = setting(None, "Their recipient type, where they do not say.")
    brand: Annotated[int, kinds.whole(1, MOST_BRAND_CODE, 600123)] | None = setting(None, "Code of their brand.")
