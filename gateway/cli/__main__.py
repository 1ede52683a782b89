"""``python -m gateway.cli``: the same as ``izinkapi``, where the command is not on the path."""

from gateway.cli.main import main

main()
