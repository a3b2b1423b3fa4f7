/*
 * replay.h: a serial order of transactions, done step by step on real lists and registers.
 *
 * Why it exists: it judges the orders that the engine of transactions finds (transactions.h), on
 * histories that are too large for the validator in Python. It shares the columns with the engine
 * and nothing else: it holds states, compares what was read with them, and knows no edge.
 */
#ifndef DISSEVER_REPLAY_H
#define DISSEVER_REPLAY_H

#include <stdint.h>

#include "columns.h"
#include "micro.h"

enum replay_status {
    REPLAY_HOLDS = 0,
    REPLAY_STRANGER = 1, /* a row that does not exist, or that stands twice in the order */
    REPLAY_FAILED = 2,   /* a transaction in the order that failed */
    REPLAY_MISSING = 3,  /* an ok transaction that is not in the order */
    REPLAY_ANSWER = 4,   /* a read that is not what the key holds by then */
    REPLAY_PROCESS = 5,  /* after a transaction that its process made later */
    REPLAY_REALTIME = 6, /* before one that was answered before it began */
    REPLAY_MALFORMED = 7, /* arrays that contradict each other, or another kind of operation */
    REPLAY_MEMORY = 8
};

struct replay_options {
    uint8_t is_append; /* lists that are empty at first; else registers that hold nil */
    uint8_t process;   /* whether the order must keep what each process did in order */
    uint8_t realtime;  /* and what was answered before something else began */
};

/*
 * Replay an order of rows of the columns: each ok one once, an open one at most once.
 *
 * Returns a replay_status. `place` is the row that it is about, of REPLAY_ANSWER the place of the
 * read among the micro-operations. Memory: 4 bytes for each append, 16 for each key, 17 for each
 * transaction.
 */
int32_t replay_order(const struct columns *columns, const struct micro *micro,
                     const struct replay_options *options, const int32_t *order, int64_t order_n,
                     int64_t *place);

#endif
