"""The `meshbox` command: one file a subcommand."""
