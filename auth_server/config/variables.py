"""Variables of the environment, each given as NAME or, for a mounted secret, as NAME_FILE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from auth_server.config import values
from auth_server.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

FILE = "_FILE"


class Variables:
    """Takes settings out of the environment and notes what is wrong with them."""

    def __init__(self, environ: Mapping[str, str], read_file: Callable[[Path], str]) -> None:
        self._environ = environ
        self._read_file = read_file
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []

    def mistake(self, name: str, message: str) -> None:
        """Note something that cannot be used."""
        self.mistakes.append(Mistake(name, message))

    def warn(self, name: str, message: str) -> None:
        """Note something that can be used, but hardly as intended."""
        self.warnings.append(Mistake(name, message))

    def has_mistake(self, name: str) -> bool:
        """Tell whether something is wrong with NAME or NAME_FILE already."""
        return any(mistake.place in {name, name + FILE} for mistake in self.mistakes)

    def is_set(self, name: str) -> bool:
        """Tell whether the name is in the environment at all, empty or not."""
        return name in self._environ

    def text(self, name: str) -> str | None:
        """Return the setting's text from NAME or the file that NAME_FILE names; None where not given."""
        text = self._environ.get(name, "").strip()
        file = self._environ.get(name + FILE, "").strip()
        if text and file:
            self.mistake(name, f"both {name} and {name}{FILE} are given; keep one")
            return None
        return self._from_file(name + FILE, file) if file else text or None

    def value(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return the parsed setting, or the default where it is absent or wrong."""
        text = self.text(name)
        if text is None:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.mistake(name, str(error))
            return default

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within the bounds."""
        return self.value(name, lambda text: values.integer(text, low, high), default)

    def choice(self, name: str, default: str, known: tuple[str, ...]) -> str:
        """Return one of the known words, in lower case."""
        return self.value(name, lambda text: values.choice(text.lower(), known), default)

    def _from_file(self, name: str, path: str) -> str | None:
        try:
            text = self._read_file(Path(path)).strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            # Not the path: somebody may have put the secret itself there.
            self.mistake(name, f"the file it names cannot be read: {reason}; check the path and permissions")
            return None
        if not text:
            self.mistake(name, "the file it names is empty; write the value into it, or remove the setting")
            return None
        return text
