/*
 * sound.h: whether columns and micro-operations of any content can be read at every place, so that
 * a reader of them need not check any index again.
 */
#ifndef DISSEVER_SOUND_H
#define DISSEVER_SOUND_H

#include <stdbool.h>
#include <stdint.h>

#include "columns.h"
#include "micro.h"

static inline bool sound_is_list(const struct micro *micro, int64_t place, int32_t length)
{
    return place == MICRO_NONE ||
           (place >= 0 && length >= 0 && place <= micro->items_n - length);
}

/* Whether counts, types, kinds, keys, values and lists are those that columns.h and micro.h name. */
static inline bool sound_is_whole(const struct columns *columns, const struct micro *micro)
{
    if (columns->n < 0 || micro->operations != columns->n || micro->n < 0 || micro->items_n < 0 ||
        micro->keys_n < 0 || micro->first[0] != 0 || micro->first[columns->n] != micro->n)
        return false;
    for (int32_t row = 0; row < columns->n; row++)
        if (micro->first[row] > micro->first[row + 1] || columns->type[row] < COLUMNS_OK ||
            columns->type[row] > COLUMNS_INFO)
            return false;
    for (int32_t key = 0; key < micro->keys_n; key++)
        if (!sound_is_list(micro, micro->longest[key], micro->longest_length[key]))
            return false;
    for (int64_t at = 0; at < micro->n; at++) {
        bool is_read = micro->kind[at] == MICRO_READ;
        if (micro->kind[at] > MICRO_WRITE || micro->key[at] < 0 || micro->key[at] >= micro->keys_n ||
            micro->value[at] < (is_read ? MICRO_NONE : 0) || micro->value[at] == INT32_MAX ||
            (is_read && !sound_is_list(micro, micro->list[at], micro->length[at])))
            return false;
    }
    for (int64_t at = 0; at < micro->items_n; at++)
        if (micro->items[at] < 0 || micro->items[at] == INT32_MAX)
            return false;
    return true;
}

#endif
