"""The class and recipient type of a message by what SMPP has room for: the bind, the service type, a vendor TLV.

The protocol has no field for them (sms-dialects, 11.1), so each link says in its configuration what means what. Tags
tighten, never loosen: where two of them disagree the message is commercial, and so it is where one cannot be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from filters.smpp.fields import find_tlv
from filters.smpp.message import ShortMessage
from filters.vocabulary import MessageClass, RecipientType


@dataclass(frozen=True, slots=True)
class TagRules:
    """What means what. ``system_types`` and ``service_types`` map the words of bind and message; ``class_tlv`` and
    ``type_tlv`` are vendor tags (0x1400 to 0x3FFF), their values as octets, trailing NULs ignored."""

    bind_class: MessageClass | None = None
    bind_type: RecipientType | None = None
    system_types: Mapping[str, MessageClass] = field(default_factory=dict)
    service_types: Mapping[str, MessageClass] = field(default_factory=dict)
    class_tlv: int | None = None
    classes: Mapping[bytes, MessageClass] = field(default_factory=dict)
    type_tlv: int | None = None
    types: Mapping[bytes, RecipientType] = field(default_factory=dict)
    is_silent: bool = field(init=False, repr=False, compare=False)
    """Whether no message can say anything by these rules."""

    def __post_init__(self) -> None:
        says = (self.bind_class, self.bind_type, self.class_tlv, self.type_tlv)
        is_silent = not (self.system_types or self.service_types) and says == (None, None, None, None)
        object.__setattr__(self, "is_silent", is_silent)


def find_class(message: ShortMessage, system_type: str, rules: TagRules) -> MessageClass | None:
    """What is said of the message, or None where nothing is said of it."""
    said: list[MessageClass] = []
    if rules.bind_class is not None:
        said.append(rules.bind_class)
    if rules.system_types and (by_bind := rules.system_types.get(system_type)) is not None:
        said.append(by_bind)
    if rules.service_types and (by_service := rules.service_types.get(message.service_type)) is not None:
        said.append(by_service)
    if rules.class_tlv is not None and (value := find_tlv(message.tlvs, rules.class_tlv)) is not None:
        said.append(rules.classes.get(value.rstrip(b"\0"), MessageClass.COMMERCIAL))
    if not said:
        return None
    return said[0] if len(set(said)) == 1 else MessageClass.COMMERCIAL


def find_type(message: ShortMessage, rules: TagRules) -> RecipientType | None:
    """The declared recipient type: the TLV's where it can be read, else the bind's."""
    if rules.type_tlv is not None and (value := find_tlv(message.tlvs, rules.type_tlv)) is not None:
        # What cannot be read declares nothing; "individual" is the stricter reading and the pipeline's default.
        return rules.types.get(value.rstrip(b"\0"))
    return rules.bind_type
