"""How the national registry is reached, and how it reaches us."""

from __future__ import annotations

from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import (
    REQUIRED,
    AuthoritiesFile,
    CertificateFile,
    FromEnvironment,
    PrivateKeyFile,
    SecretFile,
    Section,
    YesNo,
    setting,
    tables,
)
from gateway.configuration.sections.upstreams import TlsMode
from gateway.configuration.values import Duration, Endpoint


class RegistryAccountSection(Section):
    """Another account of the registry, for brands that the first one may not act for."""

    brands: tuple[Annotated[int, kinds.whole(1, 2**40 - 1, 600123)], ...] = setting(
        REQUIRED, "Codes of the [[brands]] it acts for.", example="[600124]"
    )
    username: Annotated[str, kinds.text(200, "kullanici@shop.example")] = setting(REQUIRED, "User of the API account.")
    password: FromEnvironment | None = setting(None, "Its password, from the environment.")
    password_file: SecretFile | None = setting(None, "Its password, from the first line of a file.")


class RegistryPushSection(Section):
    """Where the registry posts what citizens did, at once instead of an hour later. İYS enables push on request.

    It calls ``public_url`` with the login given here; a reverse proxy may end TLS before ``address``.
    """

    address: Annotated[Endpoint, kinds.listener_endpoint("127.0.0.1:8026")] = setting(
        REQUIRED, "IP address and port that we listen on."
    )
    public_url: Annotated[str, kinds.web_base("https://push.shop.example/iys")] = setting(
        REQUIRED, "Where the registry reaches it; its path is the one that is answered."
    )
    username: Annotated[str, kinds.text(100, "iys")] = setting(REQUIRED, "User that the registry shall log in as.")
    password: FromEnvironment | None = setting(None, "Its password, from the environment.")
    password_file: SecretFile | None = setting(None, "Its password, from the first line of a file.")
    tls: Annotated[TlsMode, kinds.one_of(TlsMode)] = setting("none", "none (loopback, behind a proxy) or tls.")
    certificate_file: CertificateFile | None = setting(None, "Certificate chain, PEM; needed with tls.")
    private_key_file: PrivateKeyFile | None = setting(None, "Its private key, PEM, without a passphrase.")
    registers: YesNo = setting(True, "Whether we register public_url with the registry ourselves, for every brand.")


class RegistrySection(Section):
    """İYS, the authority. Leave the section out while consents are only imported."""

    base_url: Annotated[str, kinds.web_base("https://api.iys.org.tr")] = setting(REQUIRED, "Base of its API.")
    username: Annotated[str, kinds.text(200, "kullanici@shop.example")] | None = setting(
        None, "User of the API account, for all brands without an account of their own below."
    )
    password: FromEnvironment | None = setting(None, "Its password, from the environment.")
    password_file: SecretFile | None = setting(None, "Its password, from the first line of a file.")
    ca_file: AuthoritiesFile | None = setting(
        None, "Authorities to verify its certificate by, instead of the system's."
    )
    pull_interval: Annotated[Duration, kinds.duration("1s", "1h", "1m")] = setting(
        "1m", "How often is asked what changed. The registry shows nothing younger than an hour."
    )
    requests_per_second: Annotated[int, kinds.whole(1, 10, 10)] = setting(
        10,
        """Most requests a second: with Redis of all machines together, with LMDB of this one. The registry allows ten
        for each source address; machines with LMDB behind one address share them out.""",
    )
    requery: YesNo = setting(
        True,
        """While a brand's index is stale, ask the registry about those who are being sent to, for a few seconds, before
        the message is held. Without its answer nobody is permitted.""",
    )
    requery_missing: YesNo = setting(
        False,
        """Ask the registry too about those being sent to of whom the index knows nothing, with at most a tenth of its
        requests; a no is remembered for six hours. Without its answer nobody is permitted.""",
    )
    retailer_list_age: Annotated[Duration, kinds.duration("1h", "365d", "7d")] = setting(
        "7d",
        """For clients with retailer: how long the list of dealers that a consent is open to counts after it was read at
        the registry. What was changed elsewhere is found within that time; an older list, or none, is read while the
        message waits for a few seconds, and is a no until then.""",
    )
    late_as_own_decision: YesNo = setting(
        False,
        """Report a refusal that missed its legal deadline, and is too old for the registry (H467), as the brand's own
        decision of today to stop (HS_KARAR), instead of parking it for a person. The deadline stays missed.""",
    )
    push: RegistryPushSection | None = None
    accounts: tuple[RegistryAccountSection, ...] = tables()
