"""
Which address is answered with what.

    /                      the list; filters, order and page are its query
    /run/PATH              a run: facts, files, what to compare it with
    /report/PATH           its report, with an origin of its own
    /file/PATH             a file of a run as plain text; `?tail=N` or the header Range for a part
    /live/PATH             a run that goes on; `/part/PATH` is what its page fetches each second
    /state/PATH            the same as JSON
    /compare?run=A&run=B   two runs
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from dissever.harness import store
from dissever.harness.values import count_text
from dissever.runs import LATEST, Index, Stored, index, inside, look
from dissever.runs.live import Watched
from dissever.runs.reading import Whole, files_of, read_whole
from dissever.web import answers, ranges
from dissever.web.addresses import path_of, quoted_path
from dissever.web.answers import Answer, Part, Request, refusal
from dissever.web.comparing import view as comparison_view
from dissever.web.lists import FIELDS, Asked, listing
from dissever.web.living import view as live_view
from dissever.web.pages import render, script, style

log = logging.getLogger(__name__)

INDEX_S: Final = 1.0
INDEX_SHARE: Final = 4
"""
The index stays as it is for INDEX_S at least, and for this many times the time that it took. So a
folder of many runs does not keep the processor busy.
"""

WATCHED_MAX: Final = 16
"""Runs that are watched at a time; the one that was not looked at for longest is forgotten."""

WHOLES_MAX: Final = 8
FIELDS_MAX: Final = 40
OTHERS_MAX: Final = 50
TEXTS: Final = (".log", ".json", ".jsonl", ".yaml", ".yml", ".txt", ".xml", ".html", ".edn", ".md")


class Site:
    """All that can be asked about a folder of runs. Threads may ask at the same time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._index: tuple[float, Index] | None = None
        """Until when it counts, and the index."""

        self._watched: OrderedDict[str, Watched] = OrderedDict()
        self._wholes: OrderedDict[tuple[str, int, int], Whole] = OrderedDict()
        self._routes: Mapping[str, Callable[[str, Request], Answer]] = {
            "run": self._run,
            "report": self._report,
            "file": self._file,
            "live": self._live,
            "part": self._part,
            "state": self._state,
        }

    def answer(self, request: Request) -> Answer:
        """Answer a request; whatever it is, nothing is changed."""
        try:
            return self._answer(request)
        except inside.NotInside:
            return refusal(HTTPStatus.NOT_FOUND, "there is nothing here")
        except OSError as error:
            return refusal(HTTPStatus.NOT_FOUND, error.strerror or "it cannot be read")
        except ranges.Unsatisfiable as error:
            return refusal(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, str(error))

    def _answer(self, request: Request) -> Answer:
        kind, _, rest = request.path.removeprefix("/").partition("/")
        if request.path == "/":
            return self._list(request)
        if request.path == "/compare":
            return self._compare(request)
        if request.path == "/style.css":
            return Answer(content=style(), content_type="text/css; charset=utf-8")
        if request.path == "/script.js":
            return Answer(content=script(), content_type="text/javascript; charset=utf-8")
        if kind in self._routes and rest:
            return self._routes[kind](rest.removesuffix("/"), request)
        return refusal(HTTPStatus.NOT_FOUND, "there is nothing here")

    # Pages.

    def _list(self, request: Request) -> Answer:
        found = self._found()
        fields = dict(_fields(request))
        asked = Asked(
            {name: fields[name] for name in (*FIELDS, "sort", "page") if fields.get(name)}
        )
        now = datetime.now(UTC)
        return _page(
            "list.html",
            listing=listing(found.runs, asked, now),
            latest=found.latest,
            troubles=found.troubles,
            now=now,
            folder=str(self._root),
        )

    def _run(self, quoted: str, request: Request) -> Answer:
        run = self._stored(quoted)
        if quoted == LATEST:
            return _redirect(f"/run/{quoted_path(run.path)}")
        files, are_more = files_of(self._root, run.path)
        others = [
            each
            for each in self._found().runs
            if each.path != run.path and (each.system, each.workload) == (run.system, run.workload)
        ]
        return _page(
            "run.html",
            run=run,
            files=files,
            are_more=are_more,
            has_report=any(file.path == store.REPORT for file in files),
            others=others[:OTHERS_MAX],
            now=datetime.now(UTC),
        )

    def _compare(self, request: Request) -> Answer:
        paths = [path_of(value) for name, value in _fields(request) if name == "run" and value]
        paths = [found.path if (found := self._found().find(each)) else each for each in paths]
        if len(paths) != 2:
            why = f"expected two runs, got {count_text(len(paths), 'run')}: choose two in the list"
            return refusal(HTTPStatus.BAD_REQUEST, why)
        a, b = (self._whole(path) for path in paths)
        return _page("compare.html", view=comparison_view(a, b), now=datetime.now(UTC))

    def _live(self, quoted: str, request: Request) -> Answer:
        run = self._stored(quoted)
        if quoted == LATEST:
            return _redirect(f"/live/{quoted_path(run.path)}")
        view = live_view(run, self._watch(run.path).look())
        return _page("live.html", run=run, view=view)

    def _part(self, quoted: str, request: Request) -> Answer:
        run = self._stored(quoted)
        return _page("living.html", run=run, view=live_view(run, self._watch(run.path).look()))

    def _state(self, quoted: str, request: Request) -> Answer:
        run = self._stored(quoted)
        content = msgspec.json.encode(self._watch(run.path).look())
        return Answer(content=content, content_type=answers.JSON, policy=answers.NOTHING)

    # Files.

    def _report(self, quoted: str, request: Request) -> Answer:
        run = self._stored(quoted)
        descriptor = self._open(f"{run.path}/{store.REPORT}")
        part = Part(descriptor, 0, os.fstat(descriptor).st_size)
        return Answer(content=part, content_type=answers.HTML, policy=answers.REPORT)

    def _file(self, quoted: str, request: Request) -> Answer:
        path = path_of(quoted)
        if not self._is_of_run(path):
            raise inside.NotInside("it is no file of a run")
        descriptor = self._open(path)
        try:
            size = os.fstat(descriptor).st_size
            tail = dict(_fields(request)).get("tail", "")
            span = ranges.of_tail(tail, size)
            is_part = span is None and bool(request.range_) and size > 0
            if is_part:
                span = ranges.of_header(request.range_, size)
            start, length = span or (0, size)
        except BaseException:
            os.close(descriptor)
            raise
        is_text = path.endswith(TEXTS)
        headers: tuple[tuple[str, str], ...] = (("Accept-Ranges", "bytes"),)
        if not is_text:
            headers += (("Content-Disposition", "attachment"),)
        if is_part and span is not None:
            headers += (("Content-Range", f"bytes {start}-{start + length - 1}/{size}"),)
        return Answer(
            content=Part(descriptor, start, length),
            content_type=answers.TEXT if is_text else answers.BYTES,
            status=HTTPStatus.PARTIAL_CONTENT if is_part and span is not None else HTTPStatus.OK,
            policy=answers.NOTHING,
            headers=headers,
        )

    # What is read.

    def _found(self) -> Index:
        """The index, which may be a little old."""
        with self._lock:
            began = time.monotonic()
            if self._index is None or began > self._index[0]:
                found = index(self._root)
                now = time.monotonic()
                self._index = (now + max(INDEX_S, INDEX_SHARE * (now - began)), found)
            return self._index[1]

    def _stored(self, quoted: str) -> Stored:
        """The run that an address means; `latest` is one. Raises OSError."""
        path = path_of(quoted)
        if path == LATEST:
            path = self._found().latest
            if not path:
                raise inside.NotInside("latest leads to no run")
        return look(self._root, path)

    def _is_of_run(self, path: str) -> bool:
        """Whether a folder above this file is a run, so that only files of runs are shown."""
        with inside.opened(self._root) as root:
            above = path
            while above := above.rpartition("/")[0]:
                try:
                    os.close(inside.open_path(root, f"{above}/{store.PLAN}"))
                except OSError:
                    continue
                return True
        return False

    def _open(self, path: str) -> int:
        with inside.opened(self._root) as root:
            return inside.open_path(root, path)

    def _watch(self, path: str) -> Watched:
        with self._lock:
            watched = self._watched.pop(path, None) or Watched(self._root, path)
            self._watched[path] = watched
            if len(self._watched) > WATCHED_MAX:
                self._watched.popitem(last=False)
            return watched

    def _whole(self, path: str) -> Whole:
        """A run that was read before is not read again, unless its history or results changed."""
        with self._reading:  # One at a time: a history may be large.
            with inside.opened(self._root) as root, inside.folder(root, path) as run:
                names = (store.HISTORY, store.RESULTS)
                history, results = (_changed_ns(run, name) for name in names)
            key = (path, history, results)
            whole = self._wholes.pop(key, None) or read_whole(self._root, path)
            self._wholes[key] = whole
            if len(self._wholes) > WHOLES_MAX:
                self._wholes.popitem(last=False)
            return whole


def _changed_ns(run: int, name: str) -> int:
    try:
        return os.stat(name, dir_fd=run, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _fields(request: Request) -> list[tuple[str, str]]:
    try:
        return parse_qsl(request.query, errors="replace", max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise inside.NotInside("too many fields") from error


def _page(template: str, **values: object) -> Answer:
    return Answer(content=render(template, **values), content_type=answers.HTML)


def _redirect(place: str) -> Answer:
    return Answer(
        content=b"",
        content_type=answers.TEXT,
        status=HTTPStatus.FOUND,
        headers=(("Location", place),),
    )
