/*
 * weak.h: read committed, read atomic and causal consistency, decided exactly.
 *
 * A history satisfies a level iff some total order of its transactions, the commit order, contains
 * the session order and every pair (writer, reader), and obeys one rule: whenever t3 reads x from
 * t1, another t2 writes x, and t2 is visible to t3, t2 comes before t1.
 *
 *   read committed  visible: t3 read something from t2 before this read
 *   read atomic     visible: t2 comes before t3 in its session, or t3 reads something from t2
 *   causal          visible: t2 reaches t3 by steps of session order and of reads
 *
 * Before that, what a transaction reads must be possible: its own last write, or the last write of
 * another that may have committed; from read atomic on, one value of each key.
 *
 * These are the levels of Biswas and Enea. Their read committed is stronger than Adya's PL-2, which
 * has no sessions and lets a transaction read an older version after a newer one. Options can leave
 * the session order out.
 *
 * Transactions. Those that are ok are in the order. An info is in it where an ok transaction read
 * something that it wrote; what it read itself says nothing. Failed ones are not. Sessions are
 * processes: of one process, transactions follow each other as they were invoked, and an info ends
 * the session. A transaction of its own, WEAK_INITIAL, comes before all and writes nil, or the empty
 * list, to every key.
 *
 * Lists. Every list that an ok transaction read, with what it appended itself, is a version of the
 * key. Versions must be beginnings of one another, in the commit order of their writers: the writer
 * of an element comes before the writer of the next, and the writer of the last one that was
 * read before everybody whose append was never read (WEAK_WW). So for lists each level is
 * stronger: it knows the order of writes. A list is read from the writer of its last element, own
 * appends aside.
 *
 * A key on which a value is written twice, or both written and appended, is left out and counted:
 * what is invalid without it is invalid, but valid is WEAK_AMBIGUOUS.
 *
 * Time: N^1.5 for N micro-operations for the first two; N times the sessions for causal, which has
 * a budget in such steps. Memory: about 50 bytes a micro-operation.
 *
 * Source: Biswas and Enea, "On the Complexity of Checking Transactional Consistency" (OOPSLA 2019);
 * Moldrup and Pavlogiannis, "AWDIT" (PLDI 2025).
 */
#ifndef DISSEVER_WEAK_H
#define DISSEVER_WEAK_H

#include <stdint.h>

#include "columns.h"
#include "micro.h"

#define WEAK_INITIAL (-1) /* the operation that wrote the initial values */
#define WEAK_NOWHERE (-1) /* no micro-operation */

enum weak_level { WEAK_READ_COMMITTED = 0, WEAK_READ_ATOMIC = 1, WEAK_CAUSAL = 2 };

enum weak_verdict {
    WEAK_VALID = 0,
    WEAK_INVALID = 1,
    WEAK_AMBIGUOUS = 2, /* no violation, but some keys were left out */
    WEAK_BUDGET = 3,
    WEAK_MEMORY = 4,
    WEAK_MALFORMED = 5 /* the arrays contradict each other, or there are more than 2^31 - 2
                          micro-operations */
};

/* What one read shows to be wrong, without a commit order. */
enum weak_anomaly {
    WEAK_INTERNAL = 0,       /* not what the transaction wrote itself before */
    WEAK_FUTURE_READ = 1,    /* what it writes itself only later */
    WEAK_PHANTOM = 2,        /* what nobody wrote */
    WEAK_ABORTED_READ = 3,   /* what a failed transaction wrote: G1a */
    WEAK_INTERMEDIATE = 4,   /* what its writer wrote over, or added to, before it ended: G1b */
    WEAK_UNREPEATABLE = 5,   /* two reads that differ; from read atomic on */
    WEAK_DUPLICATE = 6,      /* an element twice in a list */
    WEAK_INCOMPATIBLE = 7,   /* a list that is no beginning of the longest one */
    WEAK_TORN = 8            /* a list in which appends of one transaction are missing between others,
                                or in another order */
};

struct weak_error {
    int32_t anomaly;   /* a weak_anomaly */
    int32_t operation; /* who read */
    int64_t at;        /* the read: its place among the micro-operations */
    int32_t value;     /* the id of the value or element; -1 where it was nothing */
    int32_t other;     /* the operation meant: the writer, or another reader; or -1 */
    int64_t other_at;  /* its micro-operation, or WEAK_NOWHERE */
};

enum weak_kind {
    WEAK_SESSION = 0, /* source before target in one session; or source is initial */
    WEAK_WR = 1,      /* at: the read by target of what source wrote */
    WEAK_WW = 2,      /* at: the longest read of the key. In it an element of source stands right
                         before one of target, or is the last and some of target are missing */
    WEAK_COMMIT = 3   /* at: the read of key from target by a third transaction, to which source is
                         visible by the steps `why` */
};

struct weak_step {
    int32_t source, target; /* operations, or WEAK_INITIAL */
    int32_t kind;     /* a weak_kind */
    int32_t key;      /* of micro.h; -1 for WEAK_SESSION */
    int64_t at;
    int32_t why;        /* of WEAK_COMMIT: place of its first step in `whys` */
    int32_t why_length; /* steps from source to the reader; 0 for others */
};

struct weak_options {
    int32_t level;       /* a weak_level */
    int32_t no_sessions; /* 1: leave the session order out; causal cannot */
    int64_t errors_max;  /* how many errors are kept; all are counted */
    int64_t steps_max;   /* budget of causal, in transactions times sessions; 0: none */
};

struct weak_result {
    int32_t verdict;
    int64_t errors_n, errors_told;
    struct weak_error *errors; /* by key, then by operation */
    int32_t walk_n;            /* a closed walk, the shortest through some transaction; or 0 */
    struct weak_step *walk;
    int32_t whys_n;
    struct weak_step *whys;
    int32_t order_n; /* of what is valid: all transactions in a commit order */
    int32_t *order;
    int32_t ambiguous_n;   /* keys that were left out */
    int64_t edges_n;       /* of the graph */
    int64_t transactions;  /* in the graph */
};

/* Judge. Returns the verdict. `result` need not be set before, and goes to weak_free after. */
int32_t weak_judge(const struct columns *columns, const struct micro *micro,
                   const struct weak_options *options, struct weak_result *result);

void weak_free(struct weak_result *result);

#endif
