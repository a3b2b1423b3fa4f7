/*
 * gaps.h: takes that found nothing, and the order of a bag.
 *
 * Each needs a stretch in which nothing is surely in: the first one after its invocation will do.
 */
#ifndef DISSEVER_GAPS_H
#define DISSEVER_GAPS_H

#include "items.h"

/* Name as few items as possible, all of a rank above one, that together are surely in from before
 * `start` to after `end`. */
static void name_chain(struct box *box, int32_t start, int32_t end, int32_t rank)
{
    int32_t reached = start, position = 0, best = NOTHING;
    while (reached <= end) {
        for (; position < reached; position++) {
            int32_t number = box->events[position] - 1;
            const struct item *item = &box->items[number < 0 ? 0 : number];
            if (number >= 0 && item->in_at == position && item->rank > rank && is_cover(item) &&
                (best == NOTHING || item->in_until > box->items[best].in_until))
                best = number;
        }
        if (best == NOTHING || box->items[best].in_until <= reached)
            return; /* never, as there is no gap; but a loop would be worse than a poor part */
        name_item(box, &box->items[best]);
        reached = box->items[best].in_until;
    }
}

static int32_t not_empty(struct box *box, const struct item *item)
{
    name_chain(box, item->asked, item->out_at, NOTHING);
    name_left(box, item->out_at);
    name(box, item->take);
    return invalid(box, CONTAINERS_EMPTY);
}

/* Give each take that found nothing its stretch. */
static int32_t place_free(struct box *box)
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
        int32_t number = box->events[position] - 1;
        const struct item *item = &box->items[number < 0 ? 0 : number];
        depth += change[position];
        if (number >= 0 && is_empty(item)) {
            if (position == item->asked)
                box->free[box->n_free++] = number;
            else if (item->at == NOTHING)
                return not_empty(box, item);
        }
        for (; depth == 0 && n_placed < box->n_free; n_placed++)
            box->items[box->free[n_placed]].at = position;
    }
    return CONTAINERS_VALID;
}

/* Put the takes that found nothing in a stretch into the order. Returns the place of the next. */
static int32_t emit_free(struct box *box, int32_t place, int32_t stretch)
{
    for (; place < box->n_free && box->items[box->free[place]].at == stretch; place++)
        emit(box, box->items[box->free[place]].take);
    return place;
}

/* Put in as late, take as early as can be. */
static void order_bag(struct box *box)
{
    int32_t place = 0;
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        int32_t number = box->events[position] - 1;
        const struct item *item = &box->items[number < 0 ? 0 : number];
        if (number >= 0 && !is_empty(item)) {
            if (is_cover(item) ? position == item->in_at : position == item->in_until)
                emit(box, item->put);
            if (position == item->in_until)
                emit(box, item->take);
        }
        place = emit_free(box, place, position);
    }
}

#endif
