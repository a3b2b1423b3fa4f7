"""What a verdict means and what it does not, in the same words in every report."""

from __future__ import annotations

from dissever.harness.results import Verdict

MEANS = {
    Verdict.VALID: "Every answer in this history is one that a correct system can have given.",
    Verdict.UNKNOWN: "The run shows neither a bug nor its absence; the reason stands above.",
    Verdict.INVALID: "This run shows a failure that no fault excuses.",
}
"""What is true of every run of a verdict; `meaning.py` says more of an invalid one."""

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
        "Two changes were acknowledged that both began from the same value. One of them was made "
        "without the other, so its effect is gone."
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
    "diverged": "Once everything is healed and quiet, every node must show the same data.",
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
    "election-safety": "A term has at most one leader. Two servers were elected in the same one.",
    "log-matching": (
        "Two logs that hold an entry of the same index and term are equal up to it. Here they "
        "differ."
    ),
    "leader-completeness": (
        "A leader holds every entry that was committed before its term. This one lacks one, and "
        "overwrites it on the others."
    ),
    "state-machine-safety": (
        "All servers apply the same entries in the same order. Here one applied something else at "
        "the same index."
    ),
    "durability": (
        "What was acknowledged must be on the disks of a majority. Too few disks hold this, so it "
        "can be lost."
    ),
    "commit-goes-back": "What is committed stays committed, so the commit index never goes back.",
    "term-not-stored": (
        "A server acts by a term only once it is on its disk. After a restart this one can act "
        "twice in a term."
    ),
    "earlier-term-committed": (
        "A leader counts copies only of entries of its own term. One of an earlier term can be on "
        "a majority, and a later leader can replace it all the same (Raft, figure 8)."
    ),
    "two-changes": (
        "The old members and the new ones must share a majority. After two changes at once they "
        "need not, so two leaders can each have one."
    ),
    "vote-not-stored": (
        "A server gives a vote only once it is on its disk. After a restart this one can vote "
        "twice in a term."
    ),
    "stored-index": (
        "A server counts an entry as durable only if its disk holds it. This one counts more."
    ),
    "snapshot-differs": (
        "A snapshot stands for all entries up to its index. This one holds something else than "
        "they made."
    ),
    "memory-safety": "A program frees only memory that it has, and only once. This one did not.",
    "send-to-nobody": "A server sends messages to members of its configuration alone.",
    "internal": (
        "Inside a transaction, a read must agree with what the transaction itself read or wrote "
        "before. This one does not."
    ),
    "G0": (
        "Dirty write: two transactions overwrote each other, one of them on one key and the other "
        "on another, so their writes are mixed."
    ),
    "G1a": "Aborted read: a transaction read what another one wrote that failed in the end.",
    "G1b": (
        "Intermediate read: a transaction read a value that another one replaced before it was "
        "committed. Nobody may see the middle of a transaction."
    ),
    "G1c": (
        "Circular information flow: each transaction depends on what the next one wrote, so none "
        "of them can have been first."
    ),
    "G-single": (
        "Read skew: a transaction saw one part of what another one wrote, and missed another part. "
        "It did not see one state of the database."
    ),
    "G-nonadjacent": (
        "Several transactions read states of the database that do not fit together. Snapshots of "
        "one database would."
    ),
    "G2-item": (
        "Transactions missed each other's writes in a circle. Each of them is right by itself, but "
        "no serial order of them gives these answers."
    ),
    "G2": (
        "Transactions missed each other's writes in a circle, and at least one missed them when it "
        "searched by a condition. No serial order of them gives these answers."
    ),
    "write-skew": (
        "Two transactions each read what the other one changed. Whichever came first, the second "
        "should have seen its change, and neither did."
    ),
    "dirty-update": (
        "A transaction that was committed built on a write of one that failed. What failed must be "
        "undone."
    ),
    "cyclic-versions": (
        "The answers give the versions of a key in an order that goes round in a circle, so no "
        "order of its writes explains them."
    ),
    "G-single-predicate": (
        "Read skew: a transaction saw one part of what another one wrote, and missed a row of it "
        "when it searched by a condition."
    ),
    "G-nonadjacent-predicate": (
        "Several transactions read states of the database that do not fit together, and at least "
        "one missed a row when it searched by a condition. Snapshots of one database would fit."
    ),
    "predicate-read-miss": (
        "A search by a condition did not find a row that the same transaction had written, and "
        "which meets the condition."
    ),
    "predicate-mismatch": "A search by a condition found a row that does not meet the condition.",
    "wrong-total": (
        "Money is only moved between accounts, so every read of all accounts must add up to the "
        "same total. This one saw a state between two changes, or money was lost or made."
    ),
    "negative-value": "No transfer may take more than an account holds. One is below zero here.",
    "nil-balance": "A read of all accounts must have the balance of each. One is missing.",
    "unexpected-key": "A read of all accounts shows an account that was never made.",
    "fractured-read": (
        "A transaction saw one write of another one, and of the same one it missed another write."
    ),
    "non-causal-read": ("A transaction saw an effect, and did not see what had caused it."),
    "G-monotonic": (
        "A transaction saw the effect of another one, and later in its own course a state from "
        "before that effect."
    ),
}
"""What the name of each anomaly means, for readers who are new to it."""

ORDERS = {
    "process": "The circle needs the order in which one process made its transactions.",
    "realtime": (
        "The circle needs the order of time: one transaction was answered before another began."
    ),
}
"""By the end of the name of a cycle."""
