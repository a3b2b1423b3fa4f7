/*
 * axioms.h: models of consistency by the axioms of Biswas and Enea, for small histories.
 *
 * A model holds iff some total order of the transactions contains the session order and every pair
 * (writer, reader), and: whenever t3 reads x from t1, t2 also writes x and is visible to t3, t2
 * comes before t1. Every order is tried. Of lists, each one that was read must be a beginning of all
 * appends in that order.
 *
 * Source: Biswas and Enea, "On the Complexity of Checking Transactional Consistency" (2019).
 */
#ifndef DISSEVER_TEST_AXIOMS_H
#define DISSEVER_TEST_AXIOMS_H

#include "generate.h"

#define AXIOMS_OPERATIONS_MAX 8

enum axioms_level {
    AXIOMS_READ_COMMITTED,
    AXIOMS_READ_ATOMIC,
    AXIOMS_CAUSAL,
    AXIOMS_PREFIX,
    AXIOMS_SNAPSHOT,
    AXIOMS_SERIALIZABLE,
    AXIOMS_LEVELS
};

/* Transactions and whom they read from; the initial values are those of INITIAL. */
#define AXIOMS_INITIAL AXIOMS_OPERATIONS_MAX
#define AXIOMS_NONE (-1)

struct axioms {
    const struct generate_history *history;
    bool has_sessions;
    bool is_possible;   /* each read is, whatever the order */
    bool is_repeatable; /* no two reads of one transaction differ */
    bool is_ambiguous;  /* a value is written twice to a key, or nil is written */
    bool counts[AXIOMS_OPERATIONS_MAX]; /* ok, or somebody read something of it */
    int32_t source[AXIOMS_OPERATIONS_MAX][GENERATE_MICROS_MAX]; /* of outer reads; else NONE */
    bool session[AXIOMS_OPERATIONS_MAX][AXIOMS_OPERATIONS_MAX];
    bool reads[AXIOMS_OPERATIONS_MAX][AXIOMS_OPERATIONS_MAX];   /* [writer][reader] */
    bool reaches[AXIOMS_OPERATIONS_MAX][AXIOMS_OPERATIONS_MAX]; /* by sessions and reads */
};

/* For up to AXIOMS_OPERATIONS_MAX operations. */
void axioms_open(struct axioms *axioms, const struct generate_history *history, bool has_sessions);

bool axioms_writes(const struct axioms *axioms, int32_t operation, int32_t key);

bool axioms_allow(const struct axioms *axioms, enum axioms_level level);

/* Whether positions of operations are an order that proves a level. */
bool axioms_is_order(const struct axioms *axioms, enum axioms_level level, const int32_t *order,
                     int32_t n);

#endif
