/*
 * record.c: names and pairs of events, processes with their open operations, and the columns.
 */
#include "record.h"

#include <stdlib.h>

#define NS_PER_EVENT 1000000 /* between events without a time */

enum process_state { PROCESS_FREE = -1, PROCESS_ENDED = -2 };

int32_t event_name_slowly(struct load *l, struct intern *names, struct span text,
                          int32_t count_max)
{
    if (text.length > LOAD_TEXT_BYTES_MAX)
        return NO_ID(l, l->at, "expected a name of at most %d bytes", LOAD_TEXT_BYTES_MAX);
    int32_t id = intern_data(names, LOAD_TEXT, text.at, text.length);
    if (id < 0)
        load_no_memory(l);
    return id < count_max ? id : NO_ID(l, l->at, "expected at most %d names", count_max);
}

bool event_leave_out(struct load *l, struct span name)
{
    static const char rest[] = "(others)";
    if (l->fields.n >= LOAD_FIELDS_MAX || name.length > 100)
        name = (struct span){(const uint8_t *)rest, sizeof rest - 1};
    int32_t id = event_name_slowly(l, &l->fields, name, LOAD_FIELDS_MAX + 1);
    if (id >= 0)
        l->field_counts[id]++;
    return id >= 0;
}

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

bool event_divide(struct load *l, struct event *event)
{
    if (event->is_client && !event->has_pair)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected [key value] as the value");
    if (event->is_client) {
        event->key = event->pair_key;
        event->value = event->pair_value;
        return true;
    }
    size_t from = l->stack_n;
    if (!event->has_pair)
        return true;
    if (!value_push(l, event->pair_key) || !value_push(l, event->pair_value))
        return false;
    event->value = value_pop_list(l, from);
    return event->value >= 0;
}

const char *event_missing(const struct event *event)
{
    if (!event->has_process)
        return "process";
    if (event->type == EVENT_NONE)
        return "type";
    return event->f < 0 ? "f" : NULL;
}

static bool malformed(struct load *l, const struct event *event, const char *what)
{
    l->loaded.index = event->index;
    return load_fail(l, LOAD_MALFORMED, event->at, "process %lld %s", (long long)event->process,
                     what);
}

static bool completes_another(struct load *l, const struct event *event, int32_t invoked)
{
    struct span asked = {intern_bytes(&l->fs, invoked), intern_length(&l->fs, invoked)};
    struct span got = {intern_bytes(&l->fs, event->f), intern_length(&l->fs, event->f)};
    l->loaded.index = event->index;
    return load_fail(l, LOAD_MALFORMED, event->at,
                     "process %lld invoked '%.*s', completed '%.*s'", (long long)event->process,
                     SPAN_SHOWN(asked), SPAN_SHOWN(got));
}

/* The operation that a client process has open, or its process_state; NULL without memory. */
static int32_t *open_of(struct load *l, int32_t process)
{
    int32_t before = l->processes.n;
    int32_t id = intern_word(&l->processes, LOAD_INTEGER, process);
    if (id < 0)
        return NULL;
    if ((size_t)id == l->open_capacity) {
        void *moved = load_grown(l->open, &l->open_capacity, (size_t)id + 1, sizeof *l->open);
        if (!moved)
            return NULL;
        l->open = moved;
    }
    if (id == before)
        l->open[id] = PROCESS_FREE;
    return &l->open[id];
}

#define RESIZE(item, column)                                                                       \
    {                                                                                              \
        void *moved = realloc(l->column, capacity * sizeof(item));                                 \
        if (!moved)                                                                                \
            return load_no_memory(l);                                                              \
        l->column = moved;                                                                         \
    }

bool record_resize(struct load *l, size_t capacity)
{
    if (capacity > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, l->at, "expected at most 2^30 operations");
    LOAD_COLUMNS(RESIZE)
    RESIZE(uint16_t, node)
    l->capacity = capacity;
    return true;
}

static bool add_detail(struct load *l, int32_t operation, const struct event *event)
{
    if (l->details_n == l->details_capacity) {
        void *moved = l->details_n == INT32_MAX ? NULL
                                                : load_grown(l->details, &l->details_capacity,
                                                        l->details_n + 1, sizeof *l->details);
        if (!moved)
            return load_no_memory(l);
        l->details = moved;
    }
    l->details[l->details_n++] = (struct load_detail){
        operation, (int32_t)event->index, event->type != LOAD_EVENT_INVOKE,
        event->value, event->key, event->node, event->error,
    };
    return true;
}

static bool record_invocation(struct load *l, int32_t *open, const struct event *event)
{
    if (*open >= 0)
        return malformed(l, event, "already has an open operation");
    if (*open == PROCESS_ENDED)
        return malformed(l, event, "goes on after an info");
    if ((size_t)l->n == l->capacity && !record_resize(l, l->capacity ? l->capacity * 2 : 64))
        return false;
    int32_t key = intern_word(&l->keys, LOAD_INTEGER, event->key);
    if (key < 0)
        return load_no_memory(l);
    size_t i = (size_t)l->n;
    l->type[i] = COLUMNS_INFO;
    l->process[i] = (int32_t)event->process;
    l->f[i] = (uint16_t)event->f;
    l->node[i] = (uint16_t)event->node;
    l->key[i] = key;
    l->value_in[i] = event->value;
    l->value_out[i] = -1;
    l->a[i] = event->value;
    l->b[i] = -1;
    l->inv[i] = (int32_t)event->index;
    l->ret[i] = -1;
    l->inv_time[i] = event->time;
    l->ret_time[i] = 0;
    if (event->is_cas && l->values.tags[event->value] == LOAD_LIST &&
        intern_length(&l->values, event->value) == 2 * sizeof(int32_t)) {
        memcpy(&l->a[i], intern_bytes(&l->values, event->value), sizeof(int32_t));
        memcpy(&l->b[i], intern_bytes(&l->values, event->value) + 4, sizeof(int32_t));
    }
    *open = l->n++;
    l->open_n++;
    if (l->open_n > l->loaded.open_max)
        l->loaded.open_max = l->open_n;
    return !event->error || add_detail(l, *open, event);
}

static bool record_completion(struct load *l, int32_t *open, const struct event *event)
{
    if (*open < 0)
        return malformed(l, event, "completes what it never invoked");
    int32_t operation = *open;
    l->open_n--;
    if (l->f[operation] != (uint16_t)event->f)
        return completes_another(l, event, l->f[operation]);
    bool is_info = event->type == LOAD_EVENT_INFO;
    bool is_ok = event->type == LOAD_EVENT_OK;
    *open = is_info ? PROCESS_ENDED : PROCESS_FREE;
    l->type[operation] = is_ok ? COLUMNS_OK : is_info ? COLUMNS_INFO : COLUMNS_FAIL;
    l->value_out[operation] = is_ok ? event->value : -1;
    l->ret[operation] = is_info ? -1 : (int32_t)event->index;
    l->ret_time[operation] = event->time;
    bool is_plain = !is_info && (is_ok || event->value == l->value_in[operation]);
    bool is_at_home = event->node == l->node[operation] &&
                      event->key == l->keys.words[l->key[operation]];
    if (is_plain && is_at_home && !event->error)
        return true;
    return add_detail(l, operation, event);
}

static bool record_nemesis(struct load *l, const struct event *event)
{
    void *moved = l->nemesis_events;
    if (l->nemesis_events_n == l->nemesis_events_capacity)
        moved = load_grown(moved, &l->nemesis_events_capacity, l->nemesis_events_n + 1,
                           sizeof *l->nemesis_events);
    if (!moved)
        return load_no_memory(l);
    l->nemesis_events = moved;
    l->nemesis_events[l->nemesis_events_n++] = (struct load_nemesis_event){
        event->time, (int32_t)event->index, event->nemesis, event->type, event->f,
        event->value, event->key, event->node, event->error,
    };
    return true;
}

bool load_record(struct load *l, struct event *event)
{
    if (!event->has_index)
        event->index = l->loaded.events;
    if (event->index <= l->last_index)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected an index after %lld, got %lld",
                         (long long)l->last_index, (long long)event->index);
    if (event->index >= INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected an index below 2^31 - 1");
    l->last_index = event->index;
    l->loaded.events++;
    if (!event->has_time) {
        event->time = event->index * NS_PER_EVENT;
        l->loaded.untimed++;
    }
    l->loaded.last_time = event->time;
    if (!event->is_client)
        return record_nemesis(l, event);
    if (event->process < INT32_MIN || event->process > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, event->at, "expected a process of 32 bits");
    int32_t *open = open_of(l, (int32_t)event->process);
    if (!open)
        return load_no_memory(l);
    return event->type == LOAD_EVENT_INVOKE ? record_invocation(l, open, event)
                                            : record_completion(l, open, event);
}
