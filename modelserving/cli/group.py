"""How the project's commands show their errors."""

from __future__ import annotations

from typing import Any

import click

from modelserving.errors import ModelServingError


class CommandGroup(click.Group):
    """A group of commands whose expected faults become a line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except ModelServingError as error:
            raise click.ClickException(str(error)) from error
