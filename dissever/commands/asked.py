"""
What `dissever test` was asked for: by its words, the environment, and the configuration, in this
order. What none of them says has its default.

Click finds the values. This file tells it of the configuration and of the options that the system
and the workload declare, and makes one value of what it found.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from click.core import ParameterSource

from dissever import configuration, planning
from dissever.configuration import ENVIRONMENT, NOTHING, Configuration, Keys
from dissever.harness.cluster.backends import Backend
from dissever.harness.options import Option, unknown
from dissever.harness.plan import OnCrash, Options
from dissever.harness.system import System, default_nodes
from dissever.harness.values import quoted
from dissever.nemesis import read_script
from dissever.systems import SYSTEMS, load
from dissever.workloads import WORKLOADS, Workload

__all__ = ["Asked", "Setting", "TestCommand", "asked", "settings", "shortened"]

DEFAULT_WORKLOAD: Final = "register"

NOT_IN_FILES: Final = ("profile", "no-config", "print-config", "dry-run", "json", "summary", "help")
"""Options that speak of one command alone."""

EXCLUSIVE: Final = (("faults", "plan"), ("seed", "seeds"), ("seeds", "test-count"))
"""Of each group the option counts that was given closest to the command."""

_PATHS: Final = ("runs", "plan")
_REFERENCES: Final = ("system", "workload", "faults", "checker")

_OWN: Final = "dissever.own_options"
"""Where click's context keeps what was given for options of the system and of the workload."""

_DECLARED: Final = "dissever.declared_options"
_CONFIGURATION: Final = "dissever.configuration"

_NEAREST: Final = (
    ParameterSource.COMMANDLINE,
    ParameterSource.ENVIRONMENT,
    ParameterSource.DEFAULT_MAP,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """
    The runs that were asked for: the same options for each of the seeds.

    `runs` is the directory for them. `keeps_data`: the nodes' data stay whatever the verdict.
    """

    options: Options
    system: System
    seeds: tuple[int, ...]
    runs: Path
    keeps_data: bool

    def with_seed(self, seed: int) -> Options:
        """The options of one run."""
        return msgspec.structs.replace(self.options, seed=seed)


@dataclass(frozen=True, slots=True)
class Setting:
    """One option: its value as JSON, and where that comes from, in words."""

    name: str
    value: Any
    source: str


class TestCommand(click.Command):
    """
    Also has the options that the system and the workload of the command line declare.

    `others` are options that it has not, and that a configuration may have for another command.
    """

    __test__ = False
    others: Sequence[click.Parameter] = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """
        Look for the system and the workload first: they say which options there are.

        The configuration is looked for from the directory upwards that `ctx.obj` names; None: from
        the current one.
        """
        said = NOTHING
        if "--no-config" not in args:
            ctx.auto_envvar_prefix = ENVIRONMENT
            said = self._configured(args, ctx.obj)
        ctx.meta[_CONFIGURATION] = said
        ctx.default_map = {name.replace("-", "_"): each for name, each in said.settings.items()}
        given, named = self._named(ctx, args)
        given = given or _elsewhere(ctx, "system")
        system = SYSTEMS.get(given) if given else None
        workload = WORKLOADS.get(named or _elsewhere(ctx, "workload") or DEFAULT_WORKLOAD)
        ctx.meta[_OWN] = {"system": {}, "workload": {}}
        ctx.meta[_DECLARED] = [
            (owner, name, option)
            for owner, options in (
                ("system", system.options if system else {}),
                ("workload", workload.options if workload else {}),
            )
            for name, option in options.items()
        ]
        try:
            is_of_file = given == said.settings.get("system", given)
            ctx.default_map |= _own_words(said, system, workload, is_checked=is_of_file)
            return super().parse_args(ctx, args)
        except click.BadParameter as error:
            name = error.param.name if error.param is not None else None
            if name and ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
                variable = f"{ENVIRONMENT}_{name.upper()}"
                raise click.UsageError(f"{variable}: {error.message}", ctx) from error
            raise
        except click.NoSuchOption as error:
            owners = _owners(error.option_name.lstrip("-"))
            if not owners:
                raise
            what = f"{error.option_name}, which is an option of {' and of '.join(owners)}"
            asked_of = system.name if system else "the system"
            raise click.UsageError(f"expected an option of {asked_of}, got {what}") from error

    def _named(self, ctx: click.Context, args: Sequence[str]) -> tuple[str | None, str | None]:
        """The system and the workload of a command line; an unknown option takes a value."""
        takes = {
            name: not (isinstance(each, click.Option) and each.is_flag)
            for each in super().get_params(ctx)
            for name in each.opts
        }
        system, workload = None, None
        words = list(args)
        while words:
            word = words.pop(0)
            if not word.startswith("-"):
                system = system or word
                continue
            name, joined, value = word.partition("=")
            if not word.startswith("--"):
                name, joined, value = word[:2], word[2:], word[2:]
            if not joined and takes.get(name, True) and words and not words[0].startswith("-"):
                value = words.pop(0)
            if name in ("-w", "--workload"):
                workload = value
        return system, workload

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Those of every test, then the declared ones."""
        declared = (_option(*each) for each in ctx.meta.get(_DECLARED, ()))
        return [*super().get_params(ctx), *declared]

    @property
    def keys(self) -> Keys:
        """What a configuration may say."""
        every = (*self.params, *self.others)
        names = tuple(name for name in map(_long, every) if name not in NOT_IN_FILES)
        return Keys(names, paths=_PATHS, references=_REFERENCES, exclusive=EXCLUSIVE)

    def _configured(self, args: Sequence[str], start: Path | None) -> Configuration:
        """Raises click.UsageError when the file is wrong; its help can be read all the same."""
        profile = _given(args, "--profile") or os.environ.get(f"{ENVIRONMENT}_PROFILE") or None
        path = configuration.find(start)
        try:
            if path is not None:
                said = configuration.read(path, self.keys, profile)
                self._check(said)
                return said
            if profile is not None:
                raise ValueError(
                    f"expected the profile {quoted(profile)}, found no {configuration.FILE} with"
                    " [tool.dissever] from here upwards"
                )
        except (OSError, ValueError) as error:
            if {"-h", "--help"}.isdisjoint(args):
                raise click.UsageError(str(error)) from error
        return NOTHING

    def _check(self, said: Configuration) -> None:
        """Raises ValueError for a value that its option has not."""
        context = click.Context(self)
        for option in self.params:
            name = _long(option)
            if name not in said.settings:
                continue
            value, where = said.settings[name], f"{said.places[name]} {name}"
            is_flag = isinstance(option, click.Option) and option.is_flag
            if isinstance(value, bool) is not is_flag:
                expected = "true or false" if is_flag else "text, a number or a list"
                got = str(value).lower() if isinstance(value, bool) else quoted(value)
                raise ValueError(f"{where}: expected {expected}, got {got}")
            try:
                option.type_cast_value(context, value)
            except click.UsageError as error:
                raise ValueError(f"{where}: {error.message}") from error


def _long(option: click.Parameter) -> str:
    """The name of an option, as it is in a file."""
    return (option.name or "").removeprefix("is_").replace("_", "-")


def _elsewhere(ctx: click.Context, name: str) -> str | None:
    """What the environment or the file says."""
    variable = f"{ctx.auto_envvar_prefix}_{name.upper()}" if ctx.auto_envvar_prefix else ""
    return os.environ.get(variable) or (ctx.default_map or {}).get(name)


def _given(args: Sequence[str], option: str) -> str | None:
    """The value of an option among words that nobody has read yet."""
    for word, following in pairwise([*args, ""]):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def _own_words(
    said: Configuration, system: System | None, workload: Workload | None, *, is_checked: bool
) -> dict[str, str]:
    """
    What the file says for the options of the system and the workload.

    Args:
        is_checked: Whether an option that neither of them has is an error. It is not where another
            system was asked for than the file's.
    """
    own = {name: str(value) for name, value in said.own.items()}
    declared = {*(system.options if system else ()), *(workload.options if workload else ())}
    if system is not None and is_checked:
        for name in own:
            if name not in declared:
                owner = f"option of {system.name}"
                what = unknown(owner, name, tuple(sorted(declared)) or ("none",))
                raise click.UsageError(f"{said.places[f'options.{name}']} options: {what}")
    return {_own_name(name): value for name, value in own.items() if name in declared}


def _owners(option: str) -> list[str]:
    """The systems and workloads that declare an option."""
    systems = [name for name in SYSTEMS if option in load(name).options]
    return systems + [name for name, each in WORKLOADS.items() if option in each.options]


def _option(owner: str, name: str, declared: Option) -> click.Option:
    """An option that the system or the workload declares."""

    def keep(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None:
            ctx.meta[_OWN][owner][name] = value

    return click.Option(
        [_own_name(name), f"--{name}"],
        metavar="|".join(declared.choices) or "VALUE",
        expose_value=False,
        callback=keep,
        allow_from_autoenv=False,  # DISSEVER_VERSION is the version of anything.
        help=f"Of the {owner}: {declared.description}.",
    )


def _own_name(name: str) -> str:
    """Of the parameter, so that it is no name of another option."""
    return f"own_{name.replace('-', '_')}"


def shortened(ctx: click.Context, short: Mapping[str, Any]) -> None:
    """
    Where a simulated system is asked for, have other defaults, and those of its own options.

    Args:
        short: Parameter -> its value if nobody gave one.
    """
    reference, backend = ctx.params["system"], ctx.params["backend"]
    if reference is None:
        return
    try:
        system = load(reference)
        is_virtual = Backend(backend or system.backends[0]).is_virtual
    except ValueError:
        return  # `asked` says in its place what was expected.
    if not is_virtual:
        return
    for name, value in short.items():
        if ctx.get_parameter_source(name) is ParameterSource.DEFAULT:
            ctx.params[name] = value
    own = ctx.meta[_OWN]["system"]
    for name, option in system.options.items():
        if option.explored is not None:
            own.setdefault(name, option.explored)


def asked(ctx: click.Context) -> Asked:
    """
    The runs that a command asks for.

    Raises:
        click.UsageError: With what was expected, and what came.
    """
    given = _exclusively(ctx)
    if given["system"] is None:
        raise click.UsageError(
            "expected a SYSTEM, got none: name it (dissever test simulated), or write"
            f' system = "mykv.py" under [tool.dissever] in {configuration.FILE};'
            " `dissever list` shows what there is"
        )
    script, faults = _script(given["plan"], given["faults"])
    count, is_per_node = given["concurrency"]
    seeds = _seeds(given)
    try:
        system = load(given["system"])
        nodes: tuple[str, ...] = given["nodes"] or default_nodes(system)
        options = Options(
            system=given["system"],
            workload=given["workload"],
            faults=faults,
            script=script,
            script_path=str(given["plan"] or ""),
            checkers=given["checker"],
            nodes=nodes,
            backend=Backend(given["backend"] or system.backends[0]),
            rate=given["rate"],
            concurrency=count * len(nodes) if is_per_node else count,
            time_limit_s=given["time_limit"],
            operation_limit_s=given["operation_limit"],
            fault_interval_s=given["fault_interval"],
            seed=seeds[0],
            disk_mb=given["disk_mb"],
            ok_min=given["ok_min"],
            stop_when_dead_s=given["stop_when_dead"],
            recovery_limit_s=given["recovery_limit"],
            on_crash=OnCrash(given["on_crash"]),
            watch_roles=given["watch_roles"],
            workload_options=ctx.meta[_OWN]["workload"],
            system_options=ctx.meta[_OWN]["system"],
        )
        options = planning.checked(options, system)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return Asked(options, system, seeds, given["runs"], bool(given.get("keep_data")))


def _exclusively(ctx: click.Context) -> dict[str, Any]:
    """The values of a command; of each exclusive group the one that was given nearest to it."""
    given = dict(ctx.params)
    for group in EXCLUSIVE:
        names = [each for name in group if (each := name.replace("-", "_")) in given]
        said = {name: ctx.get_parameter_source(name) for name in names if given[name] is not None}
        for source in _NEAREST:
            nearest = [name for name in said if said[name] is source]
            if len(nearest) > 1:
                flags = " or ".join(f"--{name}" for name in group)
                raise click.UsageError(f"expected {flags}, got both")
            if nearest:
                given |= {name: None for name in names if name != nearest[0]}
                break
    return given


def _seeds(given: Mapping[str, Any]) -> tuple[int, ...]:
    """Of each run: those that are named, or one after the other from the first."""
    if given["seeds"] is not None:
        seeds: tuple[int, ...] = given["seeds"]
        return seeds
    first = given.get("seed")
    count = given.get("test_count") or 1
    if first is None:
        return tuple(random.SystemRandom().randrange(1 << 32) for _ in range(count))
    return tuple(range(first, first + count))


def _script(path: Path | None, faults: tuple[str, ...] | None) -> tuple[str, tuple[str, ...]]:
    """The text of a plan, and the faults that the run has."""
    if path is None:
        return "", faults or ()
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_script(text).names
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise click.UsageError(f"{path}: line {line}: expected UTF-8 text, got bytes") from error
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from error


def settings(ctx: click.Context) -> Iterator[Setting]:
    """What a command goes by, option by option, and where it was said."""
    said: Configuration = ctx.meta[_CONFIGURATION]
    given = _exclusively(ctx)
    for option in ctx.command.get_params(ctx):
        name = _long(option)
        if name in NOT_IN_FILES or option.name not in given:
            continue
        source = ctx.get_parameter_source(option.name)
        is_left_out = given[option.name] is None
        word = ParameterSource.DEFAULT if is_left_out or source is None else source
        yield Setting(name, _plain(given[option.name]), _source(word, name, said))
    for owner, name, declared in ctx.meta[_DECLARED]:
        source = ctx.get_parameter_source(_own_name(name)) or ParameterSource.DEFAULT
        value, full = ctx.meta[_OWN][owner].get(name, declared.default), f"options.{name}"
        yield Setting(full, value, _source(source, full, said))


def _plain(value: Any) -> Any:
    """A value of click as JSON."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], bool):
        return f"{value[0]}n" if value[1] else str(value[0])
    return list(value) if isinstance(value, tuple) else value


def _source(source: ParameterSource, name: str, said: Configuration) -> str:
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return f"environment {ENVIRONMENT}_{name.replace('-', '_').upper()}"
    return said.places.get(name, "default") if source is ParameterSource.DEFAULT_MAP else "default"
