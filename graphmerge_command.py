"""The command ``graphmerge``: an interrupt ends it in one word from the first moment, while torch is still loaded."""

from __future__ import annotations

import sys


def main() -> None:
    """Load the command line, which takes seconds, and run it."""
    try:
        from graphmerge.cli import main as run
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    run()
