"""Generated from proto/meshbox/wire/v1 by scripts/gen: change it there."""
