/*
 * solve.h: serializability and snapshot isolation where the order of versions is not known.
 *
 * Of two transactions that write one key, one comes first: then it comes before the other (ww), and
 * so does everybody who read its write (rw). Which one is chosen, pair by pair, so that no cycle
 * arises. What reachability forbids is never chosen, and what is left over follows at once. So it
 * is exact, and exponential at worst: past its budget it is WEAK_BUDGET.
 *
 * Serializable: no cycle of all edges. Snapshot isolation: each transaction has a start and a commit
 * point; ww, wr, process and real time lead from a commit to a start, rw from a start to a commit.
 *
 * Transactions, reads, lists and keys that are left out are those of weak.h. Real time: one that
 * returned strictly before another was invoked comes before it.
 *
 * Memory: a bit for each two points, once, and 16 bytes for each change that may be taken back.
 *
 * Source: Papadimitriou, "The serializability of concurrent database updates" (1979), for
 * polygraphs; Cerone and Gotsman (2016) for snapshot isolation; Cobra (OSDI 2020) for the pruning.
 */
#ifndef DISSEVER_WEAK_SOLVE_H
#define DISSEVER_WEAK_SOLVE_H

#include <stdint.h>

#include "columns.h"
#include "micro.h"

#define SOLVE_TRANSACTIONS_MAX 20000 /* more are WEAK_BUDGET */

enum solve_model { SOLVE_SERIALIZABLE = 0, SOLVE_SNAPSHOT = 1 };
enum solve_demand { SOLVE_DATA = 0, SOLVE_PROCESS = 1, SOLVE_REALTIME = 2 };

struct solve_options {
    int32_t model;  /* a solve_model */
    int32_t demand; /* a solve_demand; each includes those before it */
    int64_t configurations_max; /* choices, those that were taken back included */
    int64_t steps_max;          /* pairs looked at, and words of bits */
    int32_t window; /* pairs that are pruned after each choice, until one has to be taken back: then
                       all of them, from the start; -1: never any, so that tests see the search */
};

struct solve_result {
    int32_t verdict;        /* a weak_verdict: VALID, INVALID, AMBIGUOUS, BUDGET */
    int64_t errors_n;       /* reads that no order explains, as in weak.h */
    int64_t configurations;
    int64_t turned;         /* choices of which the other direction was tried, too */
    int64_t steps;
    int64_t pairs;          /* of writers of one key */
    int32_t order_n;        /* of what is valid: operations in a serial order; or points: twice the
                               operation for its start, and one more for its commit */
    int32_t *order;
};

/* Decide. Returns the verdict, also WEAK_MEMORY or WEAK_MALFORMED. `result` goes to solve_free. */
int32_t solve(const struct columns *columns, const struct micro *micro,
              const struct solve_options *options, struct solve_result *result);

void solve_free(struct solve_result *result);

#endif
