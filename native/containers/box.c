/*
 * box.c: from the operations of a container to its items (see box.h).
 */
#include "box.h"

#include <stdlib.h>
#include <string.h>

void *box_allocate(struct box *box, int64_t n, size_t size)
{
    void *memory = calloc((size_t)(n > 0 ? n : 1), size);
    if (memory == NULL)
        box->is_out_of_memory = true;
    box->owned[box->n_owned++] = memory;
    return memory;
}

void box_free(struct box *box)
{
    while (box->n_owned > 0)
        free(box->owned[--box->n_owned]);
}

void box_set_take(struct box *box, struct item *item, int32_t take)
{
    const struct containers_problem *problem = box->problem;
    int32_t put_ret = problem->ret[item->put], inv = problem->inv[take], ret = problem->ret[take];
    item->take = take;
    item->in_at = put_ret < ret ? put_ret : ret;
    item->in_until = inv > item->asked ? inv : item->asked;
    item->out_at = ret;
}

void box_emit(struct box *box, int32_t operation)
{
    if (operation != NOTHING)
        box->order[box->finding->order_length++] = operation;
}

int32_t box_invalid(struct box *box, enum containers_rule rule)
{
    box->finding->rule = rule;
    return CONTAINERS_INVALID;
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
    box_name(box, put_of[value] - 1);
    for (int32_t i = 0; i < problem->n; i++)
        if (problem->is_take[i] && problem->value[i] == value && i != again &&
            problem->ret[i] != NEVER)
            box_name(box, i);
    box_name(box, again);
    return box_invalid(box, CONTAINERS_AGAIN);
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
        box_set_take(box, item, take);
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

int32_t box_gather(struct box *box)
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
            box_name(box, put);
            box_name(box, i);
            return box_invalid(box, put < 0 ? CONTAINERS_FRESH : CONTAINERS_FUTURE);
        }
        if (!problem->is_take[i] && take < 0 && problem->ret[i] == NEVER)
            continue; /* it is not needed */
        add_item(box, problem->is_take[i] ? NOTHING : i, take);
    }
    set_events(box);
    for (int32_t position = 0; position < problem->n_positions; position++) {
        const struct item *item = box_item_at(box, position);
        if (item != NULL && item->take == NOTHING && item->in_at == position)
            box->left[box->n_left++] = (int32_t)(item - box->items);
    }
    return CONTAINERS_VALID;
}

void box_match_spares(struct box *box)
{
    for (int32_t k = 0; k < box->n_left && k < box->n_spare; k++) {
        box_set_take(box, &box->items[box->left[k]], box->spare[k]);
        box->events[box->problem->inv[box->spare[k]]] = box->left[k] + 1;
    }
}

void box_name(struct box *box, int32_t operation)
{
    if (operation == NOTHING || box->is_named[operation])
        return;
    box->is_named[operation] = 1;
    box->part[box->finding->part_length++] = operation;
}

void box_name_item(struct box *box, const struct item *item)
{
    box_name(box, item->put);
    box_name(box, item->take);
}

void box_name_left(struct box *box, int32_t before)
{
    for (int32_t k = 0; k < box->n_left && box->n_spare > 0; k++)
        if (box->items[box->left[k]].in_at < before)
            box_name(box, box->items[box->left[k]].put);
}

void box_name_chain(struct box *box, int32_t start, int32_t end, int32_t rank)
{
    const struct item *best = NULL;
    int32_t reached = start, position = 0;
    while (reached <= end) {
        for (; position < reached; position++) {
            const struct item *item = box_item_at(box, position);
            if (item != NULL && item->in_at == position && item->rank > rank && is_cover(item) &&
                (best == NULL || item->in_until > best->in_until))
                best = item;
        }
        if (best == NULL || best->in_until <= reached)
            return; /* never, as there is no gap; but a loop would be worse than a poor part */
        box_name_item(box, best);
        reached = best->in_until;
    }
}

void box_name_spares(struct box *box)
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
            box_name(box, box->spare[k]);
            box->part[box->finding->part_length++] = last;
        }
}

static int32_t not_empty(struct box *box, const struct item *item)
{
    box_name_chain(box, item->asked, item->out_at, NOTHING);
    box_name_left(box, item->out_at);
    box_name(box, item->take);
    return box_invalid(box, CONTAINERS_EMPTY);
}

int32_t empty_place(struct box *box)
{
    int32_t n = box->problem->n_positions, depth = 0, n_placed = 0;
    int32_t *change = box_allocate(box, (int64_t)n + 1, sizeof(int32_t));
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    for (int32_t number = 0; number < box->n_items; number++) {
        const struct item *item = &box->items[number];
        if (!is_cover(item))
            continue;
        change[item->in_at]++;
        change[item->in_until == NEVER ? n : item->in_until]--;
    }
    for (int32_t position = 0; position < n; position++) {
        const struct item *item = box_item_at(box, position);
        depth += change[position];
        if (item != NULL && is_empty(item)) {
            if (position == item->asked)
                box->free[box->n_free++] = (int32_t)(item - box->items);
            else if (item->at == NOTHING)
                return not_empty(box, item);
        }
        for (; depth == 0 && n_placed < box->n_free; n_placed++)
            box->items[box->free[n_placed]].at = position;
    }
    return CONTAINERS_VALID;
}

int32_t empty_emit(struct box *box, int32_t place, int32_t stretch)
{
    for (; place < box->n_free && box->items[box->free[place]].at == stretch; place++)
        box_emit(box, box->items[box->free[place]].take);
    return place;
}
