"""The configuration of a gateway for a run on this machine: one brand, one client, and what the run puts before it."""

from __future__ import annotations

_CONFIGURATION = """\
[gateway]
hostname = "kapi.example"
workers = {workers}
drain_timeout = "10s"

[log]
format = "json"

[store]
url = "{store}"
{store_settings}
[[brands]]
code = {brand}
iys_code = {brand}
name = "Örnek Mağaza"
title = "Örnek Mağaza A.Ş."
mersis = "0123456789012345"
contact = "iletisim@shop.example"
opt_out_url = "{opt_out_url}"
{brand_settings}
[[clients]]
name = "shop"
brands = [{brand}]
networks = ["127.0.0.1/32"]

[admin]
address = "127.0.0.1:{admin}"

"""

_MAIL = """\
[[upstreams.smtp]]
name = "relay"
address = "127.0.0.1:{relay}"
tls = "none"

[[listeners.smtp]]
address = "127.0.0.1:{smtp}"
upstream = "relay"

"""

SMS_OPT_OUT = 'sms_opt_out = { keyword = "RET ORNEK", number = "3338" }\n'


def render_configuration(
    brand: int,
    admin: int,
    *,
    store: str = "lmdb:var/store",
    workers: int = 1,
    opt_out_url: str = "https://izin.example",
    store_settings: str = "",
    brand_settings: str = "",
) -> str:
    """TOML without listeners. ``admin`` is a loopback port; the settings are further lines of their section."""
    return _CONFIGURATION.format(
        brand=brand,
        admin=admin,
        store=store,
        workers=workers,
        opt_out_url=opt_out_url,
        store_settings=store_settings,
        brand_settings=brand_settings,
    )


def render_mail_way(smtp: int, relay: int) -> str:
    """From the listener on loopback port ``smtp`` to the relay on port ``relay``."""
    return _MAIL.format(smtp=smtp, relay=relay)
