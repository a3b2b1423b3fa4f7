"""
Options that a system or a workload declares for itself, as records.

The command line, the plan and the help text all come from the records, so that a new system brings
its options with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dissever.harness.values import listed, quoted

NAMES_MAX: Final = 12
"""Of more names an error shows only some."""

OptionValue: TypeAlias = str | int | None


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option. Its values are whole numbers from `least` to `most`, both included, where these are
    given; texts out of `choices`, where there are some; and any text elsewhere.

    `default` None: the option has no value unless one is given. `explored`: what it is instead when
    many seeds of a simulated system are tried, and nobody says anything else; None: the same.
    """

    description: str
    default: OptionValue = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    explored: OptionValue = None

    def checked(self, name: str, given: OptionValue) -> OptionValue:
        """
        The value that was given; a number may come as text, as from a command line.

        Raises:
            ValueError: When it is none of this option's values.
        """
        if given is None:
            return self.default
        if self.least is not None and self.most is not None:
            text = str(given)
            if not text.isdecimal() or len(text) > 20 or not self.least <= int(text) <= self.most:
                expected = f"expected {name} from {self.least} to {self.most}"
                raise ValueError(f"{expected}, got {quoted(given)}")
            return int(text)
        if self.choices and given not in self.choices:
            raise ValueError(unknown(name, str(given), self.choices))
        return str(given)


def values(declared: Mapping[str, Option], given: Mapping[str, OptionValue]) -> dict[str, Any]:
    """A value for every option that is declared: the one that is given, or the default."""
    return {
        name: option.default if given.get(name) is None else given[name]
        for name, option in declared.items()
    }


def checked_options(
    owner: str, declared: Mapping[str, Option], given: Mapping[str, OptionValue]
) -> dict[str, OptionValue]:
    """
    A value for every option that is declared: the one that was given, or the default.

    Args:
        owner: The name of the system or workload, for the message.

    Raises:
        ValueError: For an option or a value that there is not: one line with what was expected,
            what came, and the nearest name.
    """
    for name in given:
        if name not in declared:
            raise ValueError(unknown(f"option of {owner}", name, tuple(declared) or ("none",)))
    return {name: option.checked(name, given.get(name)) for name, option in declared.items()}


def check_declared(owner: str, declared: object) -> None:
    """Raises ValueError unless it maps names to `Option` records."""
    if not isinstance(declared, Mapping) or not all(
        isinstance(name, str) and isinstance(option, Option) for name, option in declared.items()
    ):
        raise ValueError(f"expected options of {owner} as name -> Option, got {quoted(declared)}")


def unknown(what: str, name: str, names: Collection[str]) -> str:
    """One line for a name that is none of those expected, with the nearest; many are not listed."""
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    expected = ", ".join(names) if len(names) <= NAMES_MAX else listed(names)
    article = "an" if what[0] in "aeiou" else "a"
    return f"expected {article} {what} out of {expected}, got {quoted(name)}{hint}"
