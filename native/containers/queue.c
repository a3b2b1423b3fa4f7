/*
 * queue.c: queues, first in, first out.
 *
 * Overtaking: x was surely put in before y, and y was taken before the take of x began. Without it
 * some line of all items respects both puts and takes in time (Henzinger, Sezgin, Vafeiadis 2013;
 * Bouajjani and others 2015). The takes that found nothing cut the history into epochs, at the
 * stretches that empty_place found; an item is in the epoch in which its take may begin. That
 * respects puts and takes: what must come before another is surely in, if at all, no later than
 * the other may be taken. So the line goes from epoch to epoch, each item taken as early and put
 * in as late as the line allows: a linearization.
 *
 * Crashed takes: if any match leaves a history without a broken rule, so does k-th to k-th. To be
 * gone by the return of some take, all k items put in for sure no later than x have to be gone, as
 * they were all put in before what overtakes x, or before the free stretch; so k crashed takes
 * began before that, and the k-th did.
 */
#include "box.h"

static int32_t overtaken(struct box *box, const struct item *one, const struct item *other)
{
    box_name_item(box, one);
    if (one->out_at == NEVER)
        box_name_left(box, one->in_at);
    box_name_item(box, other);
    return box_invalid(box, CONTAINERS_ORDER);
}

static int32_t check_line(struct box *box)
{
    const struct item *first = NULL;
    int32_t most = NOTHING;
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        const struct item *item = box_item_at(box, position);
        if (item == NULL || is_empty(item))
            continue;
        if (position == item->in_at && item->in_until > most) {
            most = item->in_until;
            first = item;
        }
        if (position == item->asked && item->out_at < most)
            return overtaken(box, first, item);
    }
    return CONTAINERS_VALID;
}

/* What find_line needs to know. */
struct line {
    int32_t *ready; /* by epoch: an item + 1 whose turn it is, or 0 */
    int32_t *next;  /* by item: another one of its epoch, + 1 */
    int32_t *epoch; /* by item */
    int8_t *waits;  /* by item: for puts and for takes of others; it is done at -1 */
    int32_t asked, in_at, in_until, out_at; /* positions up to which each was looked at */
    bool is_last;   /* whether items that were never taken are free to come */
};

static void let_go(struct line *line, int32_t number)
{
    if (--line->waits[number] > 0)
        return;
    line->next[number] = line->ready[line->epoch[number]];
    line->ready[line->epoch[number]] = number + 1;
}

/* Let go what nothing that is left must precede. */
static void advance(struct box *box, struct line *line)
{
    int32_t n = box->problem->n_positions;
    for (; line->in_at < n; line->in_at++) {
        int32_t number = box->events[line->in_at] - 1;
        if (number >= 0 && box->items[number].in_at == line->in_at && line->waits[number] >= 0)
            break;
    }
    for (; line->asked < line->in_at; line->asked++) {
        int32_t number = box->events[line->asked] - 1;
        if (number >= 0 && box->items[number].asked == line->asked && line->waits[number] > 0)
            let_go(line, number);
    }
    for (; line->out_at < n; line->out_at++) {
        int32_t number = box->events[line->out_at] - 1;
        if (number >= 0 && box->items[number].out_at == line->out_at && line->waits[number] >= 0)
            break;
    }
    for (; line->in_until < line->out_at; line->in_until++) {
        int32_t number = box->events[line->in_until] - 1;
        if (number >= 0 && box->items[number].in_until == line->in_until)
            let_go(line, number);
    }
    if (line->out_at == n && !line->is_last) {
        line->is_last = true;
        for (int32_t number = 0; number < box->n_items; number++)
            if (!is_empty(&box->items[number]) && box->items[number].in_until == NEVER)
                let_go(line, number);
    }
}

/* The epoch of each item: how many of the stretches that are free begin before its take may. */
static int32_t find_epochs(struct box *box, int32_t *epoch)
{
    int32_t n_epochs = 0, place = 0;
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        int32_t number = box->events[position] - 1;
        if (number >= 0 && box->items[number].in_until == position)
            epoch[number] = n_epochs;
        for (; place < box->n_free && box->items[box->free[place]].at == position; place++)
            n_epochs += place == 0 || box->items[box->free[place - 1]].at < position;
    }
    for (int32_t number = 0; number < box->n_items; number++)
        if (box->items[number].in_until == NEVER)
            epoch[number] = n_epochs;
    return n_epochs + 1;
}

/* The items in line; returns how many, which is fewer than there are only if one overtook. */
static int32_t find_line(struct box *box, int32_t *found)
{
    struct line line = {0};
    line.next = box_allocate(box, box->n_items, sizeof(int32_t));
    line.epoch = box_allocate(box, box->n_items, sizeof(int32_t));
    line.waits = box_allocate(box, box->n_items, sizeof(int8_t));
    line.ready = box_allocate(box, (int64_t)box->n_free + 1, sizeof(int32_t));
    if (box->is_out_of_memory)
        return 0;
    int32_t n_epochs = find_epochs(box, line.epoch), n_found = 0;
    for (int32_t number = 0; number < box->n_items; number++)
        line.waits[number] = is_empty(&box->items[number]) ? -1 : 2;
    for (int32_t epoch = 0; epoch < n_epochs; epoch++) {
        advance(box, &line);
        while (line.ready[epoch] != 0) {
            int32_t number = line.ready[epoch] - 1;
            line.ready[epoch] = line.next[number];
            line.waits[number] = -1;
            found[n_found++] = number;
            advance(box, &line);
        }
    }
    return n_found;
}

/* A place in time: a stretch; in it, what comes at once, then free takes, then what comes last. */
enum phase { AT_ONCE, IN_BETWEEN, AT_LAST };

static int64_t place_in(int32_t stretch, enum phase phase)
{
    return 4 * (int64_t)stretch + (int64_t)phase;
}

/* Merge puts, takes and free takes. puts: by place in line. */
static void merge_line(struct box *box, const int32_t *line, int32_t n_line, const int64_t *puts)
{
    int32_t put = 0, take = 0, place = 0, taken = NOTHING;
    int64_t last = INT64_MAX;
    while (put < n_line || take < n_line || place < box->n_free) {
        const struct item *item = take < n_line ? &box->items[line[take]] : NULL;
        if (item != NULL && item->in_until == NEVER) {
            take = n_line; /* as all after it */
            continue;
        }
        int64_t to_put = put < n_line ? puts[put] : last, to_take = last;
        if (item != NULL)
            to_take = place_in(item->in_until > taken ? item->in_until : taken, AT_ONCE);
        int64_t to_free = place < box->n_free
                              ? place_in(box->items[box->free[place]].at, IN_BETWEEN)
                              : last;
        if (to_free < to_put && to_free < to_take) {
            box_emit(box, box->items[box->free[place++]].take);
        } else if (to_put < to_take || (to_put == to_take && put <= take)) {
            box_emit(box, box->items[line[put++]].put);
        } else {
            box_emit(box, item->take);
            taken = item->in_until > taken ? item->in_until : taken;
            take++;
        }
    }
}

int32_t queue_judge(struct box *box)
{
    box_match_spares(box);
    int32_t verdict = check_line(box);
    if (verdict == CONTAINERS_VALID)
        verdict = empty_place(box);
    if (verdict != CONTAINERS_VALID)
        return verdict;
    int32_t *line = box_allocate(box, box->n_items, sizeof(int32_t));
    int64_t *puts = box_allocate(box, box->n_items, sizeof(int64_t));
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    int32_t n_line = find_line(box, line), out = NOTHING, least = NEVER;
    if (box->is_out_of_memory)
        return CONTAINERS_MEMORY;
    for (int32_t i = 0; i < n_line; i++) {
        int32_t in_until = box->items[line[i]].in_until;
        out = in_until > out ? in_until : out;
        puts[i] = place_in(out, AT_ONCE);
    }
    for (int32_t i = n_line - 1; i >= 0; i--) {
        int32_t in_at = box->items[line[i]].in_at;
        least = in_at < least ? in_at : least;
        int64_t latest = place_in(least - 1, AT_LAST);
        puts[i] = latest < puts[i] ? latest : puts[i];
    }
    merge_line(box, line, n_line, puts);
    return CONTAINERS_VALID;
}
