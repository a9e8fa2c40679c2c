"""`streamlit ARGUMENT ...`, run in .venv, except that Ctrl-C ends it without the word Aborted and with exit code 0."""

from __future__ import annotations

import sys

import click
from streamlit.web import cli


def main(arguments: list[str]) -> int:
    """Run Streamlit's command line; wrong usage is told as Streamlit tells it."""
    try:
        cli.main(arguments, prog_name="streamlit", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):  # uvicorn has shut down in order by now, and raised the signal again
        return 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
