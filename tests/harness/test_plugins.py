"""References and registries: what leads to what, and plug-ins that are broken on purpose."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dissever.harness import plugins, references
from dissever.harness.plugins import Kind, Registry
from dissever.harness.references import FILE_BYTES_MAX, label, load_object, read_reference, sha256
from dissever.harness.values import shorten

GOOD = '''
class Thing:
    """A thing."""
    is_thing = True
    name = "my own"
'''

Write = Callable[..., Path]


def fits(value: Any) -> bool:
    return getattr(value, "is_thing", False) is True


def made(value: Any, reference: str) -> Any:
    if not fits(value):
        raise ValueError(f"expected a thing, got {type(value).__name__}")
    return value() if isinstance(value, type) else value


class Ours:
    is_thing = True


def registry() -> Registry[Any]:
    return Registry(Kind("thing", "dissever.things", fits, made), {"ours": Ours()})


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test has its own folder, path and modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(references, "_folders", set())
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    plugins._entries.cache_clear()
    yield
    plugins._entries.cache_clear()
    for name in set(sys.modules) - before:
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def install(folder: Path, package: str, points: str, version: str = "1.2") -> None:
    """A distribution, as an installer leaves it on the path."""
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (info / "METADATA").write_text(text, encoding="utf-8")
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    plugins._entries.cache_clear()


def refused(reference: str) -> str:
    """The one line that says why."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - The caller looks at the message.
        registry().find(reference)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("mykv.py", ("mykv.py", "", True)),
        ("dir/mykv.py:MyKv", ("dir/mykv.py", "MyKv", True)),
        ("/a b/c:d/my.py:A.B", ("/a b/c:d/my.py", "A.B", True)),
        ("x.py/y.py", ("x.py/y.py", "", True)),
        ("package.module:Name", ("package.module", "Name", False)),
        ("ours", None),
        ("package.module", None),
        ("3:x", None),
    ],
)
def test_a_reference_is_read(text: str, parts: tuple[str, str, bool] | None) -> None:
    found = read_reference(text)

    assert (found and (found.place, found.name, found.is_file)) == parts


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("dqlite", "dqlite"),
        ("dir/mykv.py", "mykv"),
        ("mykv.py:MyKv", "MyKv"),
        ("package.module:Name", "Name"),
        ("../a b.py", "a-b"),
        ("deploy/compose.yaml", "compose"),
        ("..", "unnamed"),
    ],
)
def test_a_reference_is_labelled_as_a_folder_can_be(text: str, name: str) -> None:
    assert label(text) == name


@pytest.mark.parametrize("name", ["mine.py", "a b/c:d e.py", "ünï.py", "with-dash.v2.py"])
def test_a_file_is_found_by_its_path(write: Write, name: str) -> None:
    path = write(name, GOOD)

    for reference in (name, f"./{name}", str(path), f"{name}:Thing", f"{name}:my own"):
        assert type(registry().find(reference)).__name__ == "Thing"
    assert registry().origin(name) == name
    assert registry().version(name) == f"sha256:{sha256(path)}"


def test_a_file_is_executed_once(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("loud.py", 'print("loaded")\n' + GOOD)

    first, second = registry().find("loud.py"), registry().find("./loud.py:Thing")

    assert type(first) is type(second)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "loaded\n")


def test_helpers_beside_a_file_can_be_imported_early_and_late(write: Write) -> None:
    write("kv/late_helper.py", "ANSWER = 42\n")
    write("kv/early_helper.py", "ANSWER = 41\n")
    text = "import early_helper\n" + GOOD
    write(
        "kv/it.py",
        text
        + "    def late(self):\n        import late_helper\n        return late_helper.ANSWER\n",
    )

    assert registry().find("kv/it.py").late() == 42
    assert sys.path[-1].endswith("kv")  # So that it hides nothing.


def test_helpers_of_one_name_are_not_taken_for_each_other(write: Write) -> None:
    for folder in ("a", "b"):
        write(f"{folder}/shared_helper.py", f"NAME = '{folder}'\n")
        write(f"{folder}/it.py", "import shared_helper\n" + GOOD)
    registry().find("a/it.py")

    assert "the module shared_helper beside it has the name of" in refused("b/it.py")


def test_a_module_is_found_by_its_name_from_the_current_directory(write: Write) -> None:
    write("own_package/__init__.py", "")
    write("own_package/things.py", GOOD)

    assert type(registry().find("own_package.things:Thing")).__name__ == "Thing"
    assert registry().origin("own_package.things:Thing") == "own_package.things"
    assert registry().version("own_package.things:Thing").startswith("sha256:")  # type: ignore[union-attr]


def test_what_a_plug_in_imported_of_ours_is_not_meant(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = registry()
    stand_in = ModuleType("of_ours")
    stand_in.OURS = own.own["ours"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "of_ours", stand_in)
    write("imports.py", "from of_ours import OURS\n" + GOOD)

    assert type(own.find("imports.py")).__name__ == "Thing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0\n", "x.py: line 1: ZeroDivisionError: division by zero"),
        ("\n\nimport sys\nsys.exit('no')\n", "x.py: line 4: it ends the program (SystemExit: no)"),
        ("def f(:\n", "x.py: line 1: SyntaxError: invalid syntax"),
        ("raise ValueError('a\\nb\\x1b[31m')\n", "x.py: line 1: ValueError: a b\\x1b[31m"),
        ("import nonexistent_module_x\n", "ModuleNotFoundError: No module named 'nonexistent"),
        ("x = 'abc\n", "x.py: line 1: SyntaxError: unterminated string literal"),
        ("\0", "x.py: "),
        ("def f():\n    f()\nf()\n", "x.py: line 2: RecursionError"),
        ("", "x.py: expected a thing, found none"),
        ("class A:\n    pass\n", "x.py: expected a thing, found none"),
        (
            GOOD + GOOD.replace("Thing", "Other"),
            "x.py: expected one thing, found Thing, Other",
        ),
        (GOOD.replace("True", "1 / 0"), "x.py: line 4: ZeroDivisionError"),
        (GOOD + "    def __init__(self, needed): pass\n", "x.py: it cannot be made: TypeError"),
        (
            GOOD + "    def __init__(self): raise SystemExit(3)\n",
            "it cannot be made: SystemExit: 3",
        ),
    ],
)
def test_a_broken_file_is_one_line(write: Write, text: str, message: str) -> None:
    write("x.py", text)

    assert message in refused("x.py")
    assert registry().find("ours")


def test_a_broken_file_is_executed_once_too(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    write("x.py", "print('once')\n1 / 0\n")

    assert refused("x.py") == refused("x.py:Thing")
    assert capsys.readouterr().err == "once\n"


def test_a_file_that_asks_for_itself_is_refused(write: Write) -> None:
    text = (
        "from dissever.harness.references import load_object\n"
        "load_object('self.py', 'thing', lambda _: True)\n"
    )
    write("self.py", text)

    assert "it asks for itself while it is being loaded" in refused("self.py")


def test_modules_that_import_each_other_are_one_line(write: Write) -> None:
    write("circle.py", "import half_a_circle\n")
    write("half_a_circle.py", "from other_half import A\nB = 1\n")
    write("other_half.py", "from half_a_circle import B\nA = 1\n")

    assert refused("circle.py").startswith("circle.py: line 1: ImportError: cannot import name 'B'")


def test_an_interrupt_passes_and_the_file_can_be_loaded_again(write: Write) -> None:
    write(
        "slow.py",
        "import os\nif not os.environ.get('AGAIN'):\n    raise KeyboardInterrupt\n" + GOOD,
    )

    with pytest.raises(KeyboardInterrupt):
        registry().find("slow.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGAIN", "1")
        assert registry().find("slow.py")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    os.mkfifo(tmp_path / "pipe.py")
    with (tmp_path / "huge.py").open("wb") as huge:
        huge.truncate(FILE_BYTES_MAX + 1)

    assert refused("folder.py") == "expected a Python file, got the directory folder.py"
    assert refused("gone.py") == "expected a Python file, found none at gone.py"
    assert refused("pipe.py") == "expected a Python file, found none at pipe.py"
    Path("loop.py").symlink_to("loop.py")
    assert refused("loop.py") == "expected a Python file, found none at loop.py"
    assert refused("huge.py").startswith("huge.py: expected a Python file of at most 4,194,304")
    assert "cannot be read: File name too long" in refused(f"{'x' * 5000}.py")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("our", "expected a thing out of ours, got 'our'; did you mean ours?"),
        ("our:leader", "expected a thing out of ours, got 'our:leader'"),
        ("no.such:Thing", "expected an importable module, found no no"),
        ("mine.py:Thng", "mine.py: expected a thing named Thng, found none; it has Thing"),
        ("mine.py:__doc__", "mine.py:__doc__: expected a thing, got NoneType"),
        ("mine", "got 'mine'; there is a file mine.py: say mine.py"),
        ("", "expected a thing out of ours, got ''"),
    ],
)
def test_what_leads_nowhere_is_one_line(write: Write, reference: str, message: str) -> None:
    write("mine.py", GOOD)

    assert message in refused(reference)


def test_a_plain_class_is_loaded_for_whoever_asks(write: Write) -> None:
    write("clients.py", "class Kv:\n    def read(self, key): return 1\n")

    found = load_object("clients.py", "client", lambda each: hasattr(each, "read"))

    assert found.__name__ == "Kv"
    with pytest.raises(ValueError, match="expected a client named Other, found none; it has Kv"):
        load_object("clients.py:Other", "client", lambda each: hasattr(each, "read"))


def test_an_entry_point_is_a_name(tmp_path: Path, write: Write) -> None:
    write("site/their_things.py", GOOD)
    install(tmp_path / "site", "their", "[dissever.things]\ntheirs = their_things:Thing\n")
    found = registry()

    assert type(found.find("theirs")).__name__ == "Thing"
    assert found.origin("theirs") == "their 1.2"
    assert found.version("theirs") == "their 1.2"
    assert (found.origin("ours"), found.version("ours")) == ("dissever", None)
    assert list(found) == ["ours", "theirs"]
    assert len(found) == 2
    assert "expected a thing out of ours, theirs, got 'their'" in refused("their")


def test_broken_entry_points_are_a_line_each_and_the_others_work(
    tmp_path: Path, write: Write
) -> None:
    write("site/fine.py", GOOD)
    write("site/raises.py", "1 / 0\n")
    write("site/exits.py", "raise SystemExit(3)\n")
    points = (
        "[dissever.things]\nfine = fine:Thing\nraises = raises:Thing\nexits = exits\n"
        "gone = no_such_module:Thing\nwrong = fine:__name__\nours = fine:Thing\n"
    )
    install(tmp_path / "site", "many", points)
    install(tmp_path / "site", "other", "[dissever.things]\nboth = fine:Thing\n", "0.1")
    install(tmp_path / "site", "second", "[dissever.things]\nboth = fine:Thing\n", "2")
    install(tmp_path / "site", "garbage", "this is no\nentry [[[ point file\n")
    found = registry()

    assert list(found) == ["ours", "fine"]
    assert isinstance(found.find("ours"), Ours)
    assert found.broken() == {
        "both": "both: other 0.1 and second 2: 2 packages have that name; say fine:Thing",
        "exits": f"exits: many 1.2: {shorten(f'{tmp_path}/site/exits.py')}: line 1: it ends the"
        " program (SystemExit: 3) while it is being loaded",
        "gone": "gone: many 1.2: no_such_module:Thing: expected an importable module, found no"
        " no_such_module",
        "ours": "ours: many 1.2: the name is ours; refer to it as fine:Thing",
        "raises": f"raises: many 1.2: {shorten(f'{tmp_path}/site/raises.py')}: line 1:"
        " ZeroDivisionError: division by zero",
        "wrong": "wrong: many 1.2: expected a thing, got str",
    }
    assert refused("raises") == found.broken()["raises"]
