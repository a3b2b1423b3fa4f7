/*
 * containers.h: queues, bags, stacks and priority queues, judged without a search.
 *
 * For histories in which each value is put in at most once. Everything is a sweep over positions:
 * position p is the p-th event, stretch p the time between it and the next. An item is surely in
 * from the return of its put to the invocation of its take; see box.h for what crashed.
 *
 *   queue     invalid iff a value was taken that was not put in, or twice; one overtook another;
 *             or a take found nothing while something was surely in (queue.c)
 *   bag       the same without overtaking
 *   stack     peeling (stack.c)
 *   priority  covers, from the greatest rank down; equal ranks are not greater (priority.c)
 *
 * A crashed take may have taken whatever was never taken otherwise. For queues and bags the k-th
 * of them by invocation takes the k-th such item by the return of its put, which decides. For the
 * others earliest deadlines give a match that proves a history valid where it fits, and what no
 * match could help proves it invalid; between the two it is undecided, and for the search.
 *
 * Valid comes with a linearization. Time: O(n) for queues and bags, O(n log n) for the others.
 * Memory: 60 bytes an operation, a stack 130.
 */
#ifndef DISSEVER_CONTAINERS_H
#define DISSEVER_CONTAINERS_H

#include <stdint.h>

#define CONTAINERS_NEVER 0x7FFFFFFF /* the return of what crashed */

enum containers_kind {
    CONTAINERS_QUEUE = 0,
    CONTAINERS_BAG = 1,
    CONTAINERS_STACK = 2,
    CONTAINERS_PRIORITY = 3
};

enum containers_verdict {
    CONTAINERS_UNDECIDED = 0, /* a value may be put in twice, or crashed takes leave it open */
    CONTAINERS_VALID = 1,
    CONTAINERS_INVALID = 2,
    CONTAINERS_MEMORY = 3,
    CONTAINERS_MALFORMED = 4 /* the arrays contradict each other */
};

/* The broken rule of what is invalid. */
enum containers_rule {
    CONTAINERS_FINE = 0,
    CONTAINERS_FRESH = 1,   /* a take of a value that was never put in */
    CONTAINERS_FUTURE = 2,  /* a take of what was first put in after its return */
    CONTAINERS_AGAIN = 3,   /* two takes of one value */
    CONTAINERS_ORDER = 4,   /* queue: one overtook another */
    CONTAINERS_EMPTY = 5,   /* a take found nothing, though something was surely in */
    CONTAINERS_BOTTOM = 6,  /* stack: no item can lie below the others of its part */
    CONTAINERS_COVERED = 7, /* priority: something greater was surely in */
    CONTAINERS_MATCH = 8    /* more had to be gone by then than crashed takes can have taken */
};

struct containers_problem {
    int32_t n;               /* operations, in any order */
    int32_t n_values;        /* at most n */
    int32_t n_positions;     /* at most 2^30 */
    const int8_t *is_take;
    const int32_t *value;    /* of a take: -1 where it found nothing, or crashed */
    const int32_t *inv;      /* distinct positions, also with ret; there may be gaps */
    const int32_t *ret;      /* or CONTAINERS_NEVER */
    const int32_t *rank;     /* priority alone: by value, 0 .. n_values - 1, greater ones first */
};

struct containers_finding {
    int32_t rule;
    int32_t order_length;
    int32_t part_length;
};

/*
 * Judge. Returns a containers_verdict.
 *
 * order: n entries: a linearization of what is valid. part: n entries: operations of what is
 * invalid, which are invalid alone; the last one is the one that cannot be.
 */
int32_t containers_judge(int32_t kind, const struct containers_problem *problem, int32_t *order,
                         int32_t *part, struct containers_finding *finding);

/*
 * Whether an order is a linearization, done step by step on a container. Shares no code with what
 * finds orders. A crashed take takes, of what it may, something that no other takes.
 * Returns 1 if so, 0 if not, -1 without memory.
 */
int32_t containers_replay(int32_t kind, const struct containers_problem *problem,
                          const int32_t *order, int32_t length);

#endif
