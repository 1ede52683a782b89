"""What decides: pure code, no I/O, no clock, no framework.

Values come in, values go out; the time, when it matters, is an argument.

* ``address``   one strict parser per kind of address; lookup key and wire bytes come from the same value
* ``consent``   what the index knows of one recipient, and how changes to it merge
* ``classify``  tag headers and client rights make the message class, brand and recipient type
* ``decide``    the decision table: gates, rows, verdicts with reasons
* ``mime``      puts the opt-out into mail by splicing bytes
* ``registry``  the consent registry's words, calls, errors and limits
* ``token``     the unforgeable opt-out token
* ``evidence``  what is kept of each decision, and the chain that shows tampering
"""
