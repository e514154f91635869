"""`python -m jaxgen`."""

from jaxgen.cli import main
from jaxgen.command import command

command(main)
