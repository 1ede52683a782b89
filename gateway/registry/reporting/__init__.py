"""Up: from the outbox to the registry, the most urgent first.

One at a time while there are few, in lists of up to 1000 when there are many, both by the second version of the API,
in which a repeat is recognised: whatever is killed in between is sent again and stored once. Of one address and channel
only one movement is on its way at any time, and the next one begins a second later (İYS API reference, 2.1: movements
of one second share their id). Timely and late reports never share a list: one that is too old refuses the whole.

A report leaves the outbox only with an answer of ``fates.DONE``; the refusal itself stays in the index
whatever the registry says (edge case E2).

``reporter`` is the duty; ``agenda`` says what may go now, ``sending`` sends it, ``landing`` brings answers home,
``settling`` does what they mean (``fates``). ``flights`` remembers lists under way, ``weather`` how registry and
accounts are doing, and how near the deadlines are.
"""
