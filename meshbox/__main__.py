"""`python -m meshbox`: the same as the command `meshbox`."""

import sys

from meshbox.cli.main import main

sys.exit(main())
