"""The command `tamis`, which is `python -m tamis` too."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is imported is an exit status as later, and no traceback."""
    try:
        from tamis.cli import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
