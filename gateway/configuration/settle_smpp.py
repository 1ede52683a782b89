"""From the sections about SMPP to what the program is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from gateway.configuration.sections.smpp_listeners import SmppListenerSection, SmppRefusal
from gateway.configuration.sections.smpp_upstreams import SmppTls, SmppUpstreamSection
from gateway.configuration.smpp_settings import SmppListenerSettings, SmppUpstreamSettings
from gateway.configuration.values import Secret

Resolve = Callable[[PurePosixPath | None], Path | None]


def settle_smpp_upstream(
    section: SmppUpstreamSection, password: Secret | None, resolve: Resolve
) -> SmppUpstreamSettings:
    addresses = (section.address,) if section.address is not None else section.addresses
    return SmppUpstreamSettings(
        name=section.name,
        addresses=addresses,
        tls=section.tls is SmppTls.TLS,
        allows_clear_text=section.clear_text or all(address.is_loopback for address in addresses),
        verify=section.verify,
        ca_file=resolve(section.ca_file),
        server_name=section.server_name,
        system_id=section.system_id,
        password=password,
        system_type=section.system_type,
        default_alphabet=section.default_alphabet,
        links=section.links,
        window=section.window,
        queue=section.queue,
        queue_timeout_s=section.queue_timeout.seconds,
        connect_timeout_s=section.connect_timeout.seconds,
        answer_timeout_s=section.answer_timeout.seconds,
        enquire_after_s=section.enquire_after.seconds,
        code_length=section.code_length,
        max_lead_s=section.max_lead.seconds,
    )


def settle_smpp_listener(section: SmppListenerSection, resolve: Resolve) -> SmppListenerSettings:
    has_tls = section.tls is SmppTls.TLS
    return SmppListenerSettings(
        address=section.address,
        upstream=section.upstream,
        certificate_file=resolve(section.certificate_file) if has_tls else None,
        private_key_file=resolve(section.private_key_file) if has_tls else None,
        system_id=section.system_id,
        refuses_by_receipt=section.refusal is SmppRefusal.RECEIPT,
        refusal_status=section.refusal_status,
        service_types=dict(section.service_types),
        class_tlv=section.class_tlv,
        class_tlv_values={value.encode("ascii"): kind for value, kind in section.class_tlv_values.items()},
        inbound={"" if number == "*" else number: client for number, client in section.inbound.items()},
        window=section.window,
        part_hold_s=section.part_hold.seconds,
        part_age_s=section.part_age.seconds,
        connections=section.connections,
        connections_per_peer=section.connections_per_peer,
        binds_per_client=section.binds_per_client,
        idle_timeout_s=section.idle_timeout.seconds,
    )
