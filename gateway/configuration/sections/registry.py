"""How the national registry is reached."""

from __future__ import annotations

from typing import Annotated

from gateway.configuration import kinds
from gateway.configuration.section import REQUIRED, FromEnvironment, SecretFile, Section, setting


class RegistrySection(Section):
    """İYS, the authority. Leave the section out while consents are only imported."""

    base_url: Annotated[str, kinds.web_base("https://api.iys.org.tr")] = setting(REQUIRED, "Base of its API.")
    username: Annotated[str, kinds.text(200, "kullanici@shop.example")] | None = setting(
        None, "User of the API account."
    )
    password: FromEnvironment | None = setting(None, "Its password, from the environment.")
    password_file: SecretFile | None = setting(None, "Its password, from the first line of a file.")
