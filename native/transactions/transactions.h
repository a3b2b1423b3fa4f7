/*
 * transactions.h: what a history of transactions over lists or registers proves of its isolation.
 *
 * From the micro-operations to the anomalies that are no cycles, the order of the versions of each
 * key, the dependencies between transactions (graph.h), the cycles among those, and a serial order
 * where there is one.
 *
 * A transaction counts when it is ok, or when it is open and somebody saw a write of it. The reads
 * of ok transactions alone are evidence. A failed transaction is only a source of G1a and
 * dirty-update.
 *
 * Lists: the versions of a key are the beginnings of the longest list that was read. A read shows
 * what was there before: what the transaction itself had appended is its end, and is cut off. An
 * append that no read shows comes after all that are shown. Registers: nil comes first, and who
 * reads a version and writes the key writes a later one; more is known by options.
 *
 * Realtime: a before b when a is ok and ret_time(a) < inv_time(b). Process: by the order of
 * operations; nothing follows an operation that is open.
 *
 * The result depends on the columns and options alone. Columns of any content are safe: they are
 * checked first.
 *
 * Source: Kingsbury and Alvaro, "Elle", VLDB 2020; Adya, "Weak Consistency", 1999.
 */
#ifndef DISSEVER_TRANSACTIONS_H
#define DISSEVER_TRANSACTIONS_H

#include <stdint.h>

#include "columns.h"
#include "graph.h"
#include "micro.h"

enum transactions_rules { TRANSACTIONS_APPEND = 0, TRANSACTIONS_WR = 1 };

struct transactions_options {
    int32_t rules;              /* a transactions_rules */
    uint8_t process;            /* whether process order is among the dependencies */
    uint8_t realtime;           /* whether realtime order is */
    uint8_t keep_edges;         /* whether the outcome gets the edges */
    int32_t anomalies_max;      /* how many of each kind are kept; the rest is counted */
    struct graph_options graph; /* for the cycles; its level is not looked at */
};

enum transactions_status {
    TRANSACTIONS_DONE = 0,
    TRANSACTIONS_MALFORMED = 1, /* `place` is the first micro-operation that does not fit */
    TRANSACTIONS_MEMORY = 2,
    TRANSACTIONS_LARGE = 3      /* more than 2^31 - 2 micro-operations, vertices or edges */
};

enum transactions_kind {
    TRANSACTIONS_INTERNAL = 0,
    TRANSACTIONS_FUTURE_READ = 1,
    TRANSACTIONS_PHANTOM = 2,
    TRANSACTIONS_G1A = 3,
    TRANSACTIONS_G1B = 4,
    TRANSACTIONS_DIRTY_UPDATE = 5,
    TRANSACTIONS_DUPLICATE_ELEMENTS = 6,
    TRANSACTIONS_INCOMPATIBLE_ORDER = 7,
    TRANSACTIONS_CYCLIC_VERSIONS = 8,
    TRANSACTIONS_LOST_UPDATE = 9
};

#define TRANSACTIONS_KINDS 10
#define TRANSACTIONS_NONE (-1)

/*
 * One anomaly that is no cycle, with the micro-operations that show it.
 *
 *   internal           the read; other: what it contradicts, earlier in the transaction
 *   future-read        the read; other: the write that comes later in the transaction
 *   phantom            the first read that shows the value; no other
 *   G1a                the first read that shows the value; other: the write of it that failed
 *   G1b                the read; other: the write, which a later one of its transaction replaced
 *   dirty-update       the write that follows; other: the failed write before it
 *   duplicate-elements the first read that shows it; other: the append, if anybody made it
 *   incompatible-order the read; other: the longest read
 *   cyclic-versions    registers: a write of a version on the cycle; other: the write of the next
 *                      one. Lists: the longest read, which shows one append of a transaction
 *                      without an earlier one of it before; other: that append
 *   lost-update        a read; other: the read of the same version by another that writes the key
 */
struct transactions_anomaly {
    int32_t kind;            /* a transactions_kind */
    int32_t operation;       /* row of the columns */
    int32_t micro;           /* place in the micro-operations; so are the other's */
    int32_t other;           /* TRANSACTIONS_NONE where there is none; so is other_micro */
    int32_t other_micro;
    int32_t key;             /* as in micro.h */
    int32_t value;           /* the element or value meant; TRANSACTIONS_NONE for an empty list */
};

enum transactions_level {
    TRANSACTIONS_NO_ORDER = 0,
    TRANSACTIONS_DATA = 1,     /* the serial order keeps the dependencies by data */
    TRANSACTIONS_PROCESS = 2,  /* and process order */
    TRANSACTIONS_REALTIME = 3  /* and realtime order */
};

struct transactions_outcome {
    int32_t status; /* a transactions_status */
    int64_t place;

    int64_t anomalies_n;
    struct transactions_anomaly *anomalies; /* by kind, then in the order found */
    int64_t counts[10];                     /* of each kind, kept or not */

    int32_t keys_n;
    uint8_t *ambiguous; /* key -> a value was written twice: who wrote what is not known */
    int64_t *pairs;     /* key -> pairs of transactions that count and write it */
    int64_t *ordered;   /* key -> those of which it is known who came first */

    struct graph_cycles cycles;

    int32_t order_level; /* a transactions_level: the strongest asked for that has an order */
    int32_t is_guessed; /* the order keeps an order of versions that is not known */
    int32_t order_n;
    int32_t *order;      /* rows: each ok transaction once, an open one if it counts */

    int32_t refuted; /* the least transactions_level of which no serial order exists although there
                        is no cycle of known edges; or TRANSACTIONS_NO_ORDER */
    struct graph_cycles forced; /* why: a cycle of edges that every serial order would have; empty
                                   where every order of versions was tried */

    int64_t vertices;
    int64_t edges_n[8];  /* by graph_kind */
    struct graph_edges edges; /* empty unless asked for */
    int64_t bytes;       /* the most memory at one time, without that of graph.h */
};

/* Judge a history. The outcome is filled in any case; transactions_free gives it back. */
void transactions_judge(const struct columns *columns, const struct micro *micro,
                        const struct transactions_options *options,
                        struct transactions_outcome *outcome);

void transactions_free(struct transactions_outcome *outcome);

#endif
