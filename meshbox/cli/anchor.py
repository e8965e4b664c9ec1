"""`meshbox anchor`: what another program needs to trust one node, and nobody else, over HTTPS."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from meshbox.cli.output import print_json, print_lines
from meshbox.cli.running_node import Json

ANCHOR_SCHEMA: Final = "meshbox.anchor/1"


def show(
    node_id: Annotated[str, typer.Argument(metavar="NODE-ID", help="The node to trust.")],
    *,
    json: Json = False,
) -> None:
    """A certificate (PEM) under which only the node NODE-ID is trusted.

    For the https listener, asked for as meshbox.invalid; see docs/https.md. Made from the id alone.
    """
    from meshbox.core.ids import parse_node_id
    from meshbox.identity.certificate import LEAF_NAME, trust_anchor

    pem = trust_anchor(parse_node_id(node_id)).decode()
    if json:
        document = {"schema": ANCHOR_SCHEMA, "node_id": node_id, "host": LEAF_NAME, "pem": pem}
        print_json(document)
    else:
        print_lines(pem.splitlines())
