/*
 * paths.h: which writers of one key come before which, by paths of ww and wr edges.
 */
#ifndef DISSEVER_TRANSACTIONS_PATHS_H
#define DISSEVER_TRANSACTIONS_PATHS_H

#include "engine.h"

struct paths;

/* By the edges that there are now; NULL without memory. Without edges or with a cycle it never
 * finds anything. */
struct paths *paths_open(struct engine *engine);

void paths_close(struct paths *paths);

/*
 * Find all paths between the transactions of entries of one key, which are put in topological
 * order. Whether it was done: not when there is a cycle, when the budget is spent, or without
 * memory.
 */
bool paths_find(struct paths *paths, int32_t *entries, int32_t n);

/* Whether a path leads from the i-th of them to the j-th. */
bool paths_holds(const struct paths *paths, int32_t i, int32_t j);

/* A set of those that some path reaches from a chosen one: empty it, choose another, ask. */
void paths_clear(struct paths *paths);
void paths_cover(struct paths *paths, int32_t chosen);
bool paths_is_covered(const struct paths *paths, int32_t j);

#endif
