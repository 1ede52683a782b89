"""The link to the national registry: what comes down (pull, push, questions), what goes up, and the proof of both."""
