/*
 * lists.c: reads of lists, compared with the longest list of their key (see lists.h).
 */
#include "lists.h"

#include <stdlib.h>

/* The longest list of a key; n is 0 and `version` -1 as long as it was not read. */
struct list_key {
    int32_t *items;
    size_t n, capacity;
    int64_t *ends; /* of the first `covered` items: where each ends in the text */
    size_t covered, ends_capacity;
    const uint8_t *text; /* what stands after the opening bracket */
    int64_t version;
};

/* A list that is the longest of its key, or was it. One that was replaced is kept in `others`. */
struct list_version {
    int64_t other;  /* -1 of one that is the longest */
    int64_t length; /* of one that was replaced */
    int64_t agreed; /* how many items it begins with that the longest list begins with */
    int32_t key;
};

static bool new_version(struct load *l, int32_t key)
{
    struct lists *lists = &l->lists;
    LOAD_GROW(lists->versions, lists->versions_capacity, lists->versions_n + 1);
    int64_t version = (int64_t)lists->versions_n++;
    lists->versions[version] = (struct list_version){-1, 0, 0, key};
    lists->keys[key].version = version;
    return true;
}

/* The list of a key; NULL without memory. */
static struct list_key *list_of(struct load *l, int32_t key)
{
    struct lists *lists = &l->lists;
    if ((size_t)key >= lists->keys_capacity) {
        void *moved = load_grown(lists->keys, &lists->keys_capacity, (size_t)key + 1,
                                 sizeof *lists->keys);
        if (!moved) {
            load_no_memory(l);
            return NULL;
        }
        lists->keys = moved;
    }
    while (lists->keys_n <= (size_t)key)
        lists->keys[lists->keys_n++] = (struct list_key){.version = -1};
    return &lists->keys[key];
}

/* How many bytes two texts have in common at their beginnings. */
static size_t common_bytes(const uint8_t *a, const uint8_t *b, size_t length)
{
    size_t i = 0;
    for (; i + 32 <= length; i += 32)
        if (memcmp(a + i, b + i, 32) != 0)
            break;
    while (i < length && a[i] == b[i])
        i++;
    return i;
}

/* How many items of a text end at a byte or before it. */
static size_t items_within(const struct list_key *key, size_t bytes)
{
    size_t low = 0, high = key->covered;
    if (high && (size_t)key->ends[high - 1] <= bytes)
        return high;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((size_t)key->ends[middle] <= bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Whether an item that ends before this byte is known to end there. */
static bool is_apart(uint8_t c)
{
    return is_blank(c) || c == ',';
}

/* Keep a list whole: `common` items of the longest, then those at `ids`. */
static bool keep_other(struct load *l, const struct list_key *key, size_t common,
                       const int32_t *ids, size_t n, struct list_read *read)
{
    struct lists *lists = &l->lists;
    LOAD_GROW(lists->others, lists->others_capacity, lists->others_n + common + n);
    read->list = (int64_t)lists->others_n;
    if (common)
        memcpy(lists->others + lists->others_n, key->items, common * sizeof *ids);
    if (n)
        memcpy(lists->others + lists->others_n + common, ids, n * sizeof *ids);
    lists->others_n += common + n;
    return true;
}

/* Put the longest list of a key aside, because a longer one begins with `common` of its items. */
static bool replace(struct load *l, int32_t number, size_t common)
{
    struct list_key *key = &l->lists.keys[number];
    struct list_read whole;
    int64_t before = key->version;
    if (!keep_other(l, key, key->n, NULL, 0, &whole) || !new_version(l, number))
        return false;
    l->lists.versions[before].other = whole.list;
    l->lists.versions[before].length = (int64_t)key->n;
    key->n = common;
    if (key->covered > common)
        key->covered = common;
    return true;
}

/*
 * Place a list whose first `same` items are those of the longest, and whose others are at `ids`,
 * `n` of them. Sets `grew` to where the longest differs from what it was, if it does.
 */
static bool place(struct load *l, int32_t number, size_t same, const int32_t *ids, size_t n,
                  bool counts, struct list_read *read, size_t *grew)
{
    struct list_key *key = &l->lists.keys[number];
    size_t total = same + n, next = 0;
    if (total > LOAD_ITEMS_MAX)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected at most %d items", LOAD_ITEMS_MAX);
    read->length = (int32_t)total;
    *grew = SIZE_MAX;
    while (next < n && same < key->n && key->items[same] == ids[next]) {
        same++;
        next++;
    }
    bool is_beginning = next == n, is_longer = total > key->n && same == key->n;
    if (key->version >= 0 && is_beginning) {
        read->list = LIST_VERSION - key->version;
        return true;
    }
    if (!counts || (key->version >= 0 && total <= key->n))
        return keep_other(l, key, same, ids + next, n - next, read);
    if (key->version < 0 ? !new_version(l, number) : !is_longer && !replace(l, number, same))
        return false;
    LOAD_GROW(key->items, key->capacity, total);
    if (n > next)
        memcpy(key->items + same, ids + next, (n - next) * sizeof *ids);
    key->n = total;
    *grew = same;
    read->list = LIST_VERSION - key->version;
    return true;
}

bool lists_take(struct load *l, const int32_t *ids, size_t n, int32_t key, bool counts,
                struct list_read *read)
{
    size_t grew;
    return list_of(l, key) && place(l, key, 0, ids, n, counts, read, &grew);
}

/* Let the text of a list, whose items from `from` on end at `ends`, be that of the longest. */
static bool cover(struct load *l, struct list_key *key, const uint8_t *text, size_t from, size_t n)
{
    LOAD_GROW(key->ends, key->ends_capacity, from + n);
    if (n)
        memcpy(key->ends + from, l->lists.ends, n * sizeof *key->ends);
    key->text = text;
    key->covered = from + n;
    return true;
}

bool lists_read(struct load *l, const struct notation *notation, int32_t number, bool counts,
                struct list_read *read)
{
    const uint8_t *start = l->at, *text = start + 1;
    struct list_key *key = list_of(l, number);
    if (!key)
        return false;
    uint8_t closing = *start == '(' ? ')' : ']';
    size_t left = (size_t)(l->end - text), from = l->stack_n, grew;
    size_t covered = key->covered ? (size_t)key->ends[key->covered - 1] : 0;
    size_t bytes = common_bytes(text, key->text, covered < left ? covered : left);
    size_t same = items_within(key, bytes), end = same ? (size_t)key->ends[same - 1] : 0;
    if (key->version >= 0 && end == bytes && bytes < left && text[bytes] == closing) {
        *read = (struct list_read){LIST_VERSION - key->version, (int32_t)same};
        l->at = text + bytes + 1;
        return true;
    }
    if (same && end == bytes && (bytes == left || !is_apart(text[bytes])))
        same--; /* the item may go on: 1 and 12 */
    l->at = text + (same ? key->ends[same - 1] : 0);
    size_t n = 0;
    while (notation->more(l, start, 4, same + n == 0)) {
        int32_t id = notation->form(l, 4);
        LOAD_GROW(l->lists.ends, l->lists.ends_capacity, n + 1);
        if (id < 0 || !value_push(l, id))
            return false;
        l->lists.ends[n++] = l->at - text;
    }
    l->stack_n = from;
    if (l->loaded.status != LOAD_OK ||
        !place(l, number, same, l->stack + from, n, counts, read, &grew))
        return false;
    return grew == SIZE_MAX || cover(l, &l->lists.keys[number], text, same, n);
}

/* How many items a list in `others` begins with that the longest list of its key begins with. */
static int64_t agreement(const struct lists *lists, int32_t number, int64_t other, int64_t length)
{
    int64_t n = 0;
    if ((size_t)number >= lists->keys_n || lists->keys[number].version < 0)
        return -1; /* no ok read of it: nothing is the longest, not even the empty list */
    const struct list_key *key = &lists->keys[number];
    while (n < length && n < (int64_t)key->n && lists->others[other + n] == key->items[n])
        n++;
    return n;
}

bool lists_finish(struct load *l, size_t keys_n, int32_t **items, int64_t *items_n,
                  int64_t **longest, int32_t **longest_length)
{
    struct lists *lists = &l->lists;
    size_t total = lists->others_n, at = 0;
    for (size_t i = 0; i < lists->keys_n; i++)
        total += lists->keys[i].n;
    *items = malloc((total ? total : 1) * sizeof **items);
    *longest = malloc((keys_n ? keys_n : 1) * sizeof **longest);
    *longest_length = malloc((keys_n ? keys_n : 1) * sizeof **longest_length);
    if (!*items || !*longest || !*longest_length)
        return load_no_memory(l);
    for (size_t i = 0; i < keys_n; i++) {
        bool is_read = i < lists->keys_n && lists->keys[i].version >= 0;
        (*longest)[i] = is_read ? (int64_t)at : LIST_NONE;
        (*longest_length)[i] = is_read ? (int32_t)lists->keys[i].n : LIST_NONE;
        if (is_read && lists->keys[i].n)
            memcpy(*items + at, lists->keys[i].items, lists->keys[i].n * sizeof **items);
        at += is_read ? lists->keys[i].n : 0;
    }
    if (lists->others_n)
        memcpy(*items + at, lists->others, lists->others_n * sizeof **items);
    *items_n = (int64_t)total;
    for (size_t i = 0; i < lists->versions_n; i++) {
        struct list_version *version = &lists->versions[i];
        if (version->other >= 0)
            version->agreed = agreement(lists, version->key, version->other, version->length);
    }
    return true;
}

int64_t lists_place(const struct lists *lists, const int64_t *longest, int64_t items_n, int32_t key,
                    int64_t list, int32_t length)
{
    if (list == LIST_NONE)
        return LIST_NONE;
    int64_t agreed, other = list;
    if (list >= 0) {
        agreed = agreement(lists, key, other, length);
    } else {
        const struct list_version *version = &lists->versions[LIST_VERSION - list];
        other = version->other;
        agreed = other < 0 ? length : version->agreed;
    }
    return agreed >= length ? longest[key] : items_n - (int64_t)lists->others_n + other;
}

void lists_free(struct lists *lists)
{
    for (size_t i = 0; i < lists->keys_n; i++) {
        free(lists->keys[i].items);
        free(lists->keys[i].ends);
    }
    free(lists->keys);
    free(lists->versions);
    free(lists->others);
    free(lists->ends);
}
