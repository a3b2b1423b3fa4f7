/*
 * box.h: what was put into one container, and when each item is surely in.
 *
 * A history of a container is turned into items: a put with the take of the same value. A put that
 * crashed may be moved to just before its take, and is dropped without one: an item that nobody
 * took can be removed from a linearization, and every answer stays right. For the same reason a
 * crashed take is only worth spending on an item whose put returned.
 *
 * A take that found nothing is an item without a put. It needs a stretch in which nothing is surely
 * in; the first one after its invocation will do.
 *
 * Ownership: a box owns what box_allocate gave, until box_free; problem, order, part and finding
 * belong to the caller of containers_judge. Time and memory: O(n) for all functions here, except
 * where a contract says otherwise. Errors: out of memory sets `is_out_of_memory`, and every
 * function that allocates returns CONTAINERS_MEMORY then.
 */
#ifndef DISSEVER_BOX_H
#define DISSEVER_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "containers.h"

#define NEVER CONTAINERS_NEVER
#define NOTHING (-1)
#define OWNED_MAX 40 /* calls of box_allocate while one container is judged */

struct item {
    int32_t put;      /* operation; NOTHING for a take that found nothing */
    int32_t take;     /* operation, or NOTHING; may be a crashed one that was matched */
    int32_t asked;    /* invocation of the put; of a take that found nothing its own */
    int32_t in_at;    /* from here on it is surely in, if in_at < in_until */
    int32_t in_until;
    int32_t out_at;   /* from here on it is surely out */
    int32_t at;       /* the stretch where a take is placed */
    int32_t rank;     /* priority only */
};

struct box {
    const struct containers_problem *problem;
    int32_t kind;
    struct containers_finding *finding;
    int32_t *order;
    int32_t *part;
    struct item *items;   /* by invocation of the put */
    int32_t *events;      /* by position: item + 1, or 0 */
    int32_t *free;        /* takes that found nothing, as items, by their stretch */
    int32_t *left;        /* items that were put in for sure and that no ok take took */
    int32_t *spare;       /* crashed takes by invocation */
    int8_t *is_named;     /* by operation: whether it is in `part` */
    int32_t n_items, n_free, n_left, n_spare;
    void *owned[OWNED_MAX];
    int32_t n_owned;
    bool is_out_of_memory;
};

/* Zeros for n entries of `size` bytes, freed with the box. NULL only with is_out_of_memory. */
void *box_allocate(struct box *box, int64_t n, size_t size);

/* Give back all that box_allocate gave. May be called again. */
void box_free(struct box *box);

/*
 * Check the arrays of the problem and make the items. Returns CONTAINERS_VALID where nothing is
 * wrong with any item alone, else the verdict, with the rule and the part.
 */
int32_t box_gather(struct box *box);

/* The item one of whose operations begins or ends at a position, or NULL. */
static inline struct item *box_item_at(const struct box *box, int32_t position)
{
    int32_t number = box->events[position] - 1;
    return number < 0 ? NULL : &box->items[number];
}

static inline bool is_empty(const struct item *item)
{
    return item->put == NOTHING;
}

/* Whether an item is surely in for some time. */
static inline bool is_cover(const struct item *item)
{
    return item->put != NOTHING && item->in_at < item->in_until;
}

/* Give an item its take. Where the two overlap, they are moved to one instant. */
void box_set_take(struct box *box, struct item *item, int32_t take);

/* Match the k-th crashed take to the k-th item of `left`. */
void box_match_spares(struct box *box);

/* Append an operation to the linearization; NOTHING is passed over. */
void box_emit(struct box *box, int32_t operation);

/* Set the broken rule. Returns CONTAINERS_INVALID. */
int32_t box_invalid(struct box *box, enum containers_rule rule);

/* Add an operation to the part that is invalid alone, once; NOTHING is passed over. */
void box_name(struct box *box, int32_t operation);

/* The same for the put and the take of an item. */
void box_name_item(struct box *box, const struct item *item);

/* The same for the items that only a crashed take can have taken, whose put returned before a
 * position. */
void box_name_left(struct box *box, int32_t before);

/* The same for as few items as possible, all of a rank above one, that together are surely in from
 * before `start` to after `end`. */
void box_name_chain(struct box *box, int32_t start, int32_t end, int32_t rank);

/* Add the crashed takes that may have taken an item of the part. The last operation stays last. */
void box_name_spares(struct box *box);

/*
 * Give each take that found nothing its stretch (`at`), and list these takes in box->free. Returns
 * CONTAINERS_VALID, or CONTAINERS_INVALID with the rule and the part, or CONTAINERS_MEMORY.
 */
int32_t empty_place(struct box *box);

/* Emit such takes from `place` in box->free on, while they stand in a stretch. Returns the place of
 * the next. */
int32_t empty_emit(struct box *box, int32_t place, int32_t stretch);

/*
 * One judge for each kind of container, for a box after box_gather returned CONTAINERS_VALID.
 * Returns a containers_verdict: with VALID the linearization is in box->order; with INVALID the
 * rule and the part are set, except for the crashed takes that box_name_spares adds. Queue and bag
 * are never UNDECIDED, and take O(n), the others O(n log n).
 */
int32_t queue_judge(struct box *box);
int32_t stack_judge(struct box *box);
int32_t priority_judge(struct box *box);

#endif
