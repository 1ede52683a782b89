"""The rules between settings, each a function from the document to what breaks it.

Rules judge what stands in the file and nothing else: no file is opened here and no clock read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gateway.configuration.document import Document
from gateway.configuration.rules.keeping import (
    directories_are_apart,
    freshness_limits_are_ordered,
    store_is_one_of_ours,
    store_settings_fit_the_store,
)
from gateway.configuration.rules.names import (
    addresses_are_unique,
    names_are_unique,
    networks_are_unique,
    references_exist,
    something_is_there,
)
from gateway.configuration.rules.registry import accounts_act_for_brands, push_can_reach_us
from gateway.configuration.rules.secrets import logins_are_complete, passwords_travel_encrypted, secrets_have_one_source
from gateway.configuration.rules.senders import (
    brands_have_an_identity,
    clients_can_be_recognised,
    clients_have_brands_and_classes,
    clients_reports_are_signed,
    tag_fields_are_told_apart,
)
from gateway.configuration.rules.smpp import smpp_listeners_have_what_they_need, smpp_upstreams_can_be_bound_to
from gateway.configuration.rules.sms import (
    brands_can_word_their_opt_out,
    confirmations_have_a_way_out,
    delivery_reports_have_a_way_in,
    plain_requests_have_a_way_out,
    requests_belong_to_one_upstream,
    signatures_can_be_checked,
    sms_rules_say_something,
)
from gateway.configuration.rules.transport import (
    limits_fit_each_other,
    mail_does_not_go_round,
    tls_settings_are_complete,
    upstreams_have_addresses,
)
from gateway.configuration.validate import Finding

Rule = Callable[[Document], Iterator[Finding]]

RULES: tuple[Rule, ...] = (
    something_is_there,
    names_are_unique,
    networks_are_unique,
    addresses_are_unique,
    references_exist,
    brands_have_an_identity,
    clients_can_be_recognised,
    clients_have_brands_and_classes,
    clients_reports_are_signed,
    secrets_have_one_source,
    logins_are_complete,
    store_is_one_of_ours,
    store_settings_fit_the_store,
    tls_settings_are_complete,
    passwords_travel_encrypted,
    upstreams_have_addresses,
    mail_does_not_go_round,
    limits_fit_each_other,
    freshness_limits_are_ordered,
    tag_fields_are_told_apart,
    directories_are_apart,
    requests_belong_to_one_upstream,
    plain_requests_have_a_way_out,
    confirmations_have_a_way_out,
    delivery_reports_have_a_way_in,
    signatures_can_be_checked,
    sms_rules_say_something,
    smpp_upstreams_can_be_bound_to,
    smpp_listeners_have_what_they_need,
    brands_can_word_their_opt_out,
    accounts_act_for_brands,
    push_can_reach_us,
)


def find_broken_rules(document: Document) -> Iterator[Finding]:
    for rule in RULES:
        yield from rule(document)
