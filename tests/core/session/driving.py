"""What a part of a session said and asked, for tests that drive it input by input."""

from __future__ import annotations

from meshbox.core.session.effects import Effect, Request, Send
from meshbox.core.session.frames import Frame


class Driven:
    """Keeps the effects of a part, as frames and requests, until they are looked at."""

    def __init__(self) -> None:
        self._sent: list[Frame] = []
        self._asked: list[Request] = []

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._sent.append(effect.frame)
            else:
                self._asked.append(effect)  # type: ignore[arg-type]

    def sent(self) -> list[Frame]:
        sent, self._sent = self._sent, []
        return sent

    def asked(self) -> list[Request]:
        asked, self._asked = self._asked, []
        return asked
