"""The command `gc`: remove runs that nobody needs any more."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from dissever.commands.choosing import FOLDER, Age, Size, query_of, query_options
from dissever.commands.output import EXIT_FAILED, print_json, say, tell
from dissever.harness import store
from dissever.harness.values import count_text, printable
from dissever.runs import Index, Query, Stored, index
from dissever.runs.pruning import Choice, Rule, choose, weight_bytes
from dissever.runs.removal import remove, remove_data, sweep
from dissever.runs.units import age_text, size_text

SHOWN: Final = 10


@click.command(short_help="Remove old runs, or the data of their nodes.")
@FOLDER
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Keep the N newest runs.")
@click.option("--older-than", type=Age(), metavar="AGE", help="Only runs older than this: 30d.")
@click.option(
    "--max-size",
    type=Size(),
    metavar="SIZE",
    help="Only the oldest runs, until those that are left take no more than this: 5G.",
)
@query_options
@click.option(
    "--data-only",
    is_flag=True,
    help="Remove only data directories of nodes. Runs, and logs of their nodes, stay; sizes and"
    " --max-size are then those of the data.",
)
@click.option("--invalid-too", is_flag=True, help="Also runs that are invalid.")
@click.option("--unjudged-too", is_flag=True, help="Also runs without a verdict that can be read.")
@click.option("--latest-too", is_flag=True, help="Also the run that `latest` leads to.")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="Print what was done as JSON, and only that.")
def gc(
    folder: Path,
    keep: int | None,
    older_than: float | None,
    max_size: int | None,
    data_only: bool,
    invalid_too: bool,
    unjudged_too: bool,
    latest_too: bool,
    dry_run: bool,
    is_sure: bool,
    is_json: bool,
    **chosen: Any,
) -> int:
    """
    Remove runs of a folder: runs/ by default. A run goes only if every option that is given holds
    for it.

    \b
    dissever gc --keep 20                          all but the 20 newest
    dissever gc --older-than 30d --verdict valid
    dissever gc --max-size 5G --yes                in CI: nobody is asked
    dissever gc --older-than 2d --data-only        keeps runs, reports and logs
    dissever gc --keep 0 --invalid-too --dry-run

    A run that goes on is never removed. A run that is invalid stays, and so do one without a
    verdict and the one that `latest` leads to, unless an option says otherwise. No link is
    followed. It asks before it removes anything, unless --yes is given.

    Exit status: 0 all that was to go is gone, 3 some of it is not, 64 wrong usage.
    """
    query = query_of(chosen)
    if keep is None and older_than is None and max_size is None and query == Query():
        raise click.UsageError("say what may go: --keep, --older-than, --max-size, or which runs")
    _check(query, invalid_too=invalid_too, unjudged_too=unjudged_too)
    rule = Rule(
        query=query,
        keep=keep,
        before=None if older_than is None else _before(older_than),
        bytes_max=max_size,
        data_only=data_only,
        invalid_too=invalid_too,
        unjudged_too=unjudged_too,
        latest_too=latest_too,
    )
    try:
        with store.locked(folder, f"{folder}: another dissever gc is at work"):
            return _collect(folder, rule, is_dry=dry_run, is_sure=is_sure, is_json=is_json)
    except OSError as error:
        where = "" if error.filename is None else f"{error.filename}: "
        raise click.ClickException(f"{where}{error.strerror or error}") from error


def _check(query: Query, *, invalid_too: bool, unjudged_too: bool) -> None:
    """What is asked for and protected at once would silently stay."""
    for word, is_too, option in (
        ("invalid", invalid_too, "--invalid-too"),
        ("none", unjudged_too, "--unjudged-too"),
    ):
        if word in query.verdicts and not is_too:
            raise click.UsageError(f"--verdict {word} removes such runs only with {option}")


def _before(older_than_s: float) -> datetime:
    try:
        return datetime.now(UTC) - timedelta(seconds=older_than_s)
    except OverflowError:  # Before there were years.
        return datetime.min.replace(tzinfo=UTC)


def _collect(folder: Path, rule: Rule, *, is_dry: bool, is_sure: bool, is_json: bool) -> int:
    """Choose, ask, remove, and say what came of it."""
    found = index(folder)
    choice = choose(found, rule)
    if not is_json:
        _show(choice, rule, is_dry=is_dry)
    is_agreed = is_dry or is_sure or not choice.go or _is_agreed(is_json=is_json)
    if not is_agreed:
        tell("nothing was removed")
        return 0
    swept = 0 if is_dry else sweep(folder)
    failed = [] if is_dry else _remove(folder, choice, rule, found)
    gone = [run for run in choice.go if run.path not in dict(failed)]
    freed = sum(weight_bytes(run, data_only=rule.data_only) for run in gone)
    if is_json:
        print_json(
            {
                "removed": [] if is_dry else [printable(run.path) for run in gone],
                "would_remove": [printable(run.path) for run in gone] if is_dry else [],
                "freed_bytes": 0 if is_dry else freed,
                "kept": dict(choice.stay),
                "failed": {printable(path): printable(why) for path, why in failed},
            }
        )
    elif not is_dry and (gone or failed):
        what = "the data of " if rule.data_only else ""
        say(f"removed {what}{count_text(len(gone), 'run')}, {size_text(freed)}")
    for path, why in failed:
        tell(printable(f"{path} could not be removed: {why}"))
    if swept:
        tell(f"went on with {count_text(swept, 'removal')} that had been cut short")
    return EXIT_FAILED if failed else 0


def _show(choice: Choice, rule: Rule, *, is_dry: bool) -> None:
    """What would go, and what stays with the reasons."""
    now = datetime.now(UTC)
    for run in choice.go[:SHOWN]:
        size = size_text(weight_bytes(run, data_only=rule.data_only))
        age = age_text((now - run.started_at).total_seconds())
        say(printable(f"{size:>8}  {age:<15} {run.path}"))
    if len(choice.go) > SHOWN:
        say(f"and {len(choice.go) - SHOWN:,} more")
    if choice.stay:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in choice.stay.most_common())
        say(f"kept: {reasons}")
    if not choice.go:
        say("nothing to remove")
    elif is_dry:
        freed = size_text(choice.freed_bytes(data_only=rule.data_only))
        what = "the data of " if rule.data_only else ""
        say(f"would remove {what}{count_text(len(choice.go), 'run')}, {freed}")


def _is_agreed(*, is_json: bool) -> bool:
    """
    Ask.

    Raises:
        click.UsageError: When there is nobody to ask.
    """
    if is_json or not sys.stdin.isatty():
        why = "--json asks no question" if is_json else "there is no terminal to ask on"
        raise click.UsageError(f"{why}: use --yes to remove, or --dry-run to list what would go")
    return click.confirm("Remove them?", default=False, err=True)


def _remove(folder: Path, choice: Choice, rule: Rule, found: Index) -> list[tuple[str, str]]:
    """Remove what was chosen. Returns: the paths that could not be removed, with the reasons."""
    failed = []
    for run in choice.go:
        try:
            (remove_data if rule.data_only else remove)(folder, run.path)
        except (OSError, RecursionError) as error:
            failed.append((run.path, getattr(error, "strerror", None) or str(error)))
    if not rule.data_only:
        _lead_latest(folder, found, gone={run.path for run in choice.go} - dict(failed).keys())
    return failed


def _lead_latest(folder: Path, found: Index, gone: set[str]) -> None:
    """Let `latest` lead to the newest run that is left, if the one that it led to is gone."""
    if found.latest not in gone:
        return
    left: list[Stored] = [run for run in found.runs if run.path not in gone]
    if left:
        store.point_latest(folder, folder / left[0].path)
    else:
        (folder / store.LATEST).unlink(missing_ok=True)
