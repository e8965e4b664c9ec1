"""How a command fails: one line on standard error, an exit status, never a traceback.

    0  done
    1  failed: the world refused (a taken port, a full disk, no node that answers), or a defect
    2  wrong use: the command line, a setting or a name that cannot be

MESHBOX_TRACEBACK=1 shows where a fault came from, for developers.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

from meshbox.core.errors import CallerError, MeshboxError

EXIT_FAILED: Final = 1
EXIT_WRONG_USE: Final = 2
EXIT_INTERRUPTED: Final = 130

TRACEBACK_VARIABLE: Final = "MESHBOX_TRACEBACK"


def report(error: BaseException) -> int:
    """Tells of `error` on standard error; the exit status that it means."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    if isinstance(error, MeshboxError):
        code, message, hint = error.code, error.message, error.hint
    else:
        code, message = MeshboxError.code, f"{type(error).__name__}: {error}"
        hint = f"a defect of meshbox; {TRACEBACK_VARIABLE}=1 shows where"
    line = f"{message} ({hint})" if hint else message
    print(f"meshbox: error[{code}]: {' '.join(line.split())}", file=sys.stderr, flush=True)  # noqa: T201
    return EXIT_WRONG_USE if isinstance(error, CallerError) else EXIT_FAILED
