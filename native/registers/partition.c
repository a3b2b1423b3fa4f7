/*
 * partition.c: a history split by key, with one counting sort and without a copy for each key.
 *
 * Operations that cannot matter are dropped: those that failed, and crashed reads. Time: O(n),
 * about 30 ns an operation. Memory: 12 bytes an operation, and 24 an operation and 4 an event more
 * while it is made; the budget is `max_bytes` of the options.
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include <stdlib.h>
#include <string.h>

#include "pages.h"
#include "worker.h"

static bool is_kept(const struct partition *partition, int32_t operation)
{
    const struct columns *columns = partition->columns;
    int8_t type = columns->type[operation];
    return type == COLUMNS_OK ||
           (type == COLUMNS_INFO && columns->f[operation] != partition->options->read);
}

/* Check one operation; its value columns are used as indices later. */
static bool is_sound(const struct partition *partition, int32_t i)
{
    const struct columns *columns = partition->columns;
    int32_t n_values = partition->options->n_values;
    bool is_ok = columns->type[i] == COLUMNS_OK;
    return columns->key[i] >= 0 && columns->key[i] < partition->options->n_keys &&
           columns->inv[i] >= 0 && columns->value_in[i] >= 0 &&
           columns->value_in[i] < n_values && columns->value_out[i] < n_values &&
           columns->a[i] < n_values && columns->b[i] < n_values &&
           (!is_ok || columns->ret[i] > columns->inv[i]) &&
           (!is_ok || columns->f[i] != partition->options->read || columns->value_out[i] >= 0);
}

/* The number of events of the history up to the last that counts, or -1 past the limit. */
static int32_t count_events(const struct columns *columns)
{
    int32_t last = columns->n > 0 ? columns->inv[columns->n - 1] : -1;
    for (int32_t i = 0; i < columns->n; i++)
        last = columns->ret[i] > last ? columns->ret[i] : last;
    return last >= PARTITION_EVENTS_MAX ? -1 : last + 1;
}

/*
 * Put each event where it stands in the history, as number + 1 or -(number + 1), and count the
 * events and calls of each key. The number is that of the operation, or where there is one key
 * alone that of the call. local: by operation, its number among the calls of its key.
 */
static int survey(struct partition *partition, int32_t *history, int32_t n_events, int32_t *local,
                  int32_t *at)
{
    const struct columns *columns = partition->columns;
    bool is_single = partition->options->n_keys == 1;
    int32_t before = -1;
    for (int32_t i = 0; i < columns->n; i++) {
        if (!is_kept(partition, i))
            continue;
        *at = i;
        int32_t inv = columns->inv[i], ret = columns->ret[i], key = columns->key[i];
        bool is_ok = columns->type[i] == COLUMNS_OK;
        if (!is_sound(partition, i) || inv <= before || inv >= n_events || history[inv] != 0 ||
            (is_ok && history[ret] != 0))
            return SEARCH_MALFORMED;
        before = inv;
        int32_t number = partition->call_start[key + 1]++;
        partition->event_start[key + 1] += is_ok ? 2 : 1;
        if (is_single)
            partition->calls[number] = i;
        else
            local[i] = number;
        number = is_single ? number : i;
        history[inv] = number + 1;
        if (is_ok)
            history[ret] = -(number + 1);
    }
    return SEARCH_OK;
}

/* Turn counts into starts; find the largest key. */
static void accumulate(struct partition *partition)
{
    for (int32_t key = 0; key < partition->options->n_keys; key++) {
        int32_t n_calls = partition->call_start[key + 1];
        int32_t n_events = partition->event_start[key + 1];
        if (n_calls > partition->max_calls)
            partition->max_calls = n_calls;
        if (n_events > partition->max_events)
            partition->max_events = n_events;
        partition->call_start[key + 1] += partition->call_start[key];
        partition->event_start[key + 1] += partition->event_start[key];
    }
}

/* Close the gaps in the history of one key. */
static void close_gaps(int32_t *history, int32_t n_events)
{
    int32_t n_kept = 0;
    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = history[position];
        history[n_kept] = event;
        n_kept += event != 0;
    }
}

/* Deal the events out to their keys, in order. cursors: by key, zeros. */
static void deal(struct partition *partition, const int32_t *history, int32_t n_events,
                 int32_t *cursors, const int32_t *local)
{
    const int32_t *key_of = partition->columns->key;
    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = history[position];
        if (event == 0)
            continue;
        int32_t i = (event > 0 ? event : -event) - 1, key = key_of[i];
        if (event > 0)
            partition->calls[partition->call_start[key] + local[i]] = i;
        int32_t place = partition->event_start[key] + cursors[key]++;
        partition->events[place] = event > 0 ? local[i] + 1 : -(local[i] + 1);
    }
}

struct sized {
    int32_t size;
    int32_t key;
};

static int compare_sized(const void *one, const void *other)
{
    const struct sized *a = one, *b = other;
    if (a->size != b->size)
        return a->size < b->size ? 1 : -1;
    return a->key < b->key ? -1 : 1;
}

/* List the keys that have operations, and how many each has. */
static void sort_by_size(struct partition *partition, struct sized *sized, int32_t *n_operations)
{
    for (int32_t key = 0; key < partition->options->n_keys; key++) {
        int32_t size = partition->call_start[key + 1] - partition->call_start[key];
        n_operations[key] = size;
        if (size > 0)
            sized[partition->n_used++] = (struct sized){size, key};
    }
    qsort(sized, (size_t)partition->n_used, sizeof *sized, compare_sized);
    for (int32_t i = 0; i < partition->n_used; i++)
        partition->by_size[i] = sized[i].key;
}

/* Past the budget: only count the operations of each key. */
static int refuse(struct partition *partition, int32_t *n_operations, int32_t *at)
{
    const struct columns *columns = partition->columns;
    partition->is_refused = true;
    for (int32_t i = 0; i < columns->n; i++) {
        if (!is_kept(partition, i))
            continue;
        *at = i;
        if (!is_sound(partition, i))
            return SEARCH_MALFORMED;
        n_operations[columns->key[i]]++;
    }
    return SEARCH_OK;
}

int partition_open(struct partition *partition, const struct columns *columns,
                   const struct keys_options *options, int32_t *n_operations, int32_t *at)
{
    partition->columns = columns;
    partition->options = options;
    size_t n = (size_t)columns->n, n_keys = (size_t)options->n_keys, size = sizeof(int32_t);
    bool is_single = n_keys == 1;
    int32_t n_events = count_events(columns);
    if (n_events < 0)
        return SEARCH_MALFORMED;
    size_t n_history = (size_t)n_events + 1, n_dealt = is_single ? n_history : 2 * n + 1;
    size_t n_scratch = 2 * n_keys + (is_single ? 0 : n_history + n + n_keys);
    partition->bytes = sizeof(int32_t) * (3 * n_keys + 2 + n_dealt + n);
    partition->peak_bytes = partition->bytes + sizeof(int32_t) * n_scratch;
    if (partition->peak_bytes > options->max_bytes)
        return refuse(partition, n_operations, at);
    int32_t *scratch = pages_zeroed(sizeof(int32_t) * n_scratch);
    void *block = scratch, *kept = partition->memory = pages_zeroed(partition->bytes);
    if (scratch == NULL || kept == NULL) {
        pages_release(scratch, sizeof(int32_t) * n_scratch);
        return SEARCH_NO_MEMORY;
    }
    struct sized *sized = pages_carve(&block, n_keys, sizeof *sized);
    partition->by_size = pages_carve(&kept, n_keys, size);
    partition->event_start = pages_carve(&kept, n_keys + 1, size);
    partition->call_start = pages_carve(&kept, n_keys + 1, size);
    partition->events = pages_carve(&kept, n_dealt, size);
    partition->calls = pages_carve(&kept, n, size);
    int32_t *history = is_single ? partition->events : pages_carve(&block, n_history, size);
    int32_t *local = is_single ? NULL : pages_carve(&block, n, size);
    int error = survey(partition, history, n_events, local, at);
    if (error == SEARCH_OK) {
        accumulate(partition);
        if (!is_single)
            deal(partition, history, n_events, pages_carve(&block, n_keys, size), local);
        else if (partition->max_events < n_events)
            close_gaps(history, n_events);
        sort_by_size(partition, sized, n_operations);
    }
    pages_release(scratch, sizeof(int32_t) * n_scratch);
    return error;
}

struct part partition_part(const struct partition *partition, int32_t key)
{
    int32_t call = partition->call_start[key], event = partition->event_start[key];
    return (struct part){partition->call_start[key + 1] - call,
                         partition->event_start[key + 1] - event, partition->calls + call,
                         partition->events + event};
}

static int64_t time_of(const struct columns *columns, const int32_t *calls, int32_t event)
{
    return event > 0 ? columns->inv_time[calls[event - 1]] : columns->ret_time[calls[-event - 1]];
}

/*
 * Where each process last returned, as a hash table by linear probing; a slot holds a process and a
 * position + 1, where 0 is an empty slot.
 */
struct returns {
    struct {
        int32_t process, position;
    } *slots;
    size_t n_slots; /* a power of two */
};

/* The position + 1 of the last return of a process; 0 where there is none. */
static int32_t *last_return(struct returns *returns, int32_t process)
{
    size_t at = ((uint32_t)process * UINT32_C(0x9e3779b9) >> 4) & (returns->n_slots - 1);
    while (returns->slots[at].position && returns->slots[at].process != process)
        at = (at + 1) & (returns->n_slots - 1);
    returns->slots[at].process = process;
    return &returns->slots[at].position;
}

/* Where the moment that begins at `start` ends: at another time, or where a process calls that has
 * returned in it. */
static int32_t moment_end(const struct columns *columns, struct part part, int32_t start,
                          struct returns *returns)
{
    int64_t time = time_of(columns, part.calls, part.events[start]);
    int32_t end = start;
    for (; end < part.n_events; end++) {
        int32_t event = part.events[end];
        int32_t operation = part.calls[(event > 0 ? event : -event) - 1];
        if (time_of(columns, part.calls, event) != time)
            break;
        int32_t *position = last_return(returns, columns->process[operation]);
        if (event > 0 && *position > start)
            break;
        if (event < 0)
            *position = end + 1;
    }
    return end;
}

int partition_order_ties(const struct columns *columns, struct part part, int32_t *scratch)
{
    int32_t *events = part.events;
    struct returns returns = {.n_slots = 64};
    while (returns.n_slots < (size_t)part.n_events)
        returns.n_slots *= 2; /* at most half of them are taken: one an operation that returned */
    returns.slots = calloc(returns.n_slots, sizeof *returns.slots);
    if (returns.slots == NULL)
        return -1;
    for (int32_t start = 0, end; start < part.n_events; start = end) {
        int32_t n_returns = 0, n_calls = 0;
        end = moment_end(columns, part, start, &returns);
        for (int32_t position = start; position < end; position++) {
            if (events[position] > 0)
                events[start + n_calls++] = events[position];
            else
                scratch[n_returns++] = events[position];
        }
        memcpy(events + start + n_calls, scratch, sizeof(int32_t) * (size_t)n_returns);
    }
    free(returns.slots);
    return 0;
}

void partition_close(struct partition *partition)
{
    pages_release(partition->memory, partition->bytes);
    partition->memory = NULL;
}
