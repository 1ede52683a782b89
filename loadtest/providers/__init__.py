"""SMS providers as their documents describe them, each a second implementation that shares no code with the codecs.

``simulator`` holds what all have in common: faults by switch, what was sent, the clock. One module for each provider,
each a program: ``python -m loadtest.providers.netgsm --port 8101``.
"""
