"""
Generators decide what is invoked next, and never do it.

`docs/generators.md` shows each of these in a line; `core` says what a generator is.
"""

from dissever.harness.generator.core import (
    NOTHING,
    PENDING,
    Answer,
    Context,
    Generator,
    Log,
    Sleep,
    Step,
    Thread,
)
from dissever.harness.generator.keys import concurrent_keys, sequential_keys, then_with_keys
from dissever.harness.generator.lift import generator
from dissever.harness.generator.pace import cycle_times, delay, rate, stagger, time_limit
from dissever.harness.generator.sequences import (
    cycle,
    flip_flop,
    lazy,
    limit,
    log,
    once,
    phases,
    repeat,
    sleep,
    synchronize,
    until_ok,
)
from dissever.harness.generator.threads import (
    any_of,
    clients,
    concurrency_limit,
    each_process,
    each_thread,
    mix,
    nemesis,
    on_threads,
    process_limit,
    reserve,
    shortest_any,
    timetable,
)
from dissever.harness.generator.transforms import (
    GeneratorError,
    f_map,
    filter_invocations,
    map_invocations,
    on_update,
    trace,
    validated,
)

__all__ = [  # noqa: RUF022 - By groups, as in docs/generators.md.
    # What stands for a generator.
    "generator", "lazy",
    # Limits and repetition.
    "limit", "once", "repeat", "cycle", "time_limit", "until_ok", "process_limit",
    "concurrency_limit",
    # One after another.
    "phases", "synchronize", "flip_flop", "sleep", "log",
    # Pace.
    "rate", "stagger", "delay", "cycle_times",
    # At the same time.
    "any_of", "shortest_any", "mix",
    # Who does it.
    "clients", "nemesis", "on_threads", "each_thread", "each_process", "reserve",
    "timetable",
    # Keys.
    "concurrent_keys", "sequential_keys", "then_with_keys",
    # What passes.
    "map_invocations", "f_map", "filter_invocations", "on_update", "trace",
    # To write one's own.
    "Answer", "Context", "Generator", "GeneratorError", "Log", "NOTHING", "PENDING", "Sleep",
    "Step", "Thread", "validated",
]  # fmt: skip
