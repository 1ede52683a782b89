"""The configuration file as a whole."""

from __future__ import annotations

from gateway.configuration.section import Section, table, tables
from gateway.configuration.sections.brands import BrandSection
from gateway.configuration.sections.clients import ClientSection, SmsRuleSection, TagsSection
from gateway.configuration.sections.listeners import ListenersSection
from gateway.configuration.sections.operation import (
    AdminSection,
    CalendarSection,
    EvidenceSection,
    GatewaySection,
    LogSection,
)
from gateway.configuration.sections.registry import RegistrySection
from gateway.configuration.sections.rules import FreshnessSection, PolicySection, RewritingSection
from gateway.configuration.sections.store import SecretsSection, StoreSection
from gateway.configuration.sections.upstreams import UpstreamsSection


class Document(Section):
    """All sections, in the order in which the example file explains them."""

    store: StoreSection = table(StoreSection)
    secrets: SecretsSection = table(SecretsSection)
    brands: tuple[BrandSection, ...] = tables()
    clients: tuple[ClientSection, ...] = tables()
    tags: TagsSection = table(TagsSection)
    sms_rules: tuple[SmsRuleSection, ...] = tables()
    upstreams: UpstreamsSection = table(UpstreamsSection)
    listeners: ListenersSection = table(ListenersSection)
    admin: AdminSection = table(AdminSection)
    registry: RegistrySection | None = None
    freshness: FreshnessSection = table(FreshnessSection)
    policy: PolicySection = table(PolicySection)
    rewriting: RewritingSection = table(RewritingSection)
    calendar: CalendarSection = table(CalendarSection)
    evidence: EvidenceSection = table(EvidenceSection)
    log: LogSection = table(LogSection)
    gateway: GatewaySection = table(GatewaySection)
