"""
The dot-commands of the shell: go-dqlite's, and more to administer and to look at a cluster.

Source: go-dqlite 3.0.4, `internal/shell/shell.go`.
"""

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dqlite.client.blocking import BlockingClient
from dqlite.client.dumps import save_dump
from dqlite.client.stores import YamlStore
from dqlite.commands.formats import FORMATS, Format, printable
from dqlite.commands.members import ROLE_NAMES, ROLES, examine, health_json, member_json
from dqlite.commands.servers import plain_errors
from dqlite.commands.shell import Shell
from dqlite.wire.schema import Member, Role

if TYPE_CHECKING:
    from dqlite.app.health import HealthReport


@dataclass(frozen=True, slots=True)
class Dot:
    """
    A dot-command.

    Attributes:
        arguments: What it takes, as `.help` shows it; `[x]` may be left out.
        words: What may be completed after it.
    """

    run: Callable[..., None]
    arguments: str
    help: str
    words: tuple[str, ...] = ()

    def check(self, name: str, given: Sequence[str]) -> None:
        """Raise click.ClickException unless so many arguments are taken."""
        names = self.arguments.split()
        least = sum(not each.startswith("[") for each in names)
        if not least <= len(given) <= len(names):
            raise click.ClickException(f"expected {name} {self.arguments}".rstrip())


def run_dot(shell: Shell, line: str) -> None:
    """
    Run the dot-command on a line.

    Raises:
        click.ClickException: If there is no such command, its arguments are wrong, or it fails.
        EOFError: For `.exit`.
    """
    try:
        name, *arguments = shlex.split(line)
    except ValueError as error:
        raise click.ClickException(f"{error}: {line}") from error
    dot = DOTS.get(name)
    if dot is None:
        raise click.ClickException(f"no command {name}; .help lists them")
    dot.check(name, arguments)
    try:
        with plain_errors():
            dot.run(shell, *arguments)
    except KeyboardInterrupt:
        raise click.ClickException("interrupted") from None


def members(shell: Shell) -> tuple[Member, ...]:
    """Return the members of the cluster, as the leader knows them."""
    with shell.cluster.leader() as leader:
        return leader.cluster()


def _help(shell: Shell) -> None:
    usages = {name: f"{name} {dot.arguments}".rstrip() for name, dot in DOTS.items()}
    width = max(map(len, usages.values()))
    for name, usage in usages.items():
        shell.write(f"{usage.ljust(width)}  {DOTS[name].help}")
    shell.write("Anything else is SQL, and ends with a semicolon.")


def _cluster(shell: Shell) -> None:
    found = members(shell)
    if shell.format is Format.JSON:
        shell.write(_go_json([member_json(each) for each in found]))
        return
    rows = [(f"{each.id:x}", each.address, ROLE_NAMES[each.role]) for each in found]
    _lines(shell, ("ID", "Address", "Role"), rows)


def _leader(shell: Shell) -> None:
    with shell.cluster.leader() as leader:
        shell.write(printable(leader.address))


def _add(shell: Shell, node_id: str, address: str, role: str = "spare") -> None:
    number, wanted = _node_id(node_id), _role(role)
    with shell.cluster.leader() as leader:
        leader.add(number, address)
        if wanted is not Role.SPARE:
            leader.assign(number, wanted)


def _assign(shell: Shell, address: str, role: str) -> None:
    wanted = _role(role)
    _of_member(shell, address, lambda leader, node_id: leader.assign(node_id, wanted))


def _remove(shell: Shell, address: str) -> None:
    _of_member(shell, address, lambda leader, node_id: leader.remove(node_id))


def _transfer(shell: Shell, address: str | None = None) -> None:
    if address is None:
        with shell.cluster.leader() as leader:
            leader.transfer()
    else:
        _of_member(shell, address, lambda leader, node_id: leader.transfer(node_id))


def _describe(shell: Shell, address: str) -> None:
    with shell.cluster.node(address) as node:
        metadata = node.describe()
    if shell.format is Format.JSON:
        described = {"FailureDomain": metadata.failure_domain, "Weight": metadata.weight}
        shell.write(_go_json(described))
        return
    row = (address, metadata.failure_domain, metadata.weight)
    _lines(shell, ("Address", "FailureDomain", "Weight"), [row])


def _weight(shell: Shell, address: str, weight: str) -> None:
    number = _number(weight, "a weight", most=2**64 - 1)
    with shell.cluster.node(address) as node:
        node.weight(number)


def _dump(shell: Shell, address: str, database: str = "db.bin") -> None:
    with shell.cluster.node(address) as node:
        save_dump(node.dump(database), ".")
    shell.write("OK")


def _reconfigure(shell: Shell, directory: str, cluster_yaml: str) -> None:
    from dqlite.node.membership import reconfigure_membership_ext

    reconfigure_membership_ext(directory, YamlStore(cluster_yaml).get())
    shell.write("OK")


def _health(shell: Shell) -> None:
    report = examine(shell.cluster)
    if shell.format is Format.JSON:
        shell.write(_go_json(health_json(report)))
    else:
        _show_health(shell, report)
    if not report.is_available:
        raise click.ClickException("the cluster cannot serve")


def _show_health(shell: Shell, report: "HealthReport") -> None:
    verdict = "healthy" if report.is_healthy else "degraded" if report.is_available else "down"
    shell.write(verdict)
    shell.write(f"leader: {printable(report.leader or 'none')}")
    shell.write(
        f"{len(report.online)} of {len(report.online) + len(report.offline)} members answer, "
        f"{report.online_voters} of {report.voters} voters; margin of the quorum: "
        f"{report.quorum_margin}"
    )
    for reason in report.reasons:
        shell.write(f"- {printable(reason)}")


def _tables(shell: Shell, pattern: str = "%") -> None:
    rows = shell.ask(
        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
        f"AND name NOT LIKE 'sqlite_%' AND name LIKE {_literal(pattern)} ORDER BY name"
    )
    if rows is not None:
        shell.show(rows.columns, rows.rows)


def _schema(shell: Shell, name: str = "%") -> None:
    rows = shell.ask(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL "
        f"AND tbl_name LIKE {_literal(name)} ORDER BY rowid"
    )
    if rows is None:
        return
    if shell.format is not Format.PIPE:
        shell.show(rows.columns, rows.rows)
        return
    for (sql,) in rows.rows:
        shell.write(printable(str(sql) + ";", keep="\n\t"))


def _mode(shell: Shell, name: str | None = None) -> None:
    if name is None:
        shell.write(shell.format.value)
    elif name in FORMATS:
        shell.format = FORMATS[name]
    else:
        raise click.ClickException(f"expected one of {', '.join(FORMATS)}, got {name}")


def _exit(shell: Shell) -> None:
    raise EOFError


def _of_member(shell: Shell, address: str, request: Callable[[BlockingClient, int], None]) -> None:
    """Ask the leader for something that concerns the member at an address."""
    with shell.cluster.leader() as leader:
        ids = [each.id for each in leader.cluster() if each.address == address]
        if not ids:
            raise click.ClickException(f'no node has address "{address}"')
        request(leader, ids[0])


def _lines(shell: Shell, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Show rows with a bar between the values, also in tables: scripts look for `address|role`."""
    if shell.format is Format.CSV:
        shell.show(columns, tuple(rows))
        return
    for row in rows:
        shell.write(printable("|".join(map(str, row))))


def _go_json(value: object) -> str:
    return json.dumps(value, indent="\t")


def _role(name: str) -> Role:
    try:
        return ROLES[name]
    except KeyError:
        raise click.ClickException(f"expected {', '.join(ROLES)}, got {name}") from None


def _node_id(text: str) -> int:
    return _number(text, "a node id, decimal or 0x and hexadecimal", least=1, most=2**64 - 1)


def _number(text: str, what: str, *, least: int = 0, most: int) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not least <= number <= most:
        raise click.ClickException(f"expected {what} from {least} to {most}, got {text}")
    return number


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


DOTS = {
    ".help": Dot(_help, "", "this list"),
    ".health": Dot(_health, "", "who leads, who answers, what is wrong"),
    ".cluster": Dot(_cluster, "", "the members: id in hexadecimal, address, role"),
    ".leader": Dot(_leader, "", "the address of the leader"),
    ".add": Dot(_add, "ID ADDRESS [ROLE]", "add a node, as a spare at first", tuple(ROLES)),
    ".assign": Dot(_assign, "ADDRESS ROLE", "give a member a role", tuple(ROLES)),
    ".transfer": Dot(_transfer, "[ADDRESS]", "hand the leadership to a voter"),
    ".remove": Dot(_remove, "ADDRESS", "remove a member"),
    ".describe": Dot(_describe, "ADDRESS", "failure domain and weight of a node"),
    ".weight": Dot(_weight, "ADDRESS WEIGHT", "set the weight of a node; lower is preferred"),
    ".dump": Dot(_dump, "ADDRESS [DATABASE]", "write a database (db.bin) to this directory"),
    ".reconfigure": Dot(_reconfigure, "DIRECTORY CLUSTER_YAML", "set the members, offline"),
    ".tables": Dot(_tables, "[PATTERN]", "names of tables and views; PATTERN as for LIKE"),
    ".schema": Dot(_schema, "[TABLE]", "the statements that made the tables"),
    ".mode": Dot(_mode, "[MODE]", "how rows are shown: pipe, table, json, csv", tuple(FORMATS)),
    ".exit": Dot(_exit, "", "leave, as the end of the input does"),
}  # fmt: skip
