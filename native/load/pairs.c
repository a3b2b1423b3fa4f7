/*
 * pairs.c: values of independent objects, each of which has its key inside, and the values of a
 * compare-and-set, in each of the shapes that people write (see record.h).
 */
#include "record.h"

bool event_pop_pair(struct load *l, struct event *event, size_t from)
{
    event->has_pair = l->stack_n - from == 2;
    if (!event->has_pair) {
        event->value = value_pop_list(l, from);
        return event->value >= 0;
    }
    event->pair_key = l->stack[from];
    event->pair_value = l->stack[from + 1];
    l->stack_n = from;
    return true;
}

/* The id of the list of two values, or -1. */
static int32_t pair_of(struct load *l, int32_t first, int32_t second)
{
    size_t from = l->stack_n;
    if (!value_push(l, first) || !value_push(l, second))
        return -1;
    return value_pop_list(l, from);
}

/* How many items a list has, or keys and values together a map; 0 for anything else. */
static size_t length_of(const struct load *l, int32_t value, uint8_t tag)
{
    bool has_items = value && l->values.tags[value] == tag;
    return has_items ? intern_length(&l->values, value) / sizeof(int32_t) : 0;
}

static int32_t item_of(const struct load *l, int32_t value, size_t position)
{
    int32_t item;
    memcpy(&item, intern_bytes(&l->values, value) + position * sizeof item, sizeof item);
    return item;
}

/* The value of a key of a map; false where it has none. */
static bool find(const struct load *l, int32_t map, const char *key, int32_t *value)
{
    for (size_t i = 0; i < length_of(l, map, LOAD_MAP); i += 2) {
        int32_t name = item_of(l, map, i);
        if (intern_length(&l->values, name) == strlen(key) &&
            memcmp(intern_bytes(&l->values, name), key, strlen(key)) == 0) {
            *value = item_of(l, map, i + 1);
            return true;
        }
    }
    return false;
}

bool event_pair_swap(struct load *l, struct event *event)
{
    static const char *const names[][2] = {
        {"old", "new"}, {"from", "to"}, {"expected", "new"}, {"expect", "new"}};
    int32_t before, after;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (find(l, event->value, names[i][0], &before) &&
            find(l, event->value, names[i][1], &after)) {
            event->value = pair_of(l, before, after);
            break;
        }
    return event->value >= 0;
}

/* Divide a map that has a key; false where it has none, or an error is set. */
static bool divide_map(struct load *l, struct event *event)
{
    int32_t value;
    if (!find(l, event->value, "key", &event->key))
        return false;
    if (find(l, event->value, "value", &value)) {
        event->value = value;
        return true;
    }
    return event_pair_swap(l, event);
}

bool event_divide(struct load *l, struct event *event)
{
    if (!event->is_client) {
        if (event->has_pair)
            event->value = pair_of(l, event->pair_key, event->pair_value);
        return event->value >= 0;
    }
    if (event->has_pair) {
        event->key = event->pair_key;
        event->value = event->pair_value;
        return true;
    }
    if (length_of(l, event->value, LOAD_LIST) == 2) { /* a pair behind a tag, or metadata */
        event->key = item_of(l, event->value, 0);
        event->value = item_of(l, event->value, 1);
        return true;
    }
    if (event->is_cas && length_of(l, event->value, LOAD_LIST) == 3) {
        event->key = item_of(l, event->value, 0);
        event->value = pair_of(l, item_of(l, event->value, 1), item_of(l, event->value, 2));
        return event->value >= 0;
    }
    if (divide_map(l, event))
        return true;
    bool may_lack = event->type == LOAD_EVENT_FAIL || event->type == LOAD_EVENT_INFO;
    return may_lack || load_fail(l, LOAD_SYNTAX, event->at,
                                 "expected [key value] as the value, because values are keyed");
}
