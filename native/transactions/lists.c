/*
 * lists.c: the versions of a key are the beginnings of the longest list that was read.
 *
 * Of each key: who appended what, the longest list, then run by run what each transaction read, and
 * at last the order of the appends. Time: once through all micro-operations, and once through each
 * list that is not kept as a beginning of the longest.
 *
 * Source: Kingsbury and Alvaro, "Elle", VLDB 2020, section 4.
 */
#include <string.h>

#include "lists.h"

static const struct entry NO_ENTRY = {NOBODY, NOBODY};

/* The entries of one transaction on the key. */
struct run {
    int32_t first, end;
    int32_t operation;
    bool is_appending;
    int32_t read;     /* the entry of its last read, or NOWHERE */
    int32_t since;    /* appends since then, or since it began */
    int32_t shown;    /* the most elements of the longest list that a read of it showed */
    int32_t shown_by;
};

static bool is_equal(const int32_t *a, const int32_t *b, int32_t n)
{
    return a == b || n == 0 || memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static bool is_compatible(const struct lists *lists, int32_t e)
{
    return is_equal(items_of(lists, e), lists->longest, length_of(lists, e));
}

int32_t lists_report(struct lists *lists, enum transactions_kind kind, int32_t at, int32_t other,
                     int32_t value)
{
    struct entry second = other == NOWHERE ? NO_ENTRY : entry_of(lists, other);
    return engine_report(lists->engine, kind, entry_of(lists, at), second, lists->key, value);
}

static void find_longest(struct lists *lists)
{
    lists->longest_entry = NOWHERE;
    lists->length = 0;
    lists->longest = lists->engine->micro->items;
    for (int32_t e = lists->first; e < lists->end; e++) {
        if (!is_read(lists, e) || !is_ok(lists->engine, entry_of(lists, e).operation))
            continue;
        if (lists->longest_entry != NOWHERE && length_of(lists, e) <= lists->length)
            continue;
        lists->longest_entry = e;
        lists->length = length_of(lists, e);
        lists->longest = items_of(lists, e);
    }
}

static void place_elements(struct lists *lists)
{
    for (int32_t p = 0; p < lists->length; p++) {
        struct slot *slot = slot_of(lists, lists->longest[p]);
        bool is_first = slot->position == 0;
        int32_t writer = writer_of(slot);
        lists->writer[p] = NOWHERE;
        if (is_first)
            slot->position = p + 1;
        if (is_first && writer != NOWHERE && !is_failed_entry(lists, writer)) {
            lists->writer[p] = writer;
            lists->engine->counts[entry_of(lists, writer).operation] = true;
        }
    }
    lists->next[lists->length] = lists->length;
    lists->updater[lists->length] = NOWHERE;
    for (int32_t p = lists->length - 1; p >= 0; p--) {
        lists->next[p] = lists->writer[p] != NOWHERE ? p : lists->next[p + 1];
        lists->updater[p] = NOWHERE;
    }
}

/* What one element shows by itself; `is_again`: it stands further ahead in the list as well. */
static int32_t judge_element(struct lists *lists, int32_t read, int32_t value, bool is_again)
{
    const struct slot *slot = slot_of(lists, value);
    int32_t writer = writer_of(slot);
    if (slot->writer == 0 && !is_again)
        return lists_report(lists, TRANSACTIONS_PHANTOM, read, NOWHERE, value);
    if (writer != NOWHERE && is_failed_entry(lists, writer) && !is_again &&
        lists_report(lists, TRANSACTIONS_G1A, read, writer, value) != 0)
        return -1;
    if (is_again && !slot->is_repeated)
        return lists_report(lists, TRANSACTIONS_DUPLICATE_ELEMENTS, read, slot->writer - 1, value);
    return 0;
}

/* A read shows elements of the longest list that no read before it did. */
static int32_t judge_beginning(struct lists *lists, int32_t read)
{
    int32_t length = length_of(lists, read);
    for (int32_t p = lists->covered; p < length; p++) {
        int32_t value = lists->longest[p];
        if (lists->writer[p] == NOWHERE &&
            judge_element(lists, read, value, slot_of(lists, value)->position != p + 1) != 0)
            return -1;
    }
    if (length > lists->covered)
        lists->covered = length;
    return 0;
}

/* A list that does not begin the longest one. */
static int32_t judge_apart(struct lists *lists, const struct run *run, int32_t read)
{
    struct engine *engine = lists->engine;
    const int32_t *items = items_of(lists, read);
    int32_t length = length_of(lists, read);
    uint32_t mark = ++engine->mark;
    int32_t last = length == 0 ? TRANSACTIONS_NONE : items[length - 1];
    if (lists_report(lists, TRANSACTIONS_INCOMPATIBLE_ORDER, read, lists->longest_entry, last) != 0)
        return -1;
    for (int32_t p = 0; p < length; p++) {
        struct slot *slot = slot_of(lists, items[p]);
        int32_t writer = writer_of(slot);
        bool is_again = slot->mark == mark;
        slot->mark = mark;
        slot->is_seen = true;
        if (judge_element(lists, read, items[p], is_again) != 0)
            return -1;
        if (writer == NOWHERE)
            continue;
        if (!is_failed_entry(lists, writer))
            engine->counts[entry_of(lists, writer).operation] = true;
        if (writer > read && writer < run->end &&
            lists_report(lists, TRANSACTIONS_FUTURE_READ, read, writer, items[p]) != 0)
            return -1;
    }
    return 0;
}

/*
 * How many of the transaction's own appends before `e` stand at the end of the list that `e` read:
 * all of them back to `stop`, or NOWHERE.
 */
static int32_t own_end(const struct lists *lists, int32_t e, int32_t stop)
{
    const int32_t *items = items_of(lists, e);
    int32_t left = length_of(lists, e);
    for (int32_t before = e - 1; before >= stop; before--) {
        if (!is_append(lists, before))
            continue;
        if (left == 0 || items[left - 1] != value_of(lists, before))
            return NOWHERE;
        left--;
    }
    return length_of(lists, e) - left;
}

/* Whether a read is what the transaction's last read and its own appends since make it. */
static bool is_repeatable(const struct lists *lists, const struct run *run, int32_t e)
{
    int32_t length = length_of(lists, run->read);
    return (int64_t)length + run->since == length_of(lists, e) &&
           is_equal(items_of(lists, e), items_of(lists, run->read), length) &&
           own_end(lists, e, run->read + 1) == run->since;
}

/* Two that read one version and both append to it. */
static int32_t judge_update(struct lists *lists, const struct run *run, int32_t read, int32_t shown)
{
    if (!run->is_appending)
        return 0;
    int32_t value = shown == 0 ? TRANSACTIONS_NONE : lists->longest[shown - 1];
    if (lists->updater[shown] != NOWHERE)
        return lists_report(lists, TRANSACTIONS_LOST_UPDATE, read, lists->updater[shown], value);
    lists->updater[shown] = read;
    return 0;
}

/* The first `shown` elements that a read returned are what others had appended before. */
static int32_t depend(struct lists *lists, const struct run *run, int32_t read, int32_t shown,
                      bool is_beginning)
{
    struct engine *engine = lists->engine;
    int32_t self = run->operation;
    if (shown > 0) {
        int32_t last = items_of(lists, read)[shown - 1];
        const struct slot *slot = slot_of(lists, last);
        int32_t writer = writer_of(slot);
        int32_t other = writer == NOWHERE ? self : entry_of(lists, writer).operation;
        if (other != self && !is_failed(engine, other)) {
            if (!slot->is_final && lists_report(lists, TRANSACTIONS_G1B, read, writer, last) != 0)
                return -1;
            if (engine_depend(engine, other, self, GRAPH_WR, lists->key) != 0)
                return -1;
        }
    }
    if (!is_beginning)
        return 0;
    int32_t next = lists->next[shown];
    if (next < lists->length)
        return engine_depend(engine, self, entry_of(lists, lists->writer[next]).operation, GRAPH_RW,
                             lists->key);
    if (lists->finals_n == 0 || lists->finals[lists->finals_n - 1] != self)
        lists->finals[lists->finals_n++] = self;
    return 0;
}

static int32_t judge_read(struct lists *lists, struct run *run, int32_t e)
{
    int32_t length = length_of(lists, e);
    bool is_beginning = is_compatible(lists, e);
    bool is_first = run->read == NOWHERE;
    bool is_known = !is_first && is_repeatable(lists, run, e);
    int32_t own = is_known ? NOWHERE : own_end(lists, e, run->first);
    is_known = is_known || (is_first && own != NOWHERE);
    if ((is_beginning ? judge_beginning(lists, e) : judge_apart(lists, run, e)) != 0)
        return -1;
    if (!is_known) {
        int32_t other = run->since > 0 ? e - 1 : run->read;
        while (run->since > 0 && !is_append(lists, other))
            other--;
        int32_t last = length == 0 ? TRANSACTIONS_NONE : items_of(lists, e)[length - 1];
        if (lists_report(lists, TRANSACTIONS_INTERNAL, e, other, last) != 0)
            return -1;
    }
    int32_t shown = length - (own == NOWHERE ? 0 : own);
    if (is_first && is_beginning && judge_update(lists, run, e, shown) != 0)
        return -1;
    if ((is_first || !is_known) && depend(lists, run, e, shown, is_beginning) != 0)
        return -1;
    if (is_beginning && length > run->shown) {
        run->shown = length;
        run->shown_by = e;
    }
    run->read = e;
    run->since = 0;
    return 0;
}

static int32_t judge_run(struct lists *lists, struct run *run)
{
    for (int32_t e = run->first; e < run->end && !run->is_appending; e++)
        run->is_appending = is_append(lists, e);
    for (int32_t e = run->first; e < run->end; e++) {
        if (is_append(lists, e)) {
            const struct slot *slot = slot_of(lists, value_of(lists, e));
            run->since++;
            if (writer_of(slot) == e && slot->position != 0 && slot->position <= run->shown &&
                lists_report(lists, TRANSACTIONS_FUTURE_READ, run->shown_by, e,
                             value_of(lists, e)) != 0)
                return -1;
        } else if (is_read(lists, e) && judge_read(lists, run, e) != 0) {
            return -1;
        }
    }
    return 0;
}

static int32_t judge_runs(struct lists *lists)
{
    for (int32_t e = lists->first; e < lists->end;) {
        struct run run = {e, e, entry_of(lists, e).operation, false, NOWHERE, 0, 0, NOWHERE};
        while (run.end < lists->end && entry_of(lists, run.end).operation == run.operation)
            run.end++;
        if (is_ok(lists->engine, run.operation) && judge_run(lists, &run) != 0)
            return -1;
        e = run.end;
    }
    return 0;
}

/* Back to what the tables were before the key. */
static void clear(struct lists *lists)
{
    for (int32_t e = lists->first; e < lists->end; e++) {
        if (is_append(lists, e))
            *slot_of(lists, value_of(lists, e)) = (struct slot){0};
        else if (is_read(lists, e) && is_ok(lists->engine, entry_of(lists, e).operation) &&
                 items_of(lists, e) != lists->longest)
            for (int32_t p = 0; p < length_of(lists, e); p++)
                *slot_of(lists, items_of(lists, e)[p]) = (struct slot){0};
    }
    for (int32_t p = 0; p < lists->length; p++)
        *slot_of(lists, lists->longest[p]) = (struct slot){0};
}

static int32_t judge_key(struct lists *lists)
{
    lists->covered = lists->finals_n = lists->unseen_n = 0;
    keys_index(lists->engine, lists->key);
    find_longest(lists);
    place_elements(lists);
    if (judge_runs(lists) != 0 || lists_order(lists) != 0)
        return -1;
    clear(lists);
    return 0;
}

static bool open_lists(struct lists *lists)
{
    struct engine *engine = lists->engine;
    int32_t most = 0;
    for (int32_t key = 0; key < engine->keys_n; key++)
        if (engine->key_first[key + 1] - engine->key_first[key] > most)
            most = engine->key_first[key + 1] - engine->key_first[key];
    lists->positions_max = (int64_t)engine->length_max + 1;
    lists->entries_max = most;
    lists->writer = engine_zeros(engine, lists->positions_max, sizeof *lists->writer);
    lists->next = engine_zeros(engine, lists->positions_max, sizeof *lists->next);
    lists->updater = engine_zeros(engine, lists->positions_max, sizeof *lists->updater);
    lists->finals = engine_zeros(engine, lists->entries_max, sizeof *lists->finals);
    lists->unseen = engine_zeros(engine, lists->entries_max, sizeof *lists->unseen);
    return lists->writer != NULL && lists->next != NULL && lists->updater != NULL &&
           lists->finals != NULL && lists->unseen != NULL;
}

static void close_lists(struct lists *lists)
{
    struct engine *engine = lists->engine;
    engine_release(engine, lists->writer, lists->positions_max, sizeof *lists->writer);
    engine_release(engine, lists->next, lists->positions_max, sizeof *lists->next);
    engine_release(engine, lists->updater, lists->positions_max, sizeof *lists->updater);
    engine_release(engine, lists->finals, lists->entries_max, sizeof *lists->finals);
    engine_release(engine, lists->unseen, lists->entries_max, sizeof *lists->unseen);
}

int32_t lists_infer(struct engine *engine)
{
    struct lists lists = {.engine = engine};
    int32_t status = open_lists(&lists) ? 0 : -1;
    for (int32_t key = 0; status == 0 && key < engine->keys_n; key++) {
        lists.key = key;
        lists.first = engine->key_first[key];
        lists.end = engine->key_first[key + 1];
        status = judge_key(&lists);
    }
    close_lists(&lists);
    return status;
}
