"""The loader on damaged files, under sanitizers: it reads or refuses, and never more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from dissever.native.load import LoadError, load

TESTS = Path(__file__).resolve().parent
SOURCES = TESTS.parent.parent / "native"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wstrict-prototypes", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

SEEDS = {
    "json": r"""{"index":0,"time":1,"process":0,"type":"invoke","f":"cas","value":[1,2],"key":"k"}
{"index":1,"time":1,"process":"p","type":"info","f":"kill","value":{"to":["n1"]},"other":[{}]}
{"index":2,"time":9,"process":0,"type":"info","f":"cas","error":["t",-1.5e-9],"node":"n1"}
{"index":4,"time":9,"process":1,"type":"invoke","f":"r","value":{"a":1,"b":"\u00e9é\ud83d\ude00"}}
{"index":5,"time":9,"process":1,"type":"ok","f":"r","value":[true,false,null,12345678901234567890]}
""",
    "array": r"""[
  {"type": "invoke", "f": "read", "process": 0, "value": [1, {"a": null}]},
  {"type": "info", "value": [1, {"b": "\u00e9"}], "f": "start", "process": "nemesis"},
  {"process": "nemesis", "type": "info", "f": "stop", "value": {"to": [1.5e3]}, "error": ["x"]},
  {"type": "ok", "f": "read", "process": 0, "value": [], "time": 9, "node": "n1"}
]
""",
    "edn": r"""{:index 0 :time 5 :process 0 :type :invoke :f :cas :value [7 [1 2]] :node "n1"}
{:index 1 :time 6 :process :nemesis :type :info :f :start :value {:a #{1}}}
{:value [1 2 3] :type :info :f :stop :process :nemesis :node "n1" :error [:no] :key 7}
{:index 9 :time 7 :process 0 :type :fail :f :cas :value [7 [1 2]] :error :timeout}
""",
    "knossos": r"""; comment
[{:process 0, :type :invoke, :f :txn, :value [1/3 #{2.5M \newline \u00e9 "a\\"} #_ [9 {}] :k]}
 #tag {:type :ok, :f :txn, :process 0N, :value {:a (true false), 1 nil, "b" 1234567890123456789012}}
 {:process 1, :type :invoke, :f "w", :link nil}]
""",
    "etcd": """INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - :nemesis :info :start nil
INFO  jepsen.util - 1 :invoke :read nil
INFO  jepsen.util - 0 :info :cas :timed-out
INFO  jepsen.util - 1 :ok :read 3
""",
    "log": """2026-01-01 10:00:00\tINFO\t[worker 0] jepsen.util: 0\t:invoke\t:cas\t[7 [1 2]]
\tat clojure.core
2026-01-01 10:00:00\tINFO\t[worker n] jepsen.util: :nemesis\t:info\t:kill\t#{n1}
{"process": "c1", "type": "invoke", "f": "read", "value": null}
{:process "c1", :type :ok, :f :read, :value #{2 1}}
0\t:info\t:cas\t[7 [1 2]]\tlost (n1
""",
    "tuples": """^{:a 1} [[0 :invoke :cas {:old 1 :new ##Inf}] [0 :info :cas {:old 1 :new ##Inf}]
 [0 :invoke :read [7 nil]] [:nemesis :info :start 0x1F] [0 :ok :read [7 {[1] #"x"}] :late]]
""",
    "pretty": """{
  "process": "c1", "type": "invoke", "f": "cas", "time": 5,
  "value": {"key": 3, "old": NaN, "new": [-Infinity]}
}
{"process": "c1", "type": "ok", "time": 4, "f": "cas", "value": [3, [1, 2]], "index": 7}
{"process": 8, "type": "invoke", "f": "cas", "value": [[1], 2, 3]}
""",
    "append": r"""{:process 0 :type :invoke :f :txn :value [[:r 1 nil] [:append 1 2]]}
{:process 0 :type :ok :f :txn :value [[:r 1 []] [:append 1 2]]}
{:process 1 :type :invoke :f :txn :value [[:r 1 [2]] [:r "a" nil] [:w :x 1]]}
{:process 1 :type :ok :f :txn :value [[:r 1 [2]] [:r "a" (1 "b")] [:w :x 1]]}
{:process 2 :type :invoke :f :txn :value [[:r 1 nil] [:r "a" nil]]}
{:value [[:r 1 [2 3 12]] [:r "a" [1 "c" nil]]] :process 2 :type :ok :f :txn}
{:process 2 :type :invoke :value [[:r 1 nil] [:r "a" nil]]}
{:process 2 :type :ok :value [[:r 1 [2 3 12 123]] [:r "a" [1 "c" nil #{1} 4]]]}
{:process 3 :type :invoke :f :txn :value [[:r 1 [2 4]] [:r 1 nil]]}
{:process 3 :type :info :f :txn :value [[:r 1 [2 3]] [:r 1 5]]}
{:process :nemesis :type :info :f :kill :value [[:r 1 2]]}
""",
    "wr": r"""{"index":0,"time":1,"process":0,"type":"invoke","f":"txn","value":[["w","x",1]]}
{"index":1,"time":1,"process":0,"type":"ok","f":"txn","value":[["w","x",1]]}
{"process":7,"type":"invoke","f":"txn","value":[["r","x",7],["r","y",null]]}
{"value":[["r","x",null]],"process":1,"type":"invoke","f":"txn"}
{"value":[["r","x",[1,[2],"3"]]],"process":1,"type":"ok","f":"txn"}
{"process":"c","type":"invoke","f":"txn","value":[["r","x",null],["append","x",4]]}
{"process":"c","type":"fail","f":"txn","value":[["r","x",[1,[2],"3",4]],["append","x",4]]}
""",
    "dbcop": """{"params": {}, "data": [[{"events": [{"Write": {"variable": 0, "version": 1}}]
 , "committed": true},
  {"committed": false, "events": [{"Read": {"variable": 1, "version": null}}]}],
 [{"events": [{"Read": {"variable": 0, "version": 0}}]}]]}
""",
    "dbcop text": """// a comment
[x:=1 y==2 1==?] [x==1]!
---
[]
[y:=-12]
""",
    "plume": """w(1,5,0,0)
r(1, 0, 0, 0)
r(1,5,1,-1)
w(-2,999999999999999999,1,3)
""",
    "kv": r"""{:process 0, :type :invoke, :f :append, :key "7", :value "x 0 3 y"}
{:process 1, :type :invoke, :f :get, :key "7", :value nil}
{:process 1, :type :ok, :f :get, :key "7", :value "x 0 3 y"}
""",
}


def _compiled(folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = folder / "fuzz_load"
    folders = [SOURCES / unit for unit in ("load", "columns")]
    files = [TESTS / "fuzz_load.c", *sorted(folders[0].glob("*.c"))]
    wrapped = ",".join(f"--wrap={name}" for name in ("malloc", "calloc", "realloc"))
    options = ["-std=c11", "-O1", "-g", f"-Wl,{wrapped}", *(f"-I{folder}" for folder in folders)]
    command = [compiler, *options, *files, "-o", program]
    # A check of its own: with sanitizers, a compiler warns of more than it does for users.
    subprocess.run([*command, "-O2", *WARNINGS], check=True)
    sanitized = subprocess.run([*command, *SANITIZERS], capture_output=True, check=False)
    if sanitized.returncode != 0:
        pytest.skip("the compiler has no sanitizers")
    return program


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    program = _compiled(tmp_path)
    for name, text in SEEDS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    done = subprocess.run(
        [program, "200000", "1", *(tmp_path / name for name in SEEDS)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", done.stdout)}
    assert counts["violations"] == 0
    kinds = ("ok", "syntax", "malformed", "memory", "nemeses", "transactions", "rows")
    assert min(counts[kind] for kind in kinds) > 1000


@pytest.mark.parametrize("name", ["json", "array"])
def test_what_is_kept_as_it_was_written_can_be_decoded(name: str) -> None:
    """C checks the JSON of a nemesis; Python decodes it later, and must find nothing wrong."""
    tokens = ["[", "]", "{", "}", ",", ":", '"', "\\u00e9", "\\ud800", "-", "0", "1e9", "null", " "]
    rng, kept = Random(1), 0
    for _ in range(20_000):
        text = SEEDS[name]
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(text))
            text = text[:at] + rng.choice(tokens) + text[at + rng.randrange(3) :]
        try:
            loaded = load(text.encode())
        except LoadError:
            continue
        kept += len(list(loaded.nemesis_events()))

    assert kept > 1000
