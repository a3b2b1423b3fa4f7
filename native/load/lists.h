/*
 * lists.h: the lists that keys were read as.
 *
 * Of each key the longest list is kept, with its text in the input. A read whose bytes begin like
 * that text is compared in one pass and no number of it is read; only what follows the place where
 * the bytes differ is read item by item. A list that is no beginning of the longest is kept whole.
 * On an error the functions set it, and return false.
 */
#ifndef DISSEVER_LISTS_H
#define DISSEVER_LISTS_H

#include "values.h"

/* How one notation writes lists and what is in them. */
struct notation {
    /* Whether another item comes before the closing bracket. If none does, the bracket is read.
     * False also on an error. `start` is the opening bracket. */
    bool (*more)(struct load *l, const uint8_t *start, int depth, bool is_first);
    /* Read the value that begins here; returns its id, or -1. */
    int32_t (*form)(struct load *l, int depth);
    bool has_keywords; /* :r as well as "r" */
};

extern const struct notation edn_notation, json_notation;

/* Where a list is until `lists_finish`: LIST_NONE, a place in `others`, LIST_VERSION - version. */
#define LIST_NONE (-1)
#define LIST_VERSION (-2)

/* Let an array have room for `needed` items; otherwise the error is set, and false returned. */
#define LOAD_GROW(array, capacity, needed)                                                         \
    do {                                                                                           \
        if ((needed) > (capacity)) {                                                               \
            void *moved = load_grown(array, &(capacity), needed, sizeof *(array));                 \
            if (!moved)                                                                            \
                return load_no_memory(l);                                                          \
            (array) = moved;                                                                       \
        }                                                                                          \
    } while (0)

/* A read: where its list is, and how many items it has. */
struct list_read {
    int64_t list;
    int32_t length;
};

/*
 * Read the list that begins here with a bracket, as an answer about a key from 0 on. Its text must
 * stay where it is. If `counts`, it may become the longest list of the key.
 */
bool lists_read(struct load *l, const struct notation *notation, int32_t key, bool counts,
                struct list_read *read);

/* As lists_read, of the ids of a list that was read already. */
bool lists_take(struct load *l, const int32_t *ids, size_t n, int32_t key, bool counts,
                struct list_read *read);

/*
 * Put all lists into one array, the longest of each key first, and say of each key from 0 to
 * keys_n - 1 where its longest is (LIST_NONE unread) and how many items it has (LIST_NONE
 * likewise). The caller frees the three arrays. After it, `lists_place` gives the place of a read.
 */
bool lists_finish(struct load *l, size_t keys_n, int32_t **items, int64_t *items_n,
                  int64_t **longest, int32_t **longest_length);

int64_t lists_place(const struct lists *lists, const int64_t *longest, int64_t items_n, int32_t key,
                    int64_t list, int32_t length);

void lists_free(struct lists *lists);

#endif
