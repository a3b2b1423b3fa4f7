"""The command `list`: what there is, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dissever.commands.output import print_json, tell
from dissever.harness.plugins import OURS
from dissever.inventory import (
    AnOption,
    Inventory,
    Thing,
    ThisConsistencyModel,
    ThisFault,
    ThisSystem,
    ThisWorkload,
    everything,
    what_is,
)
from dissever.nemesis import without_target

Row: TypeAlias = tuple[str, str, str]
"""A name, what it is, where it comes from."""


@click.command(name="list", short_help="Name the systems, workloads, faults, checkers, models.")
@click.option("--json", "is_json", is_flag=True, help="Print the names as JSON, and only that.")
@click.argument("references", nargs=-1, metavar="[NAME]...")
def list_(references: tuple[str, ...], is_json: bool) -> int:
    """
    Name everything there is, with one line each and where it comes from. With a name, a path or
    package:Name, show all of that: the targets and parameters of a fault, the options of a system,
    what a consistency model implies and forbids.

    A plug-in that is broken is one line on standard error.

    \b
    dissever list
    dissever list partition disk-error
    dissever list snapshot-isolation
    dissever list mykv.py
    dissever list --json | jq '.systems[].name'
    """
    found = everything() if not references else _asked(references)
    for broken in found.broken:
        tell(f"broken {broken.kind}: {broken.line}")
    if is_json:
        print_json(found)
    elif references:
        _print_details(found)
    else:
        _print_all(found)
    return 0


def _asked(references: Sequence[str]) -> Inventory:
    try:
        every = [_what_is(reference) for reference in references]
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return Inventory(
        systems=tuple(each for one in every for each in one.systems),
        workloads=tuple(each for one in every for each in one.workloads),
        faults=tuple(each for one in every for each in one.faults),
        checkers=tuple(each for one in every for each in one.checkers),
        models=tuple(each for one in every for each in one.models),
        consistency_models=tuple(each for one in every for each in one.consistency_models),
    )


def _what_is(reference: str) -> Inventory:
    """A fault may have its target. Raises ValueError when there is no such thing."""
    try:
        return what_is(reference)
    except ValueError as error:
        try:
            return what_is(without_target(reference))
        except ValueError:
            raise error from None


def _print_all(found: Inventory) -> None:
    _print_table("systems", (row for each in found.systems for row in _system_rows(each)))
    for title, things in (
        ("workloads", found.workloads),
        ("faults", found.faults),
        ("triggers", found.triggers),
        ("checkers", found.checkers),
        ("models", found.models),
        ("consistency models of transactions", found.consistency_models),
    ):
        _print_table(title, map(_row, things))


def _print_details(found: Inventory) -> None:
    for system in found.systems:
        _print_table(f"system {system.name}", _system_rows(system))
    for workload in found.workloads:
        _print_table(f"workload {workload.name}", _workload_rows(workload))
    for fault in found.faults:
        _print_table(fault.name, _fault_rows(fault))
    for model in found.consistency_models:
        _print_table(f"consistency model {model.name}", _consistency_rows(model))
    for kind, things in (("checker", found.checkers), ("model", found.models)):
        for thing in things:
            _print_table(f"{kind} {thing.name}", [_row(thing)])


def _row(thing: Thing) -> Row:
    return thing.name, thing.description, thing.origin


def _system_rows(system: ThisSystem) -> Iterator[Row]:
    serves = f" ({', '.join(system.workloads)})" if system.workloads else ""
    yield system.name, f"{system.description}{serves}", system.origin
    yield "", f"backends: {', '.join(system.backends)}", ""
    yield from _option_rows(system.options)


def _workload_rows(workload: ThisWorkload) -> Iterator[Row]:
    yield _row(workload)
    yield "", f"store: {workload.store}", ""
    yield from _option_rows(workload.options)


def _consistency_rows(model: ThisConsistencyModel) -> Iterator[Row]:
    yield _row(model)
    for what, names in (
        ("other names", model.aliases),
        ("implies", model.implies),
        ("forbids", model.forbids),
    ):
        if names:
            yield "", f"{what}: {', '.join(names)}", ""


def _option_rows(options: Iterable[AnOption]) -> Iterator[Row]:
    for option in options:
        yield "", f"--{option.name}: {option.description}", ""


def _fault_rows(fault: ThisFault) -> Iterator[Row]:
    yield "what it can do", fault.description, fault.origin
    yield "where", ", ".join(fault.backends) or "nowhere", ""
    for target, count in fault.targets.items():
        needed = f"needs {count} nodes" if count > 1 else "needs 1 node"
        yield f"{fault.name}:{target}", needed, ""
    for parameter in fault.parameters:
        usual = "" if parameter.default is None else f"; {parameter.default} by default"
        yield parameter.name, f"{parameter.description}: {parameter.accepts}{usual}", ""


def _print_table(title: str, rows: Iterable[Row]) -> None:
    """What is not ours stands out."""
    shown = escape(title)
    table = Table(title=shown, title_justify="left", box=None, show_header=False, padding=(0, 2))
    for name, description, origin in rows:
        style = "dim" if origin == OURS else "cyan"
        place = f"[{style}]{escape(origin)}[/]" if origin else ""
        table.add_row(f"[bold]{escape(name)}[/]", escape(description), place)
    Console().print(table, "")
