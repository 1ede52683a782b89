"""Where a recipient refuses: the pages behind the injected link, and the intake for refusals by mail.

* ``pages``       the routes: what is shown, what a POST does
* ``rendering``   templates and sentences become bytes, once
* ``sentences``   the words, Turkish and English
* ``language``    which of the two
* ``logo``        the brand's picture, checked before it is served
* ``throttle``    how often one token may be used
* ``listener``    an HTTP listener for strangers: small limits, silent about what it was sent
* ``mail_intake`` refusals by mail to the ``mailto:`` address

Beside this package: ``filters.token`` makes and reads the links, ``gateway.refusals`` makes a refusal durable.
"""
