"""The gateway as its users meet it: real clients before it, real next hops behind it, real processes throughout."""

from __future__ import annotations

from tests.support.gateway_fixtures import make_gateway

__all__ = ["make_gateway"]
