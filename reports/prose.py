"""What a verdict means and what it does not, in the same words in every report."""

from __future__ import annotations

from dissever.harness.results import Verdict

MEANS = {
    Verdict.VALID: "Every answer in this history is one that a correct system can have given.",
    Verdict.UNKNOWN: "The run neither convicts the system nor clears it; the reason stands above.",
    Verdict.INVALID: (
        "No correct system can have given these answers. The history is the counterexample: it "
        "stands whatever the cause."
    ),
}

DOES_NOT_MEAN = {
    Verdict.VALID: (
        "It does not prove the system correct. Other timings, other faults, more clients or a "
        "longer run were not tried, and what no client asked about was not checked."
    ),
    Verdict.UNKNOWN: "It is not a pass. Remove the reason and run it again.",
    Verdict.INVALID: (
        "It does not say which part of the system is at fault, nor how often this happens. It "
        "takes for granted that the clients recorded what they were told."
    ),
}

GLYPHS = {Verdict.VALID: "✓", Verdict.UNKNOWN: "?", Verdict.INVALID: "✗"}
