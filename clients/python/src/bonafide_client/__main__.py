"""Lets `python -m bonafide_client` stand in for the command `bonafide`."""

import sys

from .cli import command

sys.exit(command())
