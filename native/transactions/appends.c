/*
 * appends.c: the order of the appends to a list (see lists.h).
 *
 * Those that the longest list shows come in its order, and all others after them. Who read the
 * final state comes before those, except before itself.
 */
#include "lists.h"

/* The appends that were read, each before the next. Returns the last operation, or NOBODY, or -2
 * without memory. */
static int32_t order_seen(struct lists *lists)
{
    int32_t last = NOBODY;
    for (int32_t p = 0; p < lists->length; p++) {
        const struct slot *slot = slot_of(lists, lists->longest[p]);
        int32_t writer = writer_of(slot);
        if (lists->writer[p] != NOWHERE) {
            int32_t operation = entry_of(lists, writer).operation;
            if (last != NOBODY &&
                engine_depend(lists->engine, last, operation, GRAPH_WW, lists->key) != 0)
                return -2;
            last = operation;
        } else if (writer != NOWHERE && slot->position == p + 1 && lists->next[p] < lists->length &&
                   lists_report(lists, TRANSACTIONS_DIRTY_UPDATE, lists->writer[lists->next[p]],
                                writer, lists->longest[p]) != 0) {
            return -2;
        }
    }
    return last;
}

/*
 * One transaction appended an element before another one, and the longest list shows the later one
 * without the earlier one before it.
 */
static int32_t judge_own_order(struct lists *lists)
{
    int32_t operation = NOBODY;
    int32_t greatest = 0;    /* position of its appends so far */
    bool is_missing = false; /* one of them is not in the list */
    for (int32_t e = lists->first; e < lists->end; e++) {
        if (entry_of(lists, e).operation != operation) {
            operation = entry_of(lists, e).operation;
            greatest = 0;
            is_missing = false;
        }
        if (!is_append(lists, e) || is_failed_entry(lists, e))
            continue;
        const struct slot *slot = slot_of(lists, value_of(lists, e));
        if (writer_of(slot) != e)
            continue;
        if (slot->position == 0) {
            is_missing = is_missing || !slot->is_seen;
            continue;
        }
        if ((is_missing || slot->position < greatest) &&
            lists_report(lists, TRANSACTIONS_CYCLIC_VERSIONS, lists->longest_entry, e,
                   value_of(lists, e)) != 0)
            return -1;
        if (slot->position > greatest)
            greatest = slot->position;
    }
    return 0;
}

/* The appends that no read shows, after all others. */
static int32_t order_unseen(struct lists *lists, int32_t last)
{
    struct engine *engine = lists->engine;
    for (int32_t e = lists->first; e < lists->end; e++) {
        int32_t operation = entry_of(lists, e).operation;
        if (!is_append(lists, e) || is_failed(engine, operation))
            continue;
        const struct slot *slot = slot_of(lists, value_of(lists, e));
        if (writer_of(slot) != e || slot->position != 0 || slot->is_seen)
            continue;
        if (lists->unseen_n > 0 && lists->unseen[lists->unseen_n - 1] == operation)
            continue;
        lists->unseen[lists->unseen_n++] = operation;
        if (last != NOBODY && engine_depend(engine, last, operation, GRAPH_WW, lists->key) != 0)
            return -1;
    }
    return engine_fan(engine, lists->finals, lists->finals_n, lists->unseen, lists->unseen_n,
                      lists->key);
}

/* Pairs of transactions that append and are ok, or open and seen here; those in known order. */
static void measure(struct lists *lists)
{
    struct engine *engine = lists->engine;
    int64_t seen = 0, unseen = 0, unknown = 0;
    for (int32_t e = lists->first; e < lists->end;) {
        int32_t operation = entry_of(lists, e).operation;
        bool is_seen = false, is_unseen = false, is_unknown = false;
        for (; e < lists->end && entry_of(lists, e).operation == operation; e++) {
            if (!is_append(lists, e))
                continue;
            const struct slot *slot = slot_of(lists, value_of(lists, e));
            is_unknown = is_unknown || slot->is_repeated || (slot->is_seen && slot->position == 0);
            is_seen = is_seen || slot->position != 0;
            is_unseen = true;
        }
        if (is_failed(engine, operation))
            continue;
        if (is_unknown)
            unknown++;
        else if (is_seen)
            seen++;
        else if (is_unseen && is_ok(engine, operation))
            unseen++;
    }
    int64_t all = seen + unseen + unknown;
    engine->outcome->pairs[lists->key] = all * (all - 1) / 2;
    engine->outcome->ordered[lists->key] = seen * (seen - 1) / 2 + seen * unseen;
}

int32_t lists_order(struct lists *lists)
{
    if (judge_own_order(lists) != 0)
        return -1;
    int32_t last = order_seen(lists);
    if (last < NOBODY || order_unseen(lists, last) != 0)
        return -1;
    measure(lists);
    return 0;
}
