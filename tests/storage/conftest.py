"""What several tests of stores begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.storage.reopened import Scene, reopened


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with reopened() as made:
        yield made
