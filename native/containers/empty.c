/*
 * empty.c: stretches for takes that found nothing (see empty.h).
 */
#include "empty.h"

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

int32_t empty_emit(struct box *box, int32_t place, int32_t stretch)
{
    for (; place < box->n_free && box->items[box->free[place]].at == stretch; place++)
        box_emit(box, box->items[box->free[place]].take);
    return place;
}
