/*
 * micro.h: the micro-operations of transactions as flat arrays, beside the columns of columns.h.
 *
 * Operation i of the columns is a transaction: its micro-operations are those from first[i] to
 * first[i + 1] - 1, in the order in which it made them. Of one that is ok they are those of its
 * completion, with what it read; of any other those of its invocation, whose reads say nothing.
 * Keys are dense numbers. Values are ids, as in columns.h: equal exactly when type and value are,
 * and 0 is nil. A list that was read is a run of `items`. The longest list that a key was read
 * with is kept once: a read of its beginning has the same place.
 */
#ifndef DISSEVER_MICRO_H
#define DISSEVER_MICRO_H

#include <stdint.h>

enum micro_kind {
    MICRO_READ = 0,
    MICRO_APPEND = 1,
    MICRO_WRITE = 2
};

#define MICRO_NONE (-1)

struct micro {
    int32_t operations; /* as many as the columns have */
    int64_t n;          /* micro-operations */
    const int64_t *first;   /* operations + 1 places */
    const uint8_t *kind;    /* a micro_kind */
    const int32_t *key;     /* 0 to keys_n - 1 */
    const int32_t *value;   /* what was written, or what a register was read as; MICRO_NONE for a
                               read of a list, and for a read whose answer nobody knows */
    const int64_t *list;    /* of a read of a list: its place in items; else MICRO_NONE */
    const int32_t *length;  /* of a read of a list: how many items; else MICRO_NONE */

    int32_t keys_n;
    const int32_t *keys;           /* key -> the id of its value */
    const int64_t *longest;        /* key -> the place of its longest list; MICRO_NONE unread */
    const int32_t *longest_length; /* key -> how many items that has */

    int64_t items_n;
    const int32_t *items; /* ids of values */
};

#endif
