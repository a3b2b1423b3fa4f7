/*
 * record.h: one event after the other becomes columns.
 *
 * An invocation opens an operation of its process, the next event of the process completes it; after
 * an info a process never returns. The rules are those of `History.operations`.
 */
#ifndef DISSEVER_RECORD_H
#define DISSEVER_RECORD_H

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "intern.h"

#define NS_PER_EVENT 1000000

enum event_type { EVENT_INVOKE = 0, EVENT_OK = 1, EVENT_FAIL = 2, EVENT_INFO = 3, EVENT_NONE = 4 };

enum process_state { PROCESS_FREE = -1, PROCESS_ENDED = -2 };

/* A client process, and the operation that it has open or a process_state. */
struct process_slot {
    int32_t process;
    int32_t open;
    bool is_used;
};

/* Ids of short names, by a hash of the name. */
struct name_cache {
    uint64_t words[16]; /* 0 is empty: a name's word holds its length */
    int32_t ids[16];
};

/* One event as it is read; the ids are those of `values`, but for f and node. */
struct event {
    const uint8_t *at;
    int64_t index, time;
    int64_t process;
    int32_t f, value, key, node, error;
    enum event_type type;
    bool has_index, has_time, has_process, has_pair, is_client, is_cas;
};

struct load {
    struct loaded loaded; /* first: the caller holds a pointer to it */
    char message[LOAD_MESSAGE_BYTES];
    const uint8_t *begin, *at, *end;
    bool keyed;
    bool skips;    /* what is read now is not interned */
    bool is_whole; /* the line is an event, whatever else is wrong */

    struct intern values, fs, nodes, fields, keys;
    struct name_cache fs_cache, nodes_cache;
    int64_t *field_counts;
    uint8_t *text; /* a text with its escapes resolved */
    size_t text_capacity;
    int32_t *stack; /* items of the lists and maps that are open */
    size_t stack_n, stack_capacity;

    struct process_slot *processes;
    size_t processes_n, processes_used;
    int64_t last_index;

    size_t capacity; /* of every column */
    int8_t *type;
    uint16_t *f, *node;
    int32_t *process, *key, *value_in, *value_out, *a, *b, *inv, *ret;
    int64_t *inv_time, *ret_time;
    int32_t n;
    struct load_detail *details;
    size_t details_n, details_capacity;
};

/* Set the error, unless there is one. Returns false. */
__attribute__((format(printf, 4, 5))) static bool fail(struct load *l, int32_t status,
                                                       const uint8_t *at, const char *format, ...)
{
    if (l->loaded.status != LOAD_OK)
        return false;
    l->loaded.status = status;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(l->message, sizeof l->message, format, arguments);
    va_end(arguments);
    const uint8_t *line_start = l->begin;
    l->loaded.line = 1;
    for (const uint8_t *next; (next = memchr(line_start, '\n', (size_t)(at - line_start)));) {
        line_start = next + 1;
        l->loaded.line++;
    }
    l->loaded.column = (uint64_t)(at - line_start) + 1;
    return false;
}

static bool no_memory(struct load *l)
{
    return fail(l, LOAD_NO_MEMORY, l->at, "out of memory, or of ids for values");
}

static bool malformed(struct load *l, const struct event *event, const char *what)
{
    l->loaded.index = event->index;
    return fail(l, LOAD_MALFORMED, event->at, "process %lld %s", (long long)event->process, what);
}

static bool processes_rehash(struct load *l)
{
    size_t next = l->processes_n ? l->processes_n * 2 : 64;
    struct process_slot *slots = calloc(next, sizeof *slots);
    if (!slots)
        return no_memory(l);
    for (size_t i = 0; i < l->processes_n; i++) {
        if (!l->processes[i].is_used)
            continue;
        size_t at = mixed(l->values.seed ^ (uint32_t)l->processes[i].process) & (next - 1);
        while (slots[at].is_used)
            at = (at + 1) & (next - 1);
        slots[at] = l->processes[i];
    }
    free(l->processes);
    l->processes = slots;
    l->processes_n = next;
    return true;
}

/* The slot of a process, or NULL without memory. */
static struct process_slot *process_slot(struct load *l, int32_t process)
{
    if (l->processes_used * 2 >= l->processes_n && !processes_rehash(l))
        return NULL;
    size_t at = mixed(l->values.seed ^ (uint32_t)process) & (l->processes_n - 1);
    while (l->processes[at].is_used && l->processes[at].process != process)
        at = (at + 1) & (l->processes_n - 1);
    if (!l->processes[at].is_used) {
        l->processes[at] = (struct process_slot){process, PROCESS_FREE, true};
        l->processes_used++;
    }
    return &l->processes[at];
}

#define RESIZE(column)                                                                             \
    do {                                                                                           \
        void *moved = realloc(l->column, capacity * sizeof *l->column);                            \
        if (!moved)                                                                                \
            return no_memory(l);                                                                   \
        l->column = moved;                                                                         \
    } while (0)

/* Give every column a capacity of at least 1. */
static bool columns_resize(struct load *l, size_t capacity)
{
    if (capacity > INT32_MAX)
        return fail(l, LOAD_SYNTAX, l->at, "expected at most 2^30 operations");
    RESIZE(type);
    RESIZE(process);
    RESIZE(f);
    RESIZE(node);
    RESIZE(key);
    RESIZE(value_in);
    RESIZE(value_out);
    RESIZE(a);
    RESIZE(b);
    RESIZE(inv);
    RESIZE(ret);
    RESIZE(inv_time);
    RESIZE(ret_time);
    l->capacity = capacity;
    return true;
}

static bool add_detail(struct load *l, int32_t operation, const struct event *event)
{
    if (l->details_n == l->details_capacity) {
        void *moved = l->details_n == INT32_MAX ? NULL
                                                : grown(l->details, &l->details_capacity,
                                                        l->details_n + 1, sizeof *l->details);
        if (!moved)
            return no_memory(l);
        l->details = moved;
    }
    l->details[l->details_n++] = (struct load_detail){
        operation, (int32_t)event->index, event->type != EVENT_INVOKE,
        event->value, event->key, event->node, event->error,
    };
    return true;
}

static bool record_invocation(struct load *l, struct process_slot *slot, const struct event *event)
{
    if (slot->open >= 0)
        return malformed(l, event, "already has an open operation");
    if (slot->open == PROCESS_ENDED)
        return malformed(l, event, "goes on after an info");
    if ((size_t)l->n == l->capacity && !columns_resize(l, l->capacity ? l->capacity * 2 : 64))
        return false;
    int32_t key = intern_word(&l->keys, LOAD_INTEGER, event->key);
    if (key < 0)
        return no_memory(l);
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
    slot->open = l->n++;
    return !event->error || add_detail(l, slot->open, event);
}

static bool record_completion(struct load *l, struct process_slot *slot, const struct event *event)
{
    if (slot->open < 0)
        return malformed(l, event, "completes what it never invoked");
    int32_t operation = slot->open;
    if (l->f[operation] != (uint16_t)event->f)
        return malformed(l, event, "completes another operation than it invoked");
    bool is_info = event->type == EVENT_INFO;
    bool is_ok = event->type == EVENT_OK;
    slot->open = is_info ? PROCESS_ENDED : PROCESS_FREE;
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

/* Add an event whose fields were read: number it, time it, pair it. */
static bool record(struct load *l, struct event *event)
{
    if (!event->has_index)
        event->index = l->loaded.events;
    if (event->index <= l->last_index)
        return fail(l, LOAD_SYNTAX, event->at, "expected an index after %lld, got %lld",
                    (long long)l->last_index, (long long)event->index);
    if (event->index >= INT32_MAX)
        return fail(l, LOAD_SYNTAX, event->at, "expected an index below 2^31 - 1");
    l->last_index = event->index;
    l->loaded.events++;
    if (!event->has_time) {
        event->time = event->index * NS_PER_EVENT;
        l->loaded.untimed++;
    }
    if (!event->is_client) {
        l->loaded.nemeses++;
        return true;
    }
    if (event->process < INT32_MIN || event->process > INT32_MAX)
        return fail(l, LOAD_SYNTAX, event->at, "expected a process of 32 bits");
    struct process_slot *slot = process_slot(l, (int32_t)event->process);
    if (!slot)
        return false;
    return event->type == EVENT_INVOKE ? record_invocation(l, slot, event)
                                       : record_completion(l, slot, event);
}

#endif
