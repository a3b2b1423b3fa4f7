"""
What came of each object, and the one result that they make together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from dissever.harness.history import Key
from dissever.harness.results import Anomaly, Result, Verdict
from dissever.harness.values import count_text, show

ANOMALIES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What came of one key; `because` says why `engine` was the one to ask.

    `is_doubted`: an engine called it valid or invalid, and another or the validator disagrees.
    `is_exhausted`: it ran out of configurations. `is_interrupted`: Ctrl-C ended it. `is_unchecked`:
    it is valid only because no acknowledged operation says anything that can be wrong.
    """

    key: Key | None
    operations: int
    verdict: Verdict = Verdict.UNKNOWN
    why: str = ""
    configurations: int = 0
    peak_bytes: int = 0
    engine: str | None = None
    because: str = ""
    anomaly: Anomaly | None = None
    details: dict[str, Any] = field(default_factory=dict)
    is_doubted: bool = False
    is_exhausted: bool = False
    is_interrupted: bool = False
    is_unchecked: bool = False

    def certified(self, wrong: str | None) -> Judgement:
        """Valid, unless the certificate says what is wrong with the order that was found."""
        if wrong is None:
            return self.with_verdict(Verdict.VALID, "an order explains every answer")
        return self.doubted(f"certificate: the order that was found is not one: {wrong}")

    def unchecked(self) -> Judgement:
        """Valid, and no evidence of anything."""
        return replace(self, why="no answer says anything of it", is_unchecked=True)

    def doubted(self, why: str) -> Judgement:
        """Unknown, since two of those that were asked contradict each other."""
        return replace(self.with_verdict(Verdict.UNKNOWN, why), is_doubted=True)

    def with_verdict(
        self,
        verdict: Verdict,
        why: str,
        anomaly: Anomaly | None = None,
        details: dict[str, Any] | None = None,
    ) -> Judgement:
        """The same spending, judged."""
        return replace(self, verdict=verdict, why=why, anomaly=anomaly, details=details or {})


_WHY_UNKNOWN: Final = {
    "CONFIGURATIONS": "budget: no more configurations ({configurations} explored)",
    "MEMORY": "budget: no more memory ({peak_bytes} bytes held)",
    "WIDE": "open operations: more at one time than the search can hold",
    "CAPPED": "crashed operations: more of one kind than the search counts",
    "INTERRUPTED": "interrupted: stopped after {configurations} configurations",
    "UNDECIDED": "interrupted: stopped before this object was judged",
    "FLAWED": "certificate: the order that was found is not one: C refused it",
}


def why_unknown(ending: str, configurations: int, peak_bytes: int) -> str:
    """Why an engine of C decided nothing, by the name of how it ended."""
    why = _WHY_UNKNOWN[ending]
    return why.format(configurations=configurations, peak_bytes=peak_bytes)


def result(name: str, judgements: Sequence[Judgement], *, noun: str) -> Result:
    """
    The greatest verdict; keys that are not part of it are counted in the details.

    Keys that were not checked do not count. If none was, it is unknown.
    """
    checked = [each for each in judgements if not each.is_unchecked]
    verdict = max((each.verdict for each in checked), default=Verdict.UNKNOWN)
    some = {v: [each for each in checked if each.verdict is v] for v in Verdict}
    anomalies = [each.anomaly for each in some[Verdict.INVALID] if each.anomaly]
    if not judgements:
        why = "no operations"
    elif not checked:
        why = "nothing was checked: no operation succeeded whose answer says anything"
    elif verdict is Verdict.VALID:
        why = f"an order explains every answer, for each of {count_text(len(checked), 'object')}"
        if left := len(judgements) - len(checked):
            why = f"{why}; no answer says anything of {left} more"
    else:
        worst = some[verdict]
        why = f"{count_text(len(worst), 'object')} of {len(judgements)}: {worst[0].why}"
    return Result(
        checker=name,
        verdict=verdict,
        why=why,
        anomalies=tuple(anomalies[:ANOMALIES_MAX]),
        details={"noun": noun, **_details(judgements, some)},
    )


def _details(
    judgements: Sequence[Judgement], some: dict[Verdict, list[Judgement]]
) -> dict[str, Any]:
    return {
        "keys": len(judgements),
        **{verdict.word: len(found) for verdict, found in some.items()},
        "unchecked": sum(each.is_unchecked for each in judgements),
        "operations": sum(each.operations for each in judgements),
        "configurations": sum(each.configurations for each in judgements),
        "peak_bytes": max((each.peak_bytes for each in judgements), default=0),
        "engines": dict(Counter(each.engine for each in judgements if each.engine is not None)),
        "because": {
            each.engine: each.because for each in judgements if each.engine and each.because
        },
        "unknown_keys": {_name(each): each.why for each in some[Verdict.UNKNOWN]},
        "invalid_keys": {_name(each): each.details for each in some[Verdict.INVALID]},
    }


def _name(judgement: Judgement) -> str:
    return "-" if judgement.key is None else show(judgement.key).strip('"')
