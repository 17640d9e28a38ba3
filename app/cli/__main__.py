"""``python -m app.cli``: the same as the console script ``trunkline``."""

from app.cli import main

main()
