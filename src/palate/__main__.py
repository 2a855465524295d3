"""``python -m palate`` is the ``palate`` command."""

from palate.cli import main

main()
