"""``lowlight``, and ``python -m lowlight_cli``, for instance under torchrun."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C is answered in one line while it still loads, too."""
    try:
        from .app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
