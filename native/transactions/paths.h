/*
 * paths.h: which versions of one key come before which, by paths between their transactions.
 *
 * A block is the transactions of one version: they stand together in every serial order, so a path
 * from one block to another orders the two versions.
 */
#ifndef DISSEVER_TRANSACTIONS_PATHS_H
#define DISSEVER_TRANSACTIONS_PATHS_H

#include "engine.h"

struct paths;

/* By the edges of a mask that there are now; NULL without memory. */
struct paths *paths_open(struct engine *engine, uint32_t mask);

void paths_close(struct paths *paths);

/* Whether there is no cycle. With one, nothing is ever found. */
bool paths_is_acyclic(const struct paths *paths);

/* Put entries of one key into the topological order of their transactions; false without memory. */
bool paths_sort(struct paths *paths, int32_t *entries, int32_t n);

/*
 * Find all paths of one edge or more from a block to another. Block i are the operations from
 * first[i] to first[i + 1] - 1 of members. Whether it was done: not when there is a cycle, when the budget is
 * spent, or without memory.
 */
bool paths_find(struct paths *paths, const int32_t *first, const int32_t *members, int32_t n);

/* Whether a path leads from block i to block j, which differ. */
bool paths_holds(const struct paths *paths, int32_t i, int32_t j);

/* A set of those that some path reaches from a chosen one: empty it, choose another, ask. */
void paths_clear(struct paths *paths);
void paths_cover(struct paths *paths, int32_t chosen);
bool paths_is_covered(const struct paths *paths, int32_t j);

#endif
