"""The brands that messages are sent for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Annotated

from filters.sms.suffix import SuffixPolicy
from filters.sms.wording import Identity
from gateway.configuration import kinds
from gateway.configuration.section import REQUIRED, PrivateKeyFile, Section, YesNo, setting
from gateway.configuration.values import Duration

MOST_BRAND_CODE = 2**40 - 1
"""Opt-out tokens carry the brand in five bytes."""


class SmsLanguageName(StrEnum):
    """In which language an SMS says how to refuse."""

    TURKISH = "tr"
    ENGLISH = "en"


class FooterLanguage(StrEnum):
    """In which language the visible opt-out is written."""

    BOTH = "tr+en"
    TURKISH = "tr"
    ENGLISH = "en"


def _parse_footer_text(raw: object) -> object:
    value = kinds.text(300).parse(raw)
    if str(value).startswith(("-", ">", "From ")):
        # A signature marker is cut by quoting readers; the others are altered on the way (RFC 3676, 4.4).
        raise ValueError("it begins with -, > or From, which mail readers cut or change")
    return value


FooterText = Annotated[
    str, kinds.Kind("a text of at most 300 characters", '"Artık e-posta almak istemiyorum:"', _parse_footer_text)
]


TraderId = Annotated[str, kinds.digits(11, "the 11 digits of a T.C. identity number", "12345678901", shows_value=False)]


class SmsOptOutSection(Section):
    """How an SMS of this brand can be refused by SMS: the keyword is sent to the number."""

    keyword: Annotated[str, kinds.text(40, "RET ORNEK")] = setting(
        REQUIRED, "What the recipient writes; it names the brand where several share the number.", given='"RET ORNEK"'
    )
    number: Annotated[str, kinds.matching("a number of 3 to 15 digits", "3338", r"\+?[0-9]{3,15}")] = setting(
        REQUIRED, "Where it is sent, in text form.", given='"3338"'
    )
    fit: Annotated[SuffixPolicy, kinds.one_of(SuffixPolicy)] = setting(
        "fit",
        """Where the opt-out takes a further segment: fit uses the longest form that takes none and refuses the request
        if there is none, refuse insists on the longest form, allow takes the segment and says so in the answer.""",
    )
    language: Annotated[SmsLanguageName, kinds.one_of(SmsLanguageName)] = setting("tr", "Language of the opt-out.")
    identity: Annotated[Identity, kinds.one_of(Identity)] = setting(
        "where_fits", "Whether name and MERSIS number of the brand go with it: omitted, where_fits or always."
    )


class DkimSection(Section):
    """Signs this brand's commercial mail after the opt-out was put in. Leave out where the upstream signs."""

    domain: Annotated[str, kinds.domain("shop.example")] = setting(REQUIRED, "Signing domain (d=), the one in From.")
    selector: Annotated[
        str,
        kinds.matching(
            "a DNS label or labels",
            "izin2026",
            r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?)*",
        ),
    ] = setting(REQUIRED, "Selector (s=) under which the public key is published.")
    private_key_file: PrivateKeyFile = setting(
        REQUIRED, "RSA private key of 2048 bits or more, PEM.", example='"dkim/izin2026.pem"'
    )


class BrandFreshnessSection(Section):
    """This brand's own limits; what is not set is taken from [freshness]."""

    aging_after: Annotated[Duration, kinds.duration("1m", "7d", "2h")] | None = setting(
        None, "See freshness.aging_after."
    )
    stale_after: Annotated[Duration, kinds.duration("1m", "7d", "24h")] | None = setting(
        None, "See freshness.stale_after."
    )
    blind_after: Annotated[Duration, kinds.duration("1m", "7d", "72h")] | None = setting(
        None, "See freshness.blind_after."
    )


class BrandSection(Section):
    """A sender in the registry's terms, with its own İYS number and its own consents.

    A merchant gives `title` and `mersis`, a tradesman `trader_name` and `trader_id` (Law 6563, 7/2): without either,
    commercial messages of the brand could not be sent lawfully, so the file is refused.
    """

    code: Annotated[int, kinds.whole(1, MOST_BRAND_CODE, 600123)] = setting(
        REQUIRED, "The registry's number of the brand (brandCode).", given="600123"
    )
    iys_code: Annotated[int, kinds.whole(1, MOST_BRAND_CODE, 600123)] = setting(
        REQUIRED, "The registry's number of the firm (iysCode).", given="600123"
    )
    name: Annotated[str, kinds.text(100, "Örnek Mağaza")] = setting(
        REQUIRED, "Name the recipients know, shown on pages and in footers.", given='"Örnek Mağaza"'
    )
    title: Annotated[str, kinds.text(250, "Örnek Mağaza A.Ş.", may_be_empty=True)] = setting(
        "", "Trade title of a merchant.", given='"Örnek Mağaza A.Ş."'
    )
    mersis: Annotated[str, kinds.digits(16, "the 16 digits of a MERSİS number", "0123456789012345")] | None = setting(
        None, "MERSİS number of a merchant.", given='"0123456789012345"'
    )
    trader_name: Annotated[str, kinds.text(150, "Ayşe Örnek", may_be_empty=True)] = setting(
        "", "Name and surname of a tradesman, instead of title and mersis."
    )
    trader_id: TraderId | None = setting(
        None, "T.C. identity number of a tradesman. It stands in the mail, as the law asks, and in no log."
    )
    contact: Annotated[str, kinds.text(200, "iletisim@shop.example", may_be_empty=True)] = setting(
        "",
        """A contact that can be reached (phone, short number, e-mail), shown in the footer. The law asks for one;
        leave it out only if every message has its own.""",
        given='"iletisim@shop.example"',
    )
    active: YesNo = setting(True, "Whether the brand is active in İYS. If false its commercial messages are refused.")
    opt_out_url: Annotated[str, kinds.web_base("https://izin.example")] = setting(
        REQUIRED,
        """Public base of the opt-out pages; the links in mail start with it. It must reach a listener of
        [[listeners.http]], directly or through a reverse proxy. http is accepted for loopback hosts only.""",
        given='"https://izin.example"',
    )
    opt_out_mail_domain: Annotated[str, kinds.domain("izin.example")] | None = setting(
        None, "Domain whose mail reaches [[listeners.opt_out_mail]]: mail then also offers refusal by mailto:."
    )
    logo_file: (
        Annotated[PurePosixPath, kinds.path("the path of a PNG, JPEG, GIF, WebP or SVG file", "logo.png")] | None
    ) = setting(None, "Logo on the opt-out pages, at most 512 KiB.")
    footer_language: Annotated[FooterLanguage, kinds.one_of(FooterLanguage)] = setting(
        "tr+en", "Language of the visible opt-out: Turkish and English, or one of them."
    )
    footer_invitation: FooterText | None = setting(
        None, "Sentence before the link in plain text, instead of ours. It has to name the act."
    )
    footer_link_words: FooterText | None = setting(
        None, "Words of the link in HTML, instead of ours. They have to name the act."
    )
    sms_opt_out: SmsOptOutSection | None = None
    dkim: DkimSection | None = None
    freshness: BrandFreshnessSection | None = None
