"""SMPP 3.4 (Short Message Peer-to-Peer, issue 1.2), both ways and without I/O: bytes in, values and bytes out.

From the wire inwards: ``frames`` cuts the stream into PDUs, ``fields`` reads what PDUs are made of, ``bind`` and
``message`` are the bodies, ``numbers`` names commands, statuses and TLVs. ``server_session`` and ``client_session``
are the two ends of a link, ``exchange`` what crosses from one to the other.

On the text's side: ``coding`` and ``septets`` turn octets into text and back, ``user_data`` reads what stands before
it, ``reassembly`` joins parts and ``split`` makes them anew. ``tags``, ``times``, ``submission`` and ``answer``
translate to and from the words all SMS dialects share; ``receipt`` reads and writes delivery receipts.
"""
