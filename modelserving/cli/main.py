"""The `modelserving` command: its groups, and how its errors look."""

from __future__ import annotations

import click

from modelserving.cli.demo import demo
from modelserving.cli.group import CommandGroup
from modelserving.cli.local import local
from modelserving.cli.policy import policy
from modelserving.cli.publish import publish
from modelserving.cli.query import query
from modelserving.cli.retire import retire
from modelserving.cli.send import send
from modelserving.cli.show import events, models, policies, stats
from modelserving.cli.tail import tail


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="modelserving")
def main() -> None:
    """Serve machine-learned models inside a Flink stream: publish models, send records, see the scores."""


for _command in (local, publish, retire, policy, send, tail, stats, policies, models, events, query, demo):
    main.add_command(_command)

if __name__ == "__main__":
    main()
