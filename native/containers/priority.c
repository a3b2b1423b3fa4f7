/*
 * priority.c: priority queues, judged by covers from the greatest rank down.
 *
 * An item is taken in the first stretch, from the invocation of its take on, in which nothing of a
 * greater rank is surely in. Invalid if that comes after its take returned, or a take that found
 * nothing has none: nothing may be taken while something greater is in. What is not surely in adds
 * nothing: an item that has to wait for greater ones is in while one of them is.
 *
 * Else the stretches are an order: in one stretch greater ranks go first, and an item is put in
 * just before the return of its put, or just before its take where that is earlier. Equal ranks
 * never wait for each other: whichever is in may be taken.
 */
#include "deadlines.h"

struct covers {
    int32_t *by_rank; /* items with a put, the greatest rank first */
    int32_t n_by_rank;
    int32_t *next;    /* by stretch: itself if nothing covers it, else a later one */
};

/* The first stretch from one on that nothing covers. */
static int32_t covers_free(struct covers *covers, int32_t stretch)
{
    while (covers->next[stretch] != stretch) {
        covers->next[stretch] = covers->next[covers->next[stretch]];
        stretch = covers->next[stretch];
    }
    return stretch;
}

/* Cover the stretches from one to another, that one excluded. */
static void covers_add(struct covers *covers, int32_t start, int32_t end)
{
    for (int32_t at = covers_free(covers, start); at < end; at = covers_free(covers, at))
        covers->next[at] = at + 1;
}

static bool sort_by_rank(struct box *box, struct covers *covers)
{
    int32_t n_values = box->problem->n_values;
    int32_t *first = box_allocate(box, (int64_t)n_values + 1, sizeof(int32_t));
    covers->by_rank = box_allocate(box, box->n_items, sizeof(int32_t));
    covers->next = box_allocate(box, (int64_t)box->problem->n_positions + 1, sizeof(int32_t));
    if (box->is_out_of_memory)
        return false;
    for (int32_t number = 0; number < box->n_items; number++)
        first[n_values - 1 - box->items[number].rank + 1] += !is_empty(&box->items[number]);
    for (int32_t i = 0; i < n_values; i++)
        first[i + 1] += first[i];
    for (int32_t number = 0; number < box->n_items; number++)
        if (!is_empty(&box->items[number]))
            covers->by_rank[first[n_values - 1 - box->items[number].rank]++] = number;
    covers->n_by_rank = first[n_values];
    return true;
}

/* A take in whose whole time something that has to go first was surely in. */
static int32_t covered(struct box *box, const struct item *taken, int32_t rank)
{
    box_name_chain(box, is_empty(taken) ? taken->asked : taken->in_until, taken->out_at, rank);
    box_name_left(box, NEVER);
    box_name_item(box, taken);
    return box_invalid(box, is_empty(taken) ? CONTAINERS_EMPTY : CONTAINERS_COVERED);
}

/* Give each take its stretch. */
static int32_t place_takes(struct box *box, struct covers *covers)
{
    int32_t n = box->problem->n_positions;
    for (int32_t stretch = 0; stretch <= n; stretch++)
        covers->next[stretch] = stretch;
    for (int32_t start = 0, end; start < covers->n_by_rank; start = end) {
        int32_t rank = box->items[covers->by_rank[start]].rank;
        for (end = start; end < covers->n_by_rank; end++) {
            struct item *item = &box->items[covers->by_rank[end]];
            if (item->rank != rank)
                break;
            item->at = item->in_until == NEVER ? n : covers_free(covers, item->in_until);
            if (item->at > item->out_at)
                return covered(box, item, rank);
        }
        for (int32_t i = start; i < end; i++) {
            const struct item *item = &box->items[covers->by_rank[i]];
            covers_add(covers, item->in_at, item->in_until < n ? item->in_until : n);
        }
    }
    for (int32_t number = 0; number < box->n_items; number++) {
        struct item *item = &box->items[number];
        if (!is_empty(item))
            continue;
        item->at = covers_free(covers, item->asked);
        if (item->at > item->out_at)
            return covered(box, item, NOTHING);
    }
    return CONTAINERS_VALID;
}

/* In a stretch: takes, the greatest rank first, then free takes; puts as late as can be. */
static bool order_priority(struct box *box, const struct covers *covers)
{
    int32_t n = box->problem->n_positions;
    int32_t *heads = box_allocate(box, (int64_t)n + 1, sizeof(int32_t));
    int32_t *next = box_allocate(box, box->n_items, sizeof(int32_t));
    if (box->is_out_of_memory)
        return false;
    for (int32_t number = 0; number < box->n_items; number++) {
        struct item *item = &box->items[number];
        if (!is_empty(item))
            continue;
        next[number] = heads[item->at];
        heads[item->at] = number + 1;
    }
    for (int32_t i = covers->n_by_rank - 1; i >= 0; i--) {
        int32_t number = covers->by_rank[i];
        next[number] = heads[box->items[number].at];
        heads[box->items[number].at] = number + 1;
    }
    for (int32_t position = 0; position < n; position++) { /* at n nothing has to be taken */
        int32_t here = box->events[position] - 1;
        if (here >= 0 && box->items[here].in_at == position && box->items[here].at > position)
            box_emit(box, box->items[here].put);
        for (int32_t number = heads[position] - 1; number >= 0; number = next[number] - 1) {
            const struct item *item = &box->items[number];
            if (item->in_at > item->at)
                box_emit(box, item->put);
            box_emit(box, item->take);
        }
    }
    return true;
}

int32_t priority_judge(struct box *box)
{
    struct covers covers = {0};
    bool is_open = box->n_spare > 0 && box->n_left > 0;
    if (!sort_by_rank(box, &covers))
        return CONTAINERS_MEMORY;
    if (is_open) {
        int32_t verdict = deadlines_check(box, covers.by_rank, covers.n_by_rank);
        if (verdict != CONTAINERS_VALID)
            return verdict;
        box_match_spares(box);
    }
    int32_t verdict = place_takes(box, &covers);
    if (verdict == CONTAINERS_VALID)
        return order_priority(box, &covers) ? CONTAINERS_VALID : CONTAINERS_MEMORY;
    if (!is_open)
        return verdict;
    deadlines_relax(box);
    verdict = place_takes(box, &covers);
    return verdict == CONTAINERS_VALID ? CONTAINERS_UNDECIDED : verdict;
}
