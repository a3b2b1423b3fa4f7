/*
 * reach.h: which writers of one key come before which, by paths of ww and wr edges.
 */
#ifndef DISSEVER_TRANSACTIONS_REACH_H
#define DISSEVER_TRANSACTIONS_REACH_H

#include "engine.h"

struct reach;

/* By the edges that there are now; NULL without memory. Without edges or with a cycle it never
 * finds anything. */
struct reach *reach_open(struct engine *engine);

void reach_close(struct reach *reach);

/*
 * Find all paths between the transactions of entries of one key, which are put in topological
 * order. Whether it was done: not when there is a cycle, when the budget is spent, or without
 * memory.
 */
bool reach_find(struct reach *reach, int32_t *entries, int32_t n);

/* Whether a path leads from the i-th of them to the j-th. */
bool reach_holds(const struct reach *reach, int32_t i, int32_t j);

/* A set of those that some path reaches from a chosen one: empty it, choose another, ask. */
void reach_clear(struct reach *reach);
void reach_cover(struct reach *reach, int32_t chosen);
bool reach_is_covered(const struct reach *reach, int32_t j);

#endif
