"""The command `leadline`."""

import sys


def main() -> None:
    """Run the command line; exit codes are in `leadline.cli.exit_codes`."""
    from leadline.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
