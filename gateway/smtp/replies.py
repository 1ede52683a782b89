"""Every sentence a listener says on its own account, rendered once.

They are said in ASCII, name no address, and tell the reader what to do. Faults of ours are 4xx without exception.
"""

from __future__ import annotations

from typing import Final

from filters.address import AddressError
from filters.reply import Reply


def _say(code: int, subject_detail: str, text: str) -> bytes:
    return Reply(code, subject_detail, text).render()


# Progress
MAIL_TAKEN: Final = _say(250, "1.0", "Sender ok")
RECIPIENT_TAKEN: Final = _say(250, "1.5", "Recipient ok")
START_CONTENT: Final = _say(354, "", "Send the message, end with a dot on a line of its own")
RESET: Final = _say(250, "0.0", "Ok")
NOTHING_DONE: Final = _say(250, "0.0", "Ok")
FAREWELL: Final = _say(221, "0.0", "Goodbye")
CANNOT_VERIFY: Final = _say(252, "0.0", "Cannot verify; send the message and see")
HELP: Final = _say(214, "0.0", "This gateway relays mail of known clients; commands as in RFC 5321")
READY_FOR_TLS: Final = _say(220, "0.0", "Ready for TLS")
LOGIN_TAKEN: Final = _say(235, "7.0", "Logged in")
CONTENT_UNDER_REVIEW: Final = _say(353, "", "One reply for each recipient follows, then one for the message")

# Commands out of order or malformed
UNKNOWN_COMMAND: Final = _say(500, "5.1", "Command not known")
NOT_OFFERED: Final = _say(502, "5.1", "Command not offered")
NO_CHUNKING: Final = _say(502, "5.1", "CHUNKING is not offered; the connection is closed")
NOT_FOR_MAIL: Final = _say(521, "7.0", "This port speaks SMTP only; the connection is closed")
WRONG_PROTOCOL_LMTP: Final = _say(500, "5.1", "This port speaks LMTP; start with LHLO")
WRONG_PROTOCOL_SMTP: Final = _say(500, "5.1", "This port speaks SMTP; start with EHLO")
BARE_NEWLINE_IN_COMMAND: Final = _say(
    521, "5.2", "Commands end in CR LF together; bare CR or LF found, the connection is closed"
)
LINE_TOO_LONG: Final = _say(500, "5.2", "Line too long")
NO_ARGUMENT_EXPECTED: Final = _say(501, "5.4", "No argument expected here")
HELLO_NEEDS_NAME: Final = _say(501, "5.4", "Give the name of your host, one word")
HELLO_FIRST: Final = _say(503, "5.1", "Say EHLO (LHLO on an LMTP port) first")
MAIL_FIRST: Final = _say(503, "5.1", "Send MAIL first")
RECIPIENT_FIRST: Final = _say(503, "5.1", "Send RCPT first")
MAIL_ALREADY_GIVEN: Final = _say(503, "5.1", "A message is under way already; send RSET to drop it")
NOT_WITHIN_MAIL: Final = _say(503, "5.1", "Not while a message is under way")
NO_VALID_RECIPIENTS: Final = _say(554, "5.1", "No recipient was taken; see the replies to RCPT")
MAIL_SYNTAX: Final = _say(501, "5.4", "Syntax: MAIL FROM:<address> [parameters]")
RECIPIENT_SYNTAX: Final = _say(501, "5.4", "Syntax: RCPT TO:<address> [parameters]")
UNKNOWN_PARAMETER: Final = _say(555, "5.4", "Parameter not known or not announced at EHLO")
BAD_PARAMETER_VALUE: Final = _say(501, "5.4", "Value of a parameter is not valid")
BAD_PARAMETERS: Final = _say(501, "5.4", "Parameters must be KEYWORD or KEYWORD=value, one space between them")
REPEATED_PARAMETER: Final = _say(501, "5.4", "A parameter was given twice")

# Addresses
NULL_RECIPIENT: Final = _say(553, "1.3", "A recipient cannot be empty")
POSTMASTER_NEEDS_DOMAIN: Final = _say(
    553, "1.3", "postmaster is not served without a domain; this gateway has no mailboxes"
)
NEEDS_SMTPUTF8: Final = _say(553, "6.7", "An address beyond ASCII needs the SMTPUTF8 parameter at MAIL")


def bad_sender(error: AddressError) -> bytes:
    return _say(553, "1.7", f"Sender refused: {error}")


def bad_recipient(error: AddressError) -> bytes:
    return _say(553, "1.3", f"Recipient refused: {error}")


# Who may send
UNKNOWN_CLIENT: Final = _say(550, "7.1", "This host is not a known client of this gateway; relaying denied")
LOGIN_FIRST: Final = _say(530, "7.0", "Log in first; this host is not known by its address")
TLS_FIRST: Final = _say(530, "7.0", "Issue STARTTLS and log in first; this host is not known by its address")
TLS_ACTIVE: Final = _say(503, "5.1", "TLS is active already")
LOGIN_NEEDS_TLS: Final = _say(538, "7.11", "Issue STARTTLS before you log in")
ALREADY_LOGGED_IN: Final = _say(503, "5.1", "Logged in already")
LOGIN_CANCELLED: Final = _say(501, "7.0", "Login cancelled")
LOGIN_REFUSED: Final = _say(535, "7.8", "User name or password is not right")
LOGIN_PUT_OFF: Final = _say(454, "7.0", "Cannot check the password at the moment, please try again later")
LOGIN_BARRED: Final = _say(454, "7.0", "Too many failed logins from your address, please try again later")
LOGIN_TOO_OFTEN: Final = _say(421, "7.0", "Too many failed logins; the connection is closed")
MECHANISM_UNKNOWN: Final = _say(504, "5.4", "Mechanism not known; PLAIN and LOGIN are")
BAD_BASE64: Final = _say(501, "5.2", "Not valid base64")
BAD_CREDENTIALS: Final = _say(501, "5.2", "Credentials are not in the form the mechanism asks for")
LOGIN_LINE_TOO_LONG: Final = _say(500, "5.6", "Login line too long")

# Limits
TOO_MANY_RECIPIENTS: Final = _say(452, "5.3", "Too many recipients; send the rest in another message")
MESSAGE_TOO_BIG: Final = _say(552, "3.4", "Message is larger than the SIZE announced at EHLO")
MESSAGE_FAR_TOO_BIG: Final = _say(552, "3.4", "Message is far larger than the SIZE announced; the connection is closed")
NO_MEMORY: Final = _say(452, "3.1", "No room for this message at the moment, please try again")
BARE_NEWLINE_IN_CONTENT: Final = _say(
    550, "6.0", "Message holds a bare CR, a bare LF or a NUL; all lines must end in CR LF together"
)
TOO_MANY_ERRORS: Final = _say(421, "7.0", "Too many errors; the connection is closed")
TOO_MANY_CONNECTIONS: Final = _say(421, "7.0", "Too many connections, please try again later")
TOO_MANY_FROM_PEER: Final = _say(421, "7.0", "Too many connections from your address, please try again later")
IDLE_TOO_LONG: Final = _say(421, "4.2", "Idle for too long; the connection is closed")
TOO_SLOW: Final = _say(421, "4.2", "The message came too slowly; the connection is closed")
SESSION_TOO_LONG: Final = _say(421, "4.2", "Session open for too long; please connect again")

# Our own side
SHUTTING_DOWN: Final = _say(421, "3.2", "Going down for maintenance; please connect again")
FAULT: Final = _say(451, "3.0", "Temporary fault in this gateway, please try again")
FAULT_CLOSES: Final = _say(421, "3.0", "Temporary fault in this gateway; the connection is closed")
ANSWER_OVERDUE: Final = _say(421, "4.1", "No answer in time; nothing is confirmed, please try again")
