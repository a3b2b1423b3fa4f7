/*
 * appends.c: the lists that were read of one key, and the order of its appends.
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

static bool is_read(const struct lists *lists, const struct entry *entry)
{
    return entry->kind == MICRO_READ && entry->type == COLUMNS_OK &&
           (entry->value == 0 || lists->weak->micro->list[entry->at] != MICRO_NONE);
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
        int32_t at = lists->pass->entries[i].at;
        if (is_read(lists, &lists->pass->entries[i]) &&
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

/* The next append of the same operation; NULL without. */
static const struct entry *append_after(const struct key_pass *pass, const struct entry *entry)
{
    int32_t operation = entry->owner;
    for (entry++; entry < pass->entries + pass->n && entry->owner == operation; entry++)
        if (entry->kind == MICRO_APPEND)
            return entry;
    return NULL;
}

/* One element after another, or the first. False without memory. */
static bool follow(const struct lists *lists, const struct entry *last, const struct entry *next)
{
    struct weak *weak = lists->weak;
    if (last != NULL && last->owner == next->owner)
        return append_after(lists->pass, last) == next ||
               weak_error(weak, WEAK_TORN, lists->longest, next->value, next->at);
    if (last != NULL && !(last->place & PLACE_LAST) &&
        !weak_error(weak, WEAK_TORN, lists->longest, next->value, last->at))
        return false;
    if (!(next->place & PLACE_FIRST) &&
        !weak_error(weak, WEAK_TORN, lists->longest, next->value, next->at))
        return false;
    return last == NULL || weak_put(weak, last->owner, next->owner, GRAPH_WW, lists->pass->key);
}

/* Appends that nobody read come after the last one that was. */
static bool put_tail(const struct lists *lists, const struct entry *last)
{
    const struct key_pass *pass = lists->pass;
    int32_t put = NONE;
    for (const struct entry *entry = pass->entries; entry < pass->entries + pass->n; entry++) {
        if (entry->kind != MICRO_APPEND || entry->type == COLUMNS_FAIL || entry->owner == put ||
            pass->index[entry->value] != NONE)
            continue;
        put = entry->owner;
        if (!weak_put(lists->weak, last->owner, put, GRAPH_WW, pass->key))
            return false;
    }
    return true;
}

/* The elements of the longest list, and what follows them. Sets pass->index. */
static bool order_appends(const struct lists *lists)
{
    struct weak *weak = lists->weak;
    const struct key_pass *pass = lists->pass;
    const struct entry *last = NULL;
    bool is_gap = false; /* what is wrong says nothing of the order around it */
    for (int32_t k = 0; k < lists->length; k++) {
        int32_t value = lists->items[k], writer = pass->writer[value];
        const struct entry *written = writer == NONE ? NULL : &pass->entries[writer];
        int32_t wrong = pass->index[value] != NONE      ? WEAK_DUPLICATE
                        : written == NULL               ? WEAK_PHANTOM
                        : written->type == COLUMNS_FAIL ? WEAK_ABORTED_READ
                                                        : NONE;
        if (wrong != WEAK_DUPLICATE)
            pass->index[value] = k;
        if (wrong != NONE) {
            int32_t at = written == NULL ? NONE : written->at;
            if (!weak_error(weak, wrong, lists->longest, value, at))
                return false;
            is_gap = true;
            continue;
        }
        weak->is_seen[written->owner] = 1;
        if (!is_gap && !follow(lists, last, written))
            return false;
        last = written;
        is_gap = false;
    }
    return last == NULL || is_gap || put_tail(lists, last);
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

static bool take_append(const struct lists *lists, struct so_far *far, const struct entry *entry)
{
    int32_t index = lists->pass->index[entry->value];
    if (index != NONE && far->furthest != NONE && index < far->furthest_length &&
        !weak_error(lists->weak, WEAK_FUTURE_READ, far->furthest, entry->value, entry->at))
        return false;
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
    if (writer == NONE)
        return true; /* told of the longest read; so is what failed */
    const struct entry *written = &lists->pass->entries[writer];
    if (written->type == COLUMNS_FAIL || written->owner == far->operation)
        return true; /* what is its own is told when the append comes */
    if (!(written->place & PLACE_LAST))
        return weak_error(weak, WEAK_INTERMEDIATE, at, written->value, written->at);
    weak->source[at] = written->owner;
    return true;
}

bool weak_lists(struct weak *weak, const struct key_pass *pass)
{
    struct lists lists = {.weak = weak, .pass = pass, .longest = NONE};
    struct so_far far = {.operation = NONE};
    find_longest(&lists);
    bool is_fine = order_appends(&lists);
    for (int32_t i = 0; is_fine && i < pass->n; i++) {
        const struct entry *entry = &pass->entries[i];
        if (entry->owner != far.operation)
            far = (struct so_far){.operation = entry->owner, .read = NONE, .furthest = NONE};
        if (entry->type != COLUMNS_OK)
            continue;
        if (entry->kind == MICRO_APPEND)
            is_fine = take_append(&lists, &far, entry);
        else if (is_read(&lists, entry))
            is_fine = take_read(&lists, &far, entry->at);
    }
    for (int32_t k = 0; k < lists.length; k++)
        pass->index[lists.items[k]] = NONE;
    return is_fine;
}
