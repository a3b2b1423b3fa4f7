/*
 * depth.h: the depth-first just-in-time search (Lowe 2017), with an explicit stack.
 *
 * Valid histories take about one configuration an operation: the forced operation is tried first.
 * The memo alone keeps it from exploring a configuration twice; the current path is no exception.
 *
 * Ownership: frames and memo belong to the search until depth_free; the other arrays to the
 * problem. Memory: 8 * (width + 2) bytes a frame, and what memo.h says a configuration.
 */
#ifndef DISSEVER_DEPTH_H
#define DISSEVER_DEPTH_H

#include "cursor.h"

struct depth {
    struct cursor cursor;
    struct memo memo;
    uint64_t *frames;      /* blocks, each followed by two words: length of the order and next
                              branch; origin */
    uint32_t n_frames;
    uint32_t frames_capacity;
    uint64_t *child;
    int32_t *order;        /* the path: operations linearized */
    int32_t order_length;
    int32_t *best;         /* the longest path that ended */
    int32_t best_length;
    int32_t best_return;
    int32_t common;        /* the first operations of `order` and `best` that are the same */
    int32_t reach;         /* the greatest return that some configuration waits for */
    bool has_begun;
    bool is_spent;         /* memory ran out: a configuration was lost, so it cannot go on */
};

/* Begin, from a problem that is prepared. Returns SEARCH_OK or SEARCH_NO_MEMORY. */
int depth_open(struct depth *depth, struct problem *problem, struct account *account);

/*
 * Explore until `*configurations` reaches `limit`, and return SEARCH_PAUSED there. Once the account
 * has refused memory, every call returns SEARCH_MEMORY.
 */
enum search_status depth_run(struct depth *depth, const struct problem *problem,
                             struct account *account, uint64_t *configurations,
                             uint64_t limit);

/* Write the path of a valid search, or the longest path that ended. Returns its length. */
int32_t depth_order(struct depth *depth, int32_t *operations, bool is_valid);

void depth_free(struct depth *depth, struct account *account);

#endif
