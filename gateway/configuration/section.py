"""What a section of the configuration file is, and how one of its settings is declared."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticUndefined

from gateway.configuration.kinds import from_environment, path, upstream_endpoint, yes_or_no
from gateway.configuration.values import Endpoint

REQUIRED: Any = PydanticUndefined


class Section(BaseModel):
    """A table of the file. A key it does not name is a problem; its docstring is its paragraph in the manual."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)


def setting(default: Any, purpose: str, *, example: str = "", given: str = "") -> Any:
    """A setting. ``default`` is in the file's own spelling, or REQUIRED, or None for "not set".

    ``example`` (TOML) is for the manual where the kind's own says too little. ``given`` (TOML) is what the example file
    sets, for settings without which it would not be a working file.
    """
    return Field(
        default=default, description=" ".join(purpose.split()), json_schema_extra={"example": example, "given": given}
    )


def table(section: type[Section]) -> Any:
    """A table that may be left out; all its settings then have their defaults."""
    return Field(default_factory=section)


def tables(purpose: str = "") -> Any:
    """A list of tables, empty where none is given."""
    return Field(default=(), description=purpose)


YesNo = Annotated[bool, yes_or_no()]
FromEnvironment = Annotated[str, from_environment()]
SecretFile = Annotated[PurePosixPath, path("the path of a file that holds it", "secrets/password")]
CertificateFile = Annotated[PurePosixPath, path("the path of a PEM file", "tls/certificate.pem")]
PrivateKeyFile = Annotated[PurePosixPath, path("the path of a PEM file", "tls/private-key.pem")]
AuthoritiesFile = Annotated[PurePosixPath, path("the path of a PEM file", "tls/authorities.pem")]
UpstreamEndpoint = Annotated[Endpoint, upstream_endpoint("relay.example.net:587")]
