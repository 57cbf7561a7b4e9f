"""One line of the doctor's.

Called by: the other modules of doctor.
Owns: nothing.
Never: knows how it was found.
"""

from dataclasses import dataclass

EVERY = "all"  # methods


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` was looked at and how it is; `todo` is empty when nothing stands in the way."""

    method: str  # or EVERY
    what: str
    todo: str = ""
    is_limit: bool = False  # the method works, though not for everything

    def line(self) -> str:
        state = "ok" if not self.todo else "limit" if self.is_limit else "NO"
        said = f"{self.what}; {self.todo}" if self.todo else self.what
        return f"{state:<6}{self.method:<12}{said}"

    @property
    def is_in_the_way(self) -> bool:
        return bool(self.todo) and not self.is_limit
