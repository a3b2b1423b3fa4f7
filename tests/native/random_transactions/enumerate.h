/*
 * enumerate.h: models of consistency by their definition, for small histories: every order is tried.
 *
 * Serializable: the ok transactions, with any of those that nobody knows about, happen one after
 * the other. Snapshot isolation: each has a start and a commit point; it reads what was committed
 * before its start, and of two that write one key one commits before the other starts. A demand
 * adds the order of processes, or that order and real time.
 */
#ifndef DISSEVER_TEST_ENUMERATE_H
#define DISSEVER_TEST_ENUMERATE_H

#include "generate.h"

enum enumerate_demand { ENUMERATE_NONE, ENUMERATE_PROCESS, ENUMERATE_REALTIME };

bool enumerate_serializable(const struct generate_history *history, enum enumerate_demand demand);

bool enumerate_snapshot(const struct generate_history *history, enum enumerate_demand demand);

/* Whether positions of operations are an order that proves serializability under the demand. */
bool enumerate_is_order(const struct generate_history *history, enum enumerate_demand demand,
                        const int32_t *order, int32_t n);

#endif
