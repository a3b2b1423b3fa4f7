"""What a verdict means and what it does not, in the same words in every report."""

from __future__ import annotations

from dissever.harness.results import Verdict

MEANS = {
    Verdict.VALID: "Every answer in this history is one that a correct system can have given.",
    Verdict.UNKNOWN: "The run shows neither a bug nor its absence; the reason stands above.",
    Verdict.INVALID: (
        "No correct system can have given these answers. The history is the counterexample, "
        "whatever the cause."
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
        "takes for granted that the clients recorded the answers that they got."
    ),
}

ANOMALIES = {
    "stale-read": (
        "A read must return the newest value that was acknowledged before it was asked for. A node "
        "that has fallen behind, or a leader that does not know it was deposed, answers with the "
        "past instead."
    ),
    "lost-write": (
        "An acknowledged write must stay until another replaces it. Here the system acknowledged a "
        "write and then answered as if it had never happened."
    ),
    "lost-update": (
        "A compare-and-set replaces a value only once. Here two of them were acknowledged for the "
        "same value, so the effect of one is gone."
    ),
    "aborted-read": (
        "An operation that was answered with a failure must have no effect. Here a client got its "
        "value."
    ),
    "future-read": "A value was answered before any client had asked for it.",
    "duplicate-delivery": "A value was put in once and taken out twice.",
    "out-of-order": (
        "The order in which elements came in, or their priorities, say which one is taken first. "
        "Here another one was taken, though it cannot have been first."
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
    "duplicate-elements": "An element was added once, and a read shows it more than once.",
    "nonlinearizable": (
        "Each operation must seem to happen at one instant between its invocation and its answer. "
        "No choice of instants explains these answers."
    ),
    "lost": "An acknowledged element must be in every later read. It is missing from a final one.",
    "diverged": "Once everything is healed and quiet, every node must show the same elements.",
    "diverged-for-good": (
        "The replicas still differ after every node was restarted: what differs is on their disks."
    ),
    "no-progress": (
        "A majority of nodes that can reach each other must acknowledge writes. None was "
        "acknowledged in time."
    ),
    "no-recovery": "Once all faults are healed, every node must serve again. Not every one did.",
    "no-recovery-after-restart": (
        "Once all faults are healed and every node was restarted, every node must serve again. Not "
        "every one did."
    ),
    "phantom": (
        "A value can only come from an operation that asked for it. No client had asked for this "
        "one when it was answered."
    ),
}
"""What the name of each anomaly means, for readers who are new to it."""

GLYPHS = {Verdict.VALID: "✓", Verdict.UNKNOWN: "?", Verdict.INVALID: "✗"}
