/*
 * lists.h: what the parts that judge keys of lists share (see engine.h).
 */
#ifndef DISSEVER_TRANSACTIONS_LISTS_H
#define DISSEVER_TRANSACTIONS_LISTS_H

#include "engine.h"

#define NOWHERE (-1)

/* The key at hand. Arrays by position have one place more than the longest list has elements. */
struct lists {
    struct engine *engine;
    int32_t key;
    int32_t first, end;    /* its entries */
    const int32_t *longest;
    int32_t length;
    int32_t longest_entry; /* who read it; NOWHERE: nobody read anything */
    int32_t covered;       /* elements of the longest that the reads looked at so far showed */

    int32_t *writer;  /* by position: the entry of a transaction that counts, or NOWHERE */
    int32_t *next;    /* by position: the first with a writer from there on, or the length */
    int32_t *updater; /* by position: the first that read so much and appends, or NOWHERE */
    int32_t *finals;  /* operations that read the final state */
    int32_t finals_n;
    int32_t *unseen;  /* operations with an append that no read shows */
    int32_t unseen_n;
    int64_t positions_max, entries_max;
};

static inline struct entry entry_of(const struct lists *lists, int32_t e)
{
    return lists->engine->entries[e];
}

static inline int32_t value_of(const struct lists *lists, int32_t e)
{
    return lists->engine->micro->value[entry_of(lists, e).micro];
}

static inline bool is_append(const struct lists *lists, int32_t e)
{
    return lists->engine->micro->kind[entry_of(lists, e).micro] == MICRO_APPEND;
}

/* A read that has an answer: a list, or nil for the empty one. */
static inline bool is_read(const struct lists *lists, int32_t e)
{
    const struct micro *micro = lists->engine->micro;
    int32_t at = entry_of(lists, e).micro;
    return micro->kind[at] == MICRO_READ &&
           (micro->list[at] != MICRO_NONE || micro->value[at] == 0);
}

static inline int32_t length_of(const struct lists *lists, int32_t e)
{
    const struct micro *micro = lists->engine->micro;
    int32_t at = entry_of(lists, e).micro;
    return micro->list[at] == MICRO_NONE ? 0 : micro->length[at];
}

static inline const int32_t *items_of(const struct lists *lists, int32_t e)
{
    const struct micro *micro = lists->engine->micro;
    int64_t place = micro->list[entry_of(lists, e).micro];
    return micro->items + (place == MICRO_NONE ? 0 : place);
}

static inline struct slot *slot_of(const struct lists *lists, int32_t value)
{
    return &lists->engine->slots[value];
}

/* The entry that certainly appended a value, or NOWHERE. */
static inline int32_t writer_of(const struct slot *slot)
{
    return slot->writer == 0 || slot->is_repeated ? NOWHERE : slot->writer - 1;
}

static inline bool is_failed_entry(const struct lists *lists, int32_t e)
{
    return is_failed(lists->engine, entry_of(lists, e).operation);
}

/* lists.c: count an anomaly of the key at hand; `other` may be NOWHERE. 0 or -1 without memory. */
int32_t lists_report(struct lists *lists, enum transactions_kind kind, int32_t at, int32_t other,
                     int32_t value);

/* appends.c: ww edges, those of appends that nobody read, and how complete the order is. 0 or -1
 * without memory. */
int32_t lists_order(struct lists *lists);

#endif
