/*
 * items.h: what was put into a container, and when it is surely in.
 *
 * A crashed put may be moved to just before its take, and is dropped without one: an item that
 * nobody took can be taken out of a linearization, which leaves every answer right. For the same
 * reason nothing but what was put in for sure is worth a crashed take.
 *
 * Takes that found nothing are items without a put.
 */
#ifndef DISSEVER_ITEMS_H
#define DISSEVER_ITEMS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "containers.h"

#define NEVER CONTAINERS_NEVER
#define NOTHING (-1)
#define OWNED_MAX 40

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
    int32_t *free;        /* takes that found nothing, as items, by the stretch they are placed in */
    int32_t *left;        /* items that were put in for sure and that no ok take took */
    int32_t *spare;       /* crashed takes by invocation */
    int8_t *is_named;     /* by operation: whether it is in `part` */
    int32_t n_items, n_free, n_left, n_spare;
    void *owned[OWNED_MAX];
    int32_t n_owned;
    bool is_out_of_memory;
};

/* Zeros, freed with the box; never NULL unless is_out_of_memory. */
static void *box_allocate(struct box *box, int64_t n, size_t size)
{
    void *memory = calloc((size_t)(n > 0 ? n : 1), size);
    if (memory == NULL)
        box->is_out_of_memory = true;
    box->owned[box->n_owned++] = memory;
    return memory;
}

static void box_free(struct box *box)
{
    while (box->n_owned > 0)
        free(box->owned[--box->n_owned]);
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

static void name(struct box *box, int32_t operation)
{
    if (operation == NOTHING || box->is_named[operation])
        return;
    box->is_named[operation] = 1;
    box->part[box->finding->part_length++] = operation;
}

static void name_item(struct box *box, const struct item *item)
{
    name(box, item->put);
    name(box, item->take);
}

static int32_t invalid(struct box *box, enum containers_rule rule)
{
    box->finding->rule = rule;
    return CONTAINERS_INVALID;
}

static void emit(struct box *box, int32_t operation)
{
    if (operation != NOTHING)
        box->order[box->finding->order_length++] = operation;
}

/* Give an item its take. Whatever both overlap is moved together. */
static void set_take(struct box *box, struct item *item, int32_t take)
{
    const struct containers_problem *problem = box->problem;
    int32_t put_ret = problem->ret[item->put], inv = problem->inv[take], ret = problem->ret[take];
    item->take = take;
    item->in_at = put_ret < ret ? put_ret : ret;
    item->in_until = inv > item->asked ? inv : item->asked;
    item->out_at = ret;
}

/* Check the arrays and put operations where they stand: events holds operation + 1. */
static bool is_sound(struct box *box)
{
    const struct containers_problem *problem = box->problem;
    for (int32_t i = 0; i < problem->n; i++) {
        int32_t inv = problem->inv[i], ret = problem->ret[i], value = problem->value[i];
        bool is_crashed = ret == NEVER;
        if (inv < 0 || inv >= problem->n_positions || box->events[inv] != 0 || ret <= inv ||
            value < NOTHING || value >= problem->n_values || (!problem->is_take[i] && value < 0))
            return false;
        box->events[inv] = i + 1;
        if (is_crashed)
            continue;
        if (ret >= problem->n_positions || box->events[ret] != 0)
            return false;
        box->events[ret] = i + 1;
    }
    return true;
}

/* The takes by value. Returns CONTAINERS_VALID, or what a second take of a value makes of it. */
static int32_t gather_takes(struct box *box, int32_t *put_of, int32_t *take_of)
{
    const struct containers_problem *problem = box->problem;
    int32_t again = NOTHING;
    for (int32_t position = 0; position < problem->n_positions; position++) {
        int32_t i = box->events[position] - 1;
        if (i < 0 || problem->inv[i] != position)
            continue;
        int32_t value = problem->value[i];
        if (!problem->is_take[i]) {
            if (put_of[value] != 0)
                return CONTAINERS_UNDECIDED;
            put_of[value] = i + 1;
        } else if (problem->ret[i] == NEVER) {
            box->spare[box->n_spare++] = i;
        } else if (value >= 0 && take_of[value] == 0) {
            take_of[value] = i + 1;
        } else if (value >= 0 && again == NOTHING) {
            again = i; /* unless some value was put in twice */
        }
    }
    if (again == NOTHING)
        return CONTAINERS_VALID;
    int32_t value = problem->value[again];
    name(box, put_of[value] - 1);
    for (int32_t i = 0; i < problem->n; i++)
        if (problem->is_take[i] && problem->value[i] == value && i != again &&
            problem->ret[i] != NEVER)
            name(box, i);
    name(box, again);
    return invalid(box, CONTAINERS_AGAIN);
}

static void add_item(struct box *box, int32_t put, int32_t take)
{
    const struct containers_problem *problem = box->problem;
    int32_t number = box->n_items++, first = put == NOTHING ? take : put;
    struct item *item = &box->items[number];
    *item = (struct item){put, NOTHING, problem->inv[first], NOTHING, NEVER, NEVER, NOTHING, 0};
    if (put == NOTHING) {
        *item = (struct item){put, take, problem->inv[take], NOTHING, NOTHING, problem->ret[take],
                              NOTHING, 0};
    } else if (take != NOTHING) {
        set_take(box, item, take);
    } else {
        item->in_at = problem->ret[put];
    }
    if (put != NOTHING && box->kind == CONTAINERS_PRIORITY)
        item->rank = problem->rank[problem->value[put]];
}

/* Let events hold item + 1 instead of operations. */
static void set_events(struct box *box)
{
    const struct containers_problem *problem = box->problem;
    memset(box->events, 0, sizeof(int32_t) * (size_t)problem->n_positions);
    for (int32_t number = 0; number < box->n_items; number++) {
        const struct item *item = &box->items[number];
        int32_t calls[2] = {item->put, item->take};
        for (int32_t k = 0; k < 2; k++) {
            if (calls[k] == NOTHING)
                continue;
            box->events[problem->inv[calls[k]]] = number + 1;
            if (problem->ret[calls[k]] != NEVER)
                box->events[problem->ret[calls[k]]] = number + 1;
        }
    }
}

/*
 * Make the items. Returns CONTAINERS_VALID if nothing is wrong with them alone, else what is.
 */
static int32_t gather(struct box *box)
{
    const struct containers_problem *problem = box->problem;
    int64_t n = problem->n;
    box->events = box_allocate(box, problem->n_positions, sizeof(int32_t));
    box->items = box_allocate(box, n, sizeof(struct item));
    box->free = box_allocate(box, n, sizeof(int32_t));
    box->left = box_allocate(box, n, sizeof(int32_t));
    box->spare = box_allocate(box, n, sizeof(int32_t));
    box->is_named = box_allocate(box, n, sizeof(int8_t));
    int32_t *put_of = box_allocate(box, problem->n_values, sizeof(int32_t));
    int32_t *take_of = box_allocate(box, problem->n_values, sizeof(int32_t));
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    if (!is_sound(box))
        return CONTAINERS_MALFORMED;
    int32_t verdict = gather_takes(box, put_of, take_of);
    if (verdict != CONTAINERS_VALID)
        return verdict;
    for (int32_t position = 0; position < problem->n_positions; position++) {
        int32_t i = box->events[position] - 1;
        if (i < 0 || problem->inv[i] != position)
            continue;
        int32_t value = problem->value[i], put = i, take = i;
        if (problem->is_take[i] && problem->ret[i] == NEVER)
            continue;
        if (value >= 0) {
            put = put_of[value] - 1;
            take = take_of[value] - 1;
        }
        if (problem->is_take[i] && value >= 0) {
            if (put >= 0 && problem->inv[put] < problem->ret[i])
                continue; /* with its put */
            name(box, put);
            name(box, i);
            return invalid(box, put < 0 ? CONTAINERS_FRESH : CONTAINERS_FUTURE);
        }
        if (!problem->is_take[i] && take < 0 && problem->ret[i] == NEVER)
            continue; /* nobody needs it */
        add_item(box, problem->is_take[i] ? NOTHING : i, take);
    }
    set_events(box);
    for (int32_t position = 0; position < problem->n_positions; position++) {
        int32_t number = box->events[position] - 1;
        if (number >= 0 && box->items[number].take == NOTHING &&
            box->items[number].in_at == position)
            box->left[box->n_left++] = number;
    }
    return CONTAINERS_VALID;
}

/* Match the k-th crashed take to the k-th item of `left`. */
static void match_spares(struct box *box)
{
    for (int32_t k = 0; k < box->n_left && k < box->n_spare; k++) {
        set_take(box, &box->items[box->left[k]], box->spare[k]);
        box->events[box->problem->inv[box->spare[k]]] = box->left[k] + 1;
    }
}

/* Name the items that only a crashed take can have taken, put in for sure before a position. */
static void name_left(struct box *box, int32_t before)
{
    for (int32_t k = 0; k < box->n_left && box->n_spare > 0; k++)
        if (box->items[box->left[k]].in_at < before)
            name(box, box->items[box->left[k]].put);
}

/* Whoever speaks of such items needs all crashed takes that may have taken them. */
static void name_spares(struct box *box)
{
    int32_t n = box->finding->part_length, end = NOTHING;
    if (n == 0)
        return;
    int32_t last = box->part[n - 1];
    bool speaks = false;
    for (int32_t k = 0; k < box->n_left; k++)
        speaks = speaks || box->is_named[box->items[box->left[k]].put];
    for (int32_t i = 0; i < n; i++) {
        int32_t ret = box->problem->ret[box->part[i]];
        end = ret != NEVER && ret > end ? ret : end;
    }
    for (int32_t k = 0; k < box->n_spare && speaks; k++)
        if (box->problem->inv[box->spare[k]] < end && !box->is_named[box->spare[k]]) {
            box->finding->part_length--;
            name(box, box->spare[k]);
            box->part[box->finding->part_length++] = last;
        }
}

#endif
