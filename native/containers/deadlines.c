/*
 * deadlines.c: deadlines of items for crashed takes (see deadlines.h).
 */
#include "deadlines.h"

#include <string.h>

/* By position, the item of least out_at among those added at it or later: a tree of minima. */
struct suffixes {
    const struct item *items;
    int32_t *least; /* item + 1, or 0 */
    int32_t n;
};

static void suffixes_add(struct suffixes *suffixes, int32_t position, int32_t number)
{
    for (int32_t at = suffixes->n - position; at <= suffixes->n; at += at & -at) {
        int32_t before = suffixes->least[at] - 1;
        if (before < 0 || suffixes->items[number].out_at < suffixes->items[before].out_at)
            suffixes->least[at] = number + 1;
    }
}

/* The item of least out_at added later than a position, or NOTHING. */
static int32_t suffixes_least(const struct suffixes *suffixes, int32_t position)
{
    int32_t best = NOTHING;
    for (int32_t at = suffixes->n - position - 1; at > 0; at -= at & -at) {
        int32_t number = suffixes->least[at] - 1;
        if (number >= 0 &&
            (best == NOTHING || suffixes->items[number].out_at < suffixes->items[best].out_at))
            best = number;
    }
    return best;
}

/* cause: by place in `left`, the item whose take sets the deadline, or NOTHING. place_of: by item,
 * its place in `left` + 1, or 0. */
static void find_stack_deadlines(const struct box *box, struct suffixes *suffixes, int32_t *cause,
                                 const int32_t *place_of)
{
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        int32_t number = box->events[position] - 1;
        const struct item *item = &box->items[number < 0 ? 0 : number];
        if (number < 0 || is_empty(item))
            continue;
        if (position == item->asked && place_of[number] != 0)
            cause[place_of[number] - 1] = suffixes_least(suffixes, item->in_at);
        if (position == item->in_at && is_cover(item) && item->out_at != NEVER)
            suffixes_add(suffixes, item->in_until, number);
    }
}

/* by_rank: all items but those without a put, the greatest rank first. */
static void find_priority_deadlines(const struct box *box, struct suffixes *suffixes,
                                    int32_t *cause, const int32_t *place_of,
                                    const int32_t *by_rank, int32_t n)
{
    for (int32_t end = n, start; end > 0; end = start) {
        int32_t rank = box->items[by_rank[end - 1]].rank;
        for (start = end; start > 0 && box->items[by_rank[start - 1]].rank == rank; start--) {
            int32_t number = by_rank[start - 1];
            if (place_of[number] != 0)
                cause[place_of[number] - 1] =
                    suffixes_least(suffixes, box->items[number].in_at);
        }
        for (int32_t i = start; i < end; i++)
            if (box->items[by_rank[i]].out_at != NEVER)
                suffixes_add(suffixes, box->items[by_rank[i]].in_until, by_rank[i]);
    }
}

/* Put `left` in order of deadlines; causes[k] goes with left[k]. */
static bool sort_left(struct box *box, int32_t *cause)
{
    int32_t *at = box_allocate(box, box->problem->n_positions, sizeof(int32_t));
    int32_t *next = box_allocate(box, box->n_left, sizeof(int32_t));
    int32_t *left = box_allocate(box, box->n_left, sizeof(int32_t));
    int32_t *causes = box_allocate(box, box->n_left, sizeof(int32_t));
    if (box->is_out_of_memory)
        return false;
    int32_t n = 0;
    for (int32_t k = box->n_left - 1; k >= 0; k--) {
        if (cause[k] == NOTHING)
            continue;
        int32_t *head = &at[box->items[cause[k]].out_at];
        next[k] = *head;
        *head = k + 1;
    }
    for (int32_t position = 0; position < box->problem->n_positions; position++)
        for (int32_t k = at[position] - 1; k >= 0; k = next[k] - 1) {
            left[n] = box->left[k];
            causes[n++] = cause[k];
        }
    for (int32_t k = 0; k < box->n_left; k++)
        if (cause[k] == NOTHING) {
            left[n] = box->left[k];
            causes[n++] = NOTHING;
        }
    memcpy(box->left, left, sizeof(int32_t) * (size_t)n);
    memcpy(cause, causes, sizeof(int32_t) * (size_t)n);
    return true;
}

int32_t deadlines_check(struct box *box, const int32_t *by_rank, int32_t n_by_rank)
{
    int32_t *cause = box_allocate(box, box->n_left, sizeof(int32_t));
    int32_t *place_of = box_allocate(box, box->n_items, sizeof(int32_t));
    struct suffixes suffixes = {box->items, NULL, box->problem->n_positions};
    suffixes.least = box_allocate(box, (int64_t)suffixes.n + 1, sizeof(int32_t));
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    for (int32_t number = 0; number < box->n_items; number++)
        if (is_empty(&box->items[number]))
            suffixes_add(&suffixes, box->items[number].asked, number);
    for (int32_t k = 0; k < box->n_left; k++)
        place_of[box->left[k]] = k + 1;
    if (by_rank == NULL)
        find_stack_deadlines(box, &suffixes, cause, place_of);
    else
        find_priority_deadlines(box, &suffixes, cause, place_of, by_rank, n_by_rank);
    if (!sort_left(box, cause))
        return CONTAINERS_MEMORY;
    for (int32_t k = 0; k < box->n_left && cause[k] != NOTHING; k++) {
        const struct item *last = &box->items[cause[k]];
        if (k < box->n_spare && box->problem->inv[box->spare[k]] < last->out_at)
            continue;
        for (int32_t i = 0; i <= k; i++) {
            box_name(box, box->items[box->left[i]].put);
            if (i < k && box->items[cause[i]].take != last->take)
                box_name_item(box, &box->items[cause[i]]);
        }
        box_name_item(box, last);
        return box_invalid(box, CONTAINERS_MATCH);
    }
    return CONTAINERS_VALID;
}

void deadlines_relax(struct box *box)
{
    memset(box->is_named, 0, (size_t)box->problem->n);
    *box->finding = (struct containers_finding){0};
    box->n_free = 0;
    for (int32_t number = 0; number < box->n_items; number++)
        box->items[number].at = NOTHING;
    for (int32_t k = 0; k < box->n_left; k++)
        box_set_take(box, &box->items[box->left[k]], box->spare[0]);
}
