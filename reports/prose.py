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

ANOMALIES = {
    "stale-read": (
        "A read must return the newest value that was acknowledged before it was asked for. A node "
        "that has fallen behind, or a leader that does not know it was deposed, answers with the "
        "past instead."
    ),
    "lost-write": (
        "An acknowledged write must stay until another replaces it. Here the system said yes and "
        "went on as if the write had never been."
    ),
    "lost-update": (
        "A compare-and-set takes a value only once. Here two of them were told that they took the "
        "same one, so the effect of one is gone."
    ),
    "phantom-read": "A value can only come from a write. Nobody ever asked to write this one.",
    "aborted-read": (
        "An operation that is told it failed must leave no trace. Here somebody was told its value."
    ),
    "future-read": "A value was read before anybody had asked to write it.",
    "duplicate-delivery": "A value was put in once and taken out twice.",
    "out-of-order": (
        "The order in which elements came in, or their priorities, say which goes first. Another "
        "one did, though it cannot have been first."
    ),
    "false-empty": (
        "An empty container was reported, while something had surely been put in before and was "
        "not taken out until afterwards."
    ),
    "out-of-bounds": (
        "A counter holds at least what was acknowledged, and at most what was asked. This answer "
        "lies outside, whatever the order."
    ),
    "incompatible-order": (
        "Two reads of something that only grows each hold what the other lacks, so neither can "
        "have come first."
    ),
    "duplicate-elements": "An entry was appended once, and a read of the log holds it twice.",
    "nonlinearizable": (
        "Each operation must seem to happen at one instant between its question and its answer. No "
        "choice of instants explains these answers."
    ),
    "lost": "An acknowledged element must be in every later read. It is missing from a final one.",
    "diverged": "Once everything is healed and quiet, every node must show the same elements.",
    "diverged-for-good": (
        "The replicas differ also once every node was started anew: what differs is on their disks."
    ),
    "phantom": "Elements can only come from adds. Nobody ever asked to add these.",
    "duplicate": "Each element was added once, and a read shows it more than once.",
}
"""What each name means, for somebody who meets it for the first time."""

GLYPHS = {Verdict.VALID: "✓", Verdict.UNKNOWN: "?", Verdict.INVALID: "✗"}
