/*
 * lists.c: the lists that were read of one key, and the order of its appends.
 *
 * The longest list says in which order the appends come. Every other list must be a beginning of it.
 * What a transaction reads of others is its list without its own appends, which must be its end.
 */
#include <string.h>

#include "observed.h"

struct lists {
    struct weak *weak;
    const struct key_pass *pass;
    int32_t longest; /* the first longest read by an ok transaction; NONE */
    const int32_t *items;
    int32_t length;
};

static bool is_read(const struct lists *lists, int32_t at)
{
    const struct micro *micro = lists->weak->micro;
    return micro->kind[at] == MICRO_READ && weak_is_ok(lists->weak, lists->weak->owner[at]) &&
           (micro->list[at] != MICRO_NONE || micro->value[at] == 0);
}

/* How many items a read has: nil is the empty list. */
static int32_t length_of(const struct lists *lists, int32_t at)
{
    return lists->weak->micro->list[at] == MICRO_NONE ? 0 : lists->weak->micro->length[at];
}

static void find_longest(struct lists *lists)
{
    const struct micro *micro = lists->weak->micro;
    for (int32_t i = 0; i < lists->pass->n; i++) {
        int32_t at = lists->pass->micros[i];
        if (is_read(lists, at) &&
            (lists->longest == NONE || length_of(lists, at) > lists->length)) {
            lists->longest = at;
            lists->length = length_of(lists, at);
        }
    }
    if (lists->length > 0)
        lists->items = micro->items + micro->list[lists->longest];
}

/* Whether the read at is a beginning of the longest one. */
static bool is_beginning(const struct lists *lists, int32_t at)
{
    const struct micro *micro = lists->weak->micro;
    int32_t length = length_of(lists, at);
    if (length == 0 || micro->list[at] == micro->list[lists->longest])
        return true;
    return memcmp(micro->items + micro->list[at], lists->items,
                  (size_t)length * sizeof *lists->items) == 0;
}

/* The next append of the same operation, as a place on the key; or NONE. */
static int32_t append_after(const struct lists *lists, int32_t i)
{
    const struct key_pass *pass = lists->pass;
    int32_t operation = lists->weak->owner[pass->micros[i]];
    for (i++; i < pass->n && lists->weak->owner[pass->micros[i]] == operation; i++)
        if (lists->weak->micro->kind[pass->micros[i]] == MICRO_APPEND)
            return i;
    return NONE;
}

/* One element after another, or the first: places on the key. False without memory. */
static bool follow(const struct lists *lists, int32_t before, int32_t after, int32_t value)
{
    struct weak *weak = lists->weak;
    int32_t last = before == NONE ? NONE : lists->pass->micros[before];
    int32_t next = lists->pass->micros[after];
    if (last != NONE && weak->owner[last] == weak->owner[next])
        return append_after(lists, before) == after ||
               weak_error(weak, WEAK_TORN, lists->longest, value, next);
    if (last != NONE && !(weak->place[last] & PLACE_LAST) &&
        !weak_error(weak, WEAK_TORN, lists->longest, value, last))
        return false;
    if (!(weak->place[next] & PLACE_FIRST) &&
        !weak_error(weak, WEAK_TORN, lists->longest, value, next))
        return false;
    return last == NONE ||
           weak_put(weak, weak->owner[last], weak->owner[next], GRAPH_WW, lists->pass->key);
}

/* The elements of the longest list, and what follows them. Sets pass->index. */
static bool order_appends(const struct lists *lists)
{
    struct weak *weak = lists->weak;
    const struct key_pass *pass = lists->pass;
    int32_t before = NONE;
    for (int32_t k = 0; k < lists->length; k++) {
        int32_t value = lists->items[k], writer = pass->writer[value];
        int32_t written = writer == NONE ? NONE : pass->micros[writer];
        int32_t wrong = pass->index[value] != NONE                         ? WEAK_DUPLICATE
                        : writer == NONE                                   ? WEAK_PHANTOM
                        : weak_is_failed(weak, weak->owner[written]) ? WEAK_ABORTED_READ
                                                                           : NONE;
        if (wrong != WEAK_DUPLICATE)
            pass->index[value] = k;
        if (wrong != NONE) {
            if (!weak_error(weak, wrong, lists->longest, value, written))
                return false;
            continue;
        }
        weak->is_seen[weak->owner[written]] = 1;
        if (!follow(lists, before, writer, value))
            return false;
        before = writer;
    }
    if (before == NONE)
        return true;
    int32_t last = weak->owner[pass->micros[before]], put = NONE;
    for (int32_t i = 0; i < pass->n; i++) {
        int32_t at = pass->micros[i], other = weak->owner[at];
        if (weak->micro->kind[at] != MICRO_APPEND || weak_is_failed(weak, other) || other == put ||
            pass->index[weak->micro->value[at]] != NONE)
            continue;
        put = other;
        if (!weak_put(weak, last, other, GRAPH_WW, pass->key))
            return false;
    }
    return true;
}

/* What one operation has read and appended so far. */
struct so_far {
    int32_t operation;
    int32_t appends, own; /* how many, and where the first of them is in the longest list */
    bool is_row;          /* they are one behind the other there */
    int32_t read, outer;  /* the last read with nothing of its own in it; its length */
    int32_t furthest;     /* the read that got the most of others */
    int32_t furthest_length;
};

static bool take_append(const struct lists *lists, struct so_far *far, int32_t at)
{
    int32_t value = lists->weak->micro->value[at], index = lists->pass->index[value];
    if (index != NONE && far->furthest != NONE && index < far->furthest_length)
        return weak_error(lists->weak, WEAK_FUTURE_READ, far->furthest, value, at);
    if (far->appends == 0)
        far->own = index;
    far->is_row = (far->appends == 0 || far->is_row) && index != NONE &&
                  index == far->own + far->appends;
    far->appends++;
    return true;
}

static bool take_read(const struct lists *lists, struct so_far *far, int32_t at)
{
    struct weak *weak = lists->weak;
    int32_t length = length_of(lists, at);
    int32_t last = length == 0 ? NONE : weak->micro->items[weak->micro->list[at] + length - 1];
    if (!is_beginning(lists, at))
        return weak_error(weak, WEAK_INCOMPATIBLE, at, last, lists->longest);
    int32_t outer = length - far->appends;
    if (far->appends > 0 && (!far->is_row || outer != far->own))
        return weak_error(weak, WEAK_INTERNAL, at, last, NONE);
    if (far->read != NONE && far->outer != outer && weak->options->level >= WEAK_READ_ATOMIC &&
        !weak_error(weak, WEAK_UNREPEATABLE, at, last, far->read))
        return false;
    far->read = at;
    far->outer = outer;
    if (far->furthest == NONE || outer > far->furthest_length) {
        far->furthest = at;
        far->furthest_length = outer;
    }
    if (outer == 0) {
        weak->source[at] = weak->n;
        return true;
    }
    int32_t writer = lists->pass->writer[lists->items[outer - 1]];
    int32_t written = writer == NONE ? NONE : lists->pass->micros[writer];
    if (written == NONE || weak_is_failed(weak, weak->owner[written]))
        return true; /* told of the longest read */
    if (weak->owner[written] == far->operation)
        return true; /* told when the append comes */
    if (!(weak->place[written] & PLACE_LAST))
        return weak_error(weak, WEAK_INTERMEDIATE, at, lists->items[outer - 1], written);
    weak->source[at] = weak->owner[written];
    return true;
}

bool weak_lists(struct weak *weak, const struct key_pass *pass)
{
    struct lists lists = {.weak = weak, .pass = pass, .longest = NONE};
    struct so_far far = {.operation = NONE};
    find_longest(&lists);
    bool is_fine = order_appends(&lists);
    for (int32_t i = 0; is_fine && i < pass->n; i++) {
        int32_t at = pass->micros[i];
        if (weak->owner[at] != far.operation)
            far = (struct so_far){.operation = weak->owner[at], .read = NONE, .furthest = NONE};
        if (!weak_is_ok(weak, far.operation))
            continue;
        if (weak->micro->kind[at] == MICRO_APPEND)
            is_fine = take_append(&lists, &far, at);
        else if (is_read(&lists, at))
            is_fine = take_read(&lists, &far, at);
    }
    for (int32_t k = 0; k < lists.length; k++)
        pass->index[lists.items[k]] = NONE;
    return is_fine;
}
