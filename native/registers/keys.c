/*
 * keys.c: split by key, see what the data prove, judge each key by the engine that fits.
 */
#define _DEFAULT_SOURCE /* madvise, clock_gettime */

#include "keys.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pages.h"
#include "search.h"
#include "texts.h"
#include "unique.h"
#include "zones.h"

#define SLICE_CONFIGURATIONS 100000
#define SLICE_OPERATIONS 200000 /* judged between two looks at the clock */
#define THREADED_OPERATIONS_MIN 5000
#define PLAIN_VALUES_MIN 1024
#define EVENTS_MAX (INT32_MAX / 2)

/* Results as one block, which begins with them. */
struct block {
    struct keys_results results;
    size_t bytes;
};

enum round { ROUND_SHARES, ROUND_REST, ROUND_DONE };

/* What one thread needs for the key it works on. Local: numbered within the key, from 0. */
struct worker {
    struct keys *keys;
    pthread_t thread;
    int32_t key;            /* in work, or -1 */
    struct search *search;  /* in work, or NULL */
    struct texts *texts;    /* NULL for registers */
    void *scratch;          /* all from here on up to values_of */
    size_t scratch_bytes;
    struct zones_value *values; /* by local value */
    int32_t *inv;           /* by local operation: positions */
    int32_t *ret;
    int32_t *want;          /* by local operation: local values */
    int32_t *make;
    int32_t *order;
    int32_t *buckets;
    int32_t *local_of;      /* by value: local + 1, or 0 */
    int32_t *transition_of; /* by value that is a pair: transition + 1, or 0 */
    int32_t *values_of;     /* by local value: the value */
    int32_t *search_scratch; /* all from here on up to writes */
    size_t search_bytes;
    int32_t *reads;         /* by local value: transition + 1, or 0 */
    int32_t *writes;
    int32_t *transition;    /* by local operation */
    int32_t *want_of;       /* by transition */
    int32_t *make_of;
    int32_t n_values;
    int32_t values_capacity;
    int32_t initial; /* the value, or -1 */
    bool is_plain;   /* local values are the values themselves */
};

struct keys {
    const struct columns *columns;
    struct keys_options options;
    struct keys_results results;
    int32_t n_used;        /* keys that have operations */
    int32_t *by_size;      /* those keys, the largest first */
    int32_t *event_start;  /* by key, one more: its events in `events` */
    int32_t *call_start;   /* by key, one more: its operations in `calls` */
    int32_t *events;       /* local operation + 1 invokes, -(local operation + 1) returns */
    int32_t *calls;        /* operations by key and invocation */
    int32_t max_calls;     /* of one key */
    int32_t max_events;
    uint64_t share;        /* configurations of a key in the first round */
    uint64_t share_bytes;  /* of a key in this round */
    int32_t *split;        /* all that is by key, events and calls */
    uint64_t split_bytes;  /* held until the end */
    uint64_t split_peak;   /* held while it was made */
    bool is_plain;         /* local values are the values themselves */
    uint64_t left;         /* configurations for the second round */
    int32_t n_waiting;     /* keys of the second round that are still to come */
    enum round round;
    atomic_int next;       /* place in by_size, then key of the second round */
    atomic_bool is_cancelled;
    int32_t n_workers;
    int32_t n_threads; /* that were begun */
    struct worker workers[KEYS_THREADS_MAX];
    pthread_mutex_t mutex;
    pthread_cond_t is_idle;
    int32_t n_running; /* threads; under the mutex */
    bool has_threads;
};

/* The split. */

static bool is_kept(const struct keys *keys, int32_t operation)
{
    const struct columns *columns = keys->columns;
    int8_t type = columns->type[operation];
    return type == COLUMNS_OK ||
           (type == COLUMNS_INFO && columns->f[operation] != keys->options.read);
}

/* Check one operation; its value columns are used as indices later. */
static bool is_sound(const struct keys *keys, int32_t i)
{
    const struct columns *columns = keys->columns;
    int32_t n_values = keys->options.n_values;
    bool is_ok = columns->type[i] == COLUMNS_OK;
    return columns->key[i] >= 0 && columns->key[i] < keys->options.n_keys &&
           columns->inv[i] >= 0 && columns->value_in[i] >= 0 &&
           columns->value_in[i] < n_values && columns->value_out[i] < n_values &&
           columns->a[i] < n_values && columns->b[i] < n_values &&
           (!is_ok || columns->ret[i] > columns->inv[i]) &&
           (!is_ok || columns->f[i] != keys->options.read || columns->value_out[i] >= 0);
}

/* The number of events of the history up to the last that counts, or -1 past the limit. */
static int32_t count_events(const struct columns *columns)
{
    int32_t last = columns->n > 0 ? columns->inv[columns->n - 1] : -1;
    for (int32_t i = 0; i < columns->n; i++)
        last = columns->ret[i] > last ? columns->ret[i] : last;
    return last >= EVENTS_MAX ? -1 : last + 1;
}

/*
 * Put each event where it stands in the history, as number + 1 or -(number + 1), and count the
 * events and calls of each key. The number is that of the operation, or where there is one key
 * alone that of the call. local: by operation, its number among the calls of its key.
 */
static int survey(struct keys *keys, int32_t *history, int32_t n_events, int32_t *local,
                  int32_t *at)
{
    const struct columns *columns = keys->columns;
    bool is_single = keys->options.n_keys == 1;
    int32_t before = -1;
    for (int32_t i = 0; i < columns->n; i++) {
        if (!is_kept(keys, i))
            continue;
        *at = i;
        int32_t inv = columns->inv[i], ret = columns->ret[i], key = columns->key[i];
        bool is_ok = columns->type[i] == COLUMNS_OK;
        if (!is_sound(keys, i) || inv <= before || inv >= n_events || history[inv] != 0 ||
            (is_ok && history[ret] != 0))
            return SEARCH_MALFORMED;
        before = inv;
        int32_t number = keys->call_start[key + 1]++;
        keys->event_start[key + 1] += is_ok ? 2 : 1;
        if (is_single)
            keys->calls[number] = i;
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
static void accumulate(struct keys *keys)
{
    for (int32_t key = 0; key < keys->options.n_keys; key++) {
        int32_t n_calls = keys->call_start[key + 1], n_events = keys->event_start[key + 1];
        if (n_calls > keys->max_calls)
            keys->max_calls = n_calls;
        if (n_events > keys->max_events)
            keys->max_events = n_events;
        keys->call_start[key + 1] += keys->call_start[key];
        keys->event_start[key + 1] += keys->event_start[key];
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
static void deal(struct keys *keys, const int32_t *history, int32_t n_events, int32_t *cursors,
                 const int32_t *local)
{
    const int32_t *key_of = keys->columns->key;
    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = history[position];
        if (event == 0)
            continue;
        int32_t i = (event > 0 ? event : -event) - 1, key = key_of[i];
        if (event > 0)
            keys->calls[keys->call_start[key] + local[i]] = i;
        int32_t place = keys->event_start[key] + cursors[key]++;
        keys->events[place] = event > 0 ? local[i] + 1 : -(local[i] + 1);
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

static void sort_by_size(struct keys *keys, struct sized *sized)
{
    for (int32_t key = 0; key < keys->options.n_keys; key++) {
        int32_t size = keys->call_start[key + 1] - keys->call_start[key];
        keys->results.n_operations[key] = size;
        keys->results.order_start[key] = keys->call_start[key];
        if (size == 0)
            keys->results.verdict[key] = KEYS_VALID;
        else
            sized[keys->n_used++] = (struct sized){size, key};
    }
    qsort(sized, (size_t)keys->n_used, sizeof *sized, compare_sized);
    for (int32_t i = 0; i < keys->n_used; i++)
        keys->by_size[i] = sized[i].key;
}

/* The next `n` of a block of integers. */
static int32_t *carve(int32_t **block, size_t n)
{
    int32_t *carved = *block;
    *block += n;
    return carved;
}

/* No budget for the split: no key that has operations is judged. */
static int refuse_all(struct keys *keys, int32_t *at)
{
    const struct columns *columns = keys->columns;
    for (int32_t key = 0; key < keys->options.n_keys; key++)
        keys->results.verdict[key] = KEYS_VALID;
    for (int32_t i = 0; i < columns->n; i++) {
        if (!is_kept(keys, i))
            continue;
        *at = i;
        if (!is_sound(keys, i))
            return SEARCH_MALFORMED;
        keys->results.verdict[columns->key[i]] = KEYS_MEMORY;
        keys->results.n_operations[columns->key[i]]++;
    }
    keys->round = ROUND_DONE;
    return SEARCH_OK;
}

static int split(struct keys *keys, int32_t *at)
{
    size_t n = (size_t)keys->columns->n, n_keys = (size_t)keys->options.n_keys;
    bool is_single = n_keys == 1;
    int32_t n_events = count_events(keys->columns);
    if (n_events < 0)
        return SEARCH_MALFORMED;
    size_t n_history = (size_t)n_events + 1, n_dealt = is_single ? n_history : 2 * n + 1;
    size_t n_scratch = 2 * n_keys + (is_single ? 0 : n_history + n + n_keys);
    keys->split_bytes = sizeof(int32_t) * (3 * n_keys + 2 + n_dealt + n);
    keys->split_peak = keys->split_bytes + sizeof(int32_t) * n_scratch;
    if (keys->split_peak > keys->options.max_bytes)
        return refuse_all(keys, at);
    int32_t *scratch = pages_zeroed(sizeof(int32_t) * n_scratch), *block = scratch;
    int32_t *kept = keys->split = pages_zeroed(keys->split_bytes);
    if (scratch == NULL || kept == NULL) {
        pages_release(scratch, sizeof(int32_t) * n_scratch);
        return SEARCH_NO_MEMORY;
    }
    struct sized *sized = (struct sized *)(void *)carve(&block, 2 * n_keys);
    keys->by_size = carve(&kept, n_keys);
    keys->event_start = carve(&kept, n_keys + 1);
    keys->call_start = carve(&kept, n_keys + 1);
    keys->events = carve(&kept, n_dealt);
    keys->calls = carve(&kept, n);
    int32_t *history = is_single ? keys->events : carve(&block, n_history);
    int32_t *local = is_single ? NULL : carve(&block, n);
    int error = survey(keys, history, n_events, local, at);
    if (error == SEARCH_OK) {
        accumulate(keys);
        if (!is_single)
            deal(keys, history, n_events, carve(&block, n_keys), local);
        else if (keys->max_events < n_events)
            close_gaps(history, n_events);
        sort_by_size(keys, sized);
    }
    pages_release(scratch, sizeof(int32_t) * n_scratch);
    return error;
}

/* One key: events of one time, values. */

static int64_t time_of(const struct keys *keys, const int32_t *calls, int32_t event)
{
    const struct columns *columns = keys->columns;
    return event > 0 ? columns->inv_time[calls[event - 1]] : columns->ret_time[calls[-event - 1]];
}

/* Events of one time are concurrent: within a run of them, calls come before returns. */
static void order_ties(const struct keys *keys, const int32_t *calls, int32_t *events,
                       int32_t n_events, int32_t *scratch)
{
    for (int32_t start = 0, end; start < n_events; start = end) {
        int64_t time = time_of(keys, calls, events[start]);
        int32_t n_returns = 0, n_calls = 0;
        for (end = start + 1; end < n_events && time_of(keys, calls, events[end]) == time;)
            end++;
        if (end == start + 1)
            continue;
        for (int32_t position = start; position < end; position++) {
            if (events[position] > 0)
                events[start + n_calls++] = events[position];
            else
                scratch[n_returns++] = events[position];
        }
        memcpy(events + start + n_calls, scratch, sizeof(int32_t) * (size_t)n_returns);
    }
}

/* How many local values a key of so many operations can have. */
static int32_t count_values(const struct keys *keys, int32_t n_calls)
{
    int64_t named = (keys->options.cas >= 0 ? 2 : 1) * (int64_t)n_calls + 1;
    bool is_all = keys->is_plain || named > (int64_t)keys->options.n_values + 1;
    return is_all ? keys->options.n_values + !keys->is_plain : (int32_t)named;
}

/* What a worker holds for a key of so many operations. */
static uint64_t scratch_bytes(const struct keys *keys, int32_t n_calls)
{
    uint64_t n = (uint64_t)n_calls + 1, n_values = (uint64_t)keys->options.n_values + 1;
    uint64_t n_locals = (uint64_t)count_values(keys, n_calls);
    uint64_t n_integers = 6 * n + (keys->results.order == NULL ? n : 0) +
                          (keys->options.cas >= 0 ? n_values : 0) +
                          (keys->is_plain ? 0 : n_values + n_locals);
    return sizeof(struct zones_value) * n_locals + sizeof(int32_t) * n_integers;
}

/* What a worker holds for it, with what texts take. */
static uint64_t held_bytes(const struct keys *keys, int32_t n_calls)
{
    return scratch_bytes(keys, n_calls) +
           (keys->options.texts == NULL ? 0 : texts_bytes(n_calls, keys->options.n_values));
}

/* What is left of the share of a key. */
static uint64_t room_of(const struct keys *keys, int32_t key)
{
    return keys->share_bytes - held_bytes(keys, keys->results.n_operations[key]);
}

/* Note that a key needs the split, what a worker holds, and so many bytes more. */
static void note_bytes(struct worker *worker, int32_t key, uint64_t more)
{
    struct keys *keys = worker->keys;
    uint64_t held = held_bytes(keys, keys->results.n_operations[key]);
    uint64_t bytes = keys->split_bytes + held + more;
    bytes = bytes < keys->split_peak ? keys->split_peak : bytes;
    if (bytes > keys->results.peak_bytes[key])
        keys->results.peak_bytes[key] = bytes;
}

/* Whether a key fits into its share. */
static bool has_room(struct worker *worker, int32_t key)
{
    struct keys *keys = worker->keys;
    if (held_bytes(keys, keys->results.n_operations[key]) > keys->share_bytes)
        return false;
    note_bytes(worker, key, 0);
    return true;
}

/* The local number of a value. */
static int32_t localise(struct worker *worker, int32_t value)
{
    if (worker->is_plain)
        return value == worker->initial ? 0 : value == 0 ? worker->initial : value;
    int32_t local = worker->local_of[value] - 1;
    if (local >= 0)
        return local;
    if (worker->n_values == worker->values_capacity)
        return -1; /* never: a key has no more values than its operations name */
    local = worker->n_values++;
    worker->local_of[value] = local + 1;
    worker->values_of[local] = value;
    worker->values[local] = ZONES_UNSEEN;
    return local;
}

/*
 * Local value 0 is the initial one, also where no operation has it. One key alone needs no numbers
 * of its own: its values keep theirs, but that the initial one changes places with 0.
 */
static void begin_values(struct worker *worker)
{
    worker->n_values = 0;
    if (worker->is_plain) {
        worker->n_values = worker->values_capacity;
        for (int32_t v = 0; v < worker->n_values; v++)
            worker->values[v] = ZONES_UNSEEN;
    } else if (worker->initial >= 0) {
        localise(worker, worker->initial);
    } else {
        worker->values_of[0] = -1;
        worker->values[0] = ZONES_UNSEEN;
        worker->n_values = 1;
    }
    worker->values[0].offset = ZONES_NEEDED;
}

static void end_values(struct worker *worker)
{
    for (int32_t v = 0; v < worker->n_values && !worker->is_plain; v++)
        if (worker->values_of[v] >= 0)
            worker->local_of[worker->values_of[v]] = 0;
}

/* Take up one invocation. Returns a keys_verdict: KEYS_UNDECIDED means go on. */
static enum keys_verdict take_call(struct worker *worker, int32_t i, int32_t operation,
                                   int32_t position, int8_t *evidence)
{
    const struct columns *columns = worker->keys->columns;
    const struct keys_options *options = &worker->keys->options;
    int32_t f = columns->f[operation], want = -1, make = -1;
    bool is_ok = columns->type[operation] == COLUMNS_OK;

    if (f == options->read) {
        if ((want = localise(worker, columns->value_out[operation])) < 0)
            return KEYS_MEMORY;
        worker->values[want].read_inv = position;
        worker->values[want].n_reads++;
        worker->values[want].offset = ZONES_NEEDED;
    } else if (f == options->cas) {
        if (columns->a[operation] < 0 || columns->b[operation] < 0)
            return KEYS_MALFORMED;
        want = localise(worker, columns->a[operation]);
        make = localise(worker, columns->b[operation]);
        if (want < 0 || make < 0)
            return KEYS_MEMORY;
    } else if (f == options->write) {
        if ((make = localise(worker, columns->value_in[operation])) < 0)
            return KEYS_MEMORY;
    } else {
        return KEYS_MALFORMED;
    }
    worker->want[i] = want;
    worker->make[i] = make;
    if (make < 0)
        return KEYS_UNDECIDED;
    struct zones_value *value = &worker->values[make];
    if (*evidence == KEYS_UNIQUE && (make == 0 || make == want || value->producer >= 0))
        *evidence = make == want ? KEYS_UNCHANGED : make == 0 ? KEYS_INITIAL_AGAIN : KEYS_REPEATED;
    value->producer = i;
    value->hi = position;
    if (is_ok)
        value->offset = ZONES_NEEDED;
    return KEYS_UNDECIDED;
}

static void take_return(struct worker *worker, int32_t i, int32_t position)
{
    bool is_read = worker->make[i] < 0;
    struct zones_value *value = &worker->values[is_read ? worker->want[i] : worker->make[i]];
    int32_t *first = is_read ? &value->read_ret : &value->lo;
    *first = position < *first ? position : *first; /* where values repeat, nobody looks at lo */
}

/* Results of one key. */

static void accuse(struct keys *keys, int32_t key, enum keys_reason reason,
                   const int32_t *operations, int32_t n)
{
    const int32_t *calls = keys->calls + keys->call_start[key];
    keys->results.reason[key] = (int8_t)reason;
    keys->results.n_witness[key] = n;
    for (int32_t i = 0; i < n; i++)
        keys->results.witness[KEYS_WITNESS_MAX * key + i] = calls[operations[i]];
}

/*
 * Whether an order is a linearization, seen from the definition: each ok operation stands once,
 * each crashed one at most once, each finds the value it wants, and none stands after one that was
 * invoked after it returned. seen: by operation, scratch.
 */
static bool is_linearization(const struct worker *worker, int32_t n, const int32_t *order,
                             int32_t length, int32_t *seen)
{
    int32_t state = 0, greatest_inv = -1, n_missing = 0;
    memset(seen, 0, sizeof(int32_t) * (size_t)n);
    for (int32_t place = 0; place < length; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= n || seen[i])
            return false;
        seen[i] = 1;
        if (worker->want[i] >= 0 && worker->want[i] != state)
            return false;
        if (worker->make[i] >= 0)
            state = worker->make[i];
        if (worker->ret[i] < greatest_inv)
            return false;
        if (worker->inv[i] > greatest_inv)
            greatest_inv = worker->inv[i];
    }
    for (int32_t i = 0; i < n; i++)
        n_missing += !seen[i] && worker->ret[i] != ZONES_NEVER;
    return n_missing == 0;
}

/* Where the order of a key is made: where the caller wants it, or in scratch. */
static int32_t *order_of(const struct worker *worker, int32_t key)
{
    const struct keys *keys = worker->keys;
    bool is_wanted = keys->results.order != NULL;
    return is_wanted ? keys->results.order + keys->call_start[key] : worker->order;
}

/* Where the operations of a key are invoked and return, for the replay. */
static void fill_positions(struct worker *worker, int32_t key)
{
    const struct keys *keys = worker->keys;
    int32_t n_events = keys->event_start[key + 1] - keys->event_start[key];
    const int32_t *events = keys->events + keys->event_start[key];
    for (int32_t i = 0; i < keys->results.n_operations[key]; i++)
        worker->ret[i] = ZONES_NEVER;
    for (int32_t position = 0; position < n_events; position++) {
        if (events[position] > 0)
            worker->inv[events[position] - 1] = position;
        else
            worker->ret[-events[position] - 1] = position;
    }
}

static struct texts_key text_key(const struct worker *worker, int32_t key)
{
    const struct keys *keys = worker->keys;
    int32_t start = keys->event_start[key];
    return (struct texts_key){
        keys->results.n_operations[key], keys->calls + keys->call_start[key], keys->events + start,
        keys->event_start[key + 1] - start, worker->inv, worker->ret, worker->buckets};
}

static enum keys_verdict replay(struct worker *worker, int32_t key, const int32_t *order,
                                int32_t length)
{
    int32_t n = worker->keys->results.n_operations[key];
    fill_positions(worker, key);
    if (worker->texts == NULL)
        return is_linearization(worker, n, order, length, worker->buckets) ? KEYS_VALID
                                                                           : KEYS_FLAWED;
    struct texts_key text = text_key(worker, key);
    uint64_t searched = worker->search == NULL ? 0 : search_peak_bytes(worker->search);
    uint64_t room = room_of(worker->keys, key) - searched - texts_key_bytes(worker->texts);
    int32_t answer = texts_replay(worker->texts, &text, order, length, room);
    note_bytes(worker, key, searched + texts_key_bytes(worker->texts));
    return answer < 0 ? KEYS_MEMORY : answer ? KEYS_VALID : KEYS_FLAWED;
}

/* Replay an order from order_of, and number it for the caller. */
static enum keys_verdict accept(struct worker *worker, int32_t key, int32_t *order,
                                int32_t length)
{
    struct keys *keys = worker->keys;
    const int32_t *calls = keys->calls + keys->call_start[key];
    enum keys_verdict verdict = KEYS_VALID;
    if (keys->options.is_replayed)
        verdict = replay(worker, key, order, length);
    if (keys->results.order == NULL || verdict != KEYS_VALID)
        return verdict;
    keys->results.order_length[key] = length;
    for (int32_t i = 0; i < length; i++)
        order[i] = calls[order[i]];
    return KEYS_VALID;
}

static enum keys_verdict judge_zones(struct worker *worker, int32_t key, int32_t n_events,
                                     bool has_cas)
{
    struct keys *keys = worker->keys;
    bool needs_order = keys->results.order != NULL || keys->options.is_replayed;
    struct zones zones = {
        .n_operations = keys->results.n_operations[key], .n_positions = n_events,
        .events = keys->events + keys->event_start[key], .want = worker->want, .make = worker->make,
        .n_values = worker->n_values, .values = worker->values, .has_cas = has_cas,
        .buckets = worker->buckets};
    struct zones_witness witness;
    int32_t *order = needs_order ? order_of(worker, key) : NULL, length;
    if (zones_judge(&zones, order, &length, &witness) == ZONES_VALID)
        return needs_order ? accept(worker, key, order, length) : KEYS_VALID;
    accuse(keys, key, (enum keys_reason)witness.reason, witness.operations,
           witness.n_operations);
    return KEYS_INVALID;
}

/* Whether a read was told a value that nobody asked to set: invalid, whatever else happened. */
static bool has_phantom(struct worker *worker, int32_t key)
{
    struct keys *keys = worker->keys;
    for (int32_t v = 1; v < worker->n_values; v++) {
        const struct zones_value *value = &worker->values[v];
        if (value->n_reads == 0 || value->producer >= 0)
            continue;
        int32_t read = -keys->events[keys->event_start[key] + value->read_ret] - 1;
        accuse(keys, key, KEYS_PHANTOM, &read, 1);
        return true;
    }
    return false;
}

/* The search. */

static int32_t new_transition(struct worker *worker, int32_t *n, int32_t want, int32_t make)
{
    worker->want_of[*n] = want;
    worker->make_of[*n] = make;
    return ++*n;
}

/* Room for what a search is told of a key, within `max_bytes`. */
static bool open_search_scratch(struct worker *worker, size_t n, uint64_t max_bytes)
{
    size_t n_values = (size_t)worker->n_values;
    worker->search_bytes = sizeof(int32_t) * (2 * n_values + 3 * n);
    if (worker->search_bytes > max_bytes)
        return false;
    worker->search_scratch = pages_zeroed(worker->search_bytes);
    worker->reads = worker->search_scratch;
    worker->writes = worker->reads + n_values;
    worker->transition = worker->writes + n_values;
    worker->want_of = worker->transition + n;
    worker->make_of = worker->want_of + n;
    return worker->search_scratch != NULL;
}

static void end_search(struct worker *worker)
{
    search_close(worker->search);
    pages_release(worker->search_scratch, worker->search_bytes);
    worker->search = NULL;
    worker->search_scratch = NULL;
}

/* Number the distinct transitions. Returns how many. */
static int32_t number_transitions(struct worker *worker, int32_t key)
{
    struct keys *keys = worker->keys;
    const int32_t *calls = keys->calls + keys->call_start[key];
    int32_t n = keys->results.n_operations[key], n_transitions = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t want = worker->want[i], make = worker->make[i];
        int32_t *known = want < 0   ? &worker->writes[make]
                         : make < 0 ? &worker->reads[want]
                                    : &worker->transition_of[keys->columns->value_in[calls[i]]];
        if (*known == 0)
            *known = new_transition(worker, &n_transitions, want, make);
        worker->transition[i] = *known - 1;
    }
    for (int32_t i = 0; i < n; i++)
        if (worker->want[i] >= 0 && worker->make[i] >= 0)
            worker->transition_of[keys->columns->value_in[calls[i]]] = 0;
    return n_transitions;
}

static enum keys_verdict open_search(struct worker *worker, int32_t key, int32_t n_events)
{
    struct keys *keys = worker->keys;
    int32_t n = keys->results.n_operations[key], error;
    uint64_t room = room_of(keys, key);
    uint64_t share = keys->round == ROUND_REST ? keys->left / (uint64_t)keys->n_waiting
                                               : keys->share;
    if (worker->texts != NULL) {
        struct texts_key text = text_key(worker, key);
        worker->search = texts_search(worker->texts, &text, share, room, &error);
    } else if (open_search_scratch(worker, (size_t)n, room)) {
        int32_t n_transitions = number_transitions(worker, key);
        worker->search = search_open_register(
            n, keys->events + keys->event_start[key], n_events, worker->transition,
            worker->n_values, n_transitions, worker->want_of, worker->make_of, share,
            room - worker->search_bytes, &error);
    } else {
        return KEYS_MEMORY;
    }
    if (worker->search != NULL)
        return KEYS_UNDECIDED;
    end_search(worker);
    return error == SEARCH_WIDE ? KEYS_WIDE : KEYS_MEMORY;
}

/* One slice of the search. Returns KEYS_UNDECIDED while it goes on. */
static enum keys_verdict run_search(struct worker *worker, int32_t key)
{
    struct keys *keys = worker->keys;
    struct search *search = worker->search;
    int32_t status = search_run(search, SLICE_CONFIGURATIONS);
    if (status == SEARCH_PAUSED)
        return KEYS_UNDECIDED;
    bool is_depth = search_decided_by(search) == SEARCH_DEPTH;
    keys->results.engine[key] = is_depth ? KEYS_DEPTH : KEYS_BREADTH;
    keys->results.configurations[key] += search_configurations(search);
    uint64_t of_texts = worker->texts == NULL ? 0 : texts_key_bytes(worker->texts);
    note_bytes(worker, key, worker->search_bytes + search_peak_bytes(search) + of_texts);
    if (status == SEARCH_VALID) {
        int32_t *order = order_of(worker, key);
        return accept(worker, key, order, search_order(search, order));
    }
    int32_t failing = search_failing(search);
    if (failing >= 0)
        accuse(keys, key, status == SEARCH_INVALID ? KEYS_SEARCHED : 0, &failing, 1);
    return status == SEARCH_RAISED ? KEYS_MEMORY : (enum keys_verdict)status;
}

struct taken {
    enum keys_verdict verdict; /* KEYS_UNDECIDED: an engine is to decide */
    int8_t evidence;
    bool has_cas;
    bool has_ties; /* stopped at two neighbours of one time */
    int32_t at;    /* the operation it stopped at */
};

/* Take up the events of a key in order, up to the first that does not fit. */
static struct taken take_events(struct worker *worker, int32_t key, bool is_in_order)
{
    struct keys *keys = worker->keys;
    const struct columns *columns = keys->columns;
    int32_t n_events = keys->event_start[key + 1] - keys->event_start[key];
    const int32_t *events = keys->events + keys->event_start[key];
    const int32_t *calls = keys->calls + keys->call_start[key];
    struct taken taken = {KEYS_UNDECIDED, KEYS_UNIQUE, false, false, -1};
    int64_t before = n_events > 0 ? columns->inv_time[calls[0]] - 1 : 0;

    for (int32_t position = 0; position < n_events; position++) {
        int32_t event = events[position], i = (event > 0 ? event : -event) - 1;
        int32_t operation = calls[i];
        int64_t time;
        if (event < 0) {
            take_return(worker, i, position);
            time = columns->ret_time[operation];
        } else {
            taken.verdict = take_call(worker, i, operation, position, &taken.evidence);
            taken.has_cas = taken.has_cas || columns->f[operation] == keys->options.cas;
            time = columns->inv_time[operation];
        }
        taken.has_ties = time == before && !is_in_order;
        taken.at = i;
        if (taken.verdict != KEYS_UNDECIDED || taken.has_ties)
            break;
        before = time;
    }
    return taken;
}

/* The same as begin_key, for a text. */
static enum keys_verdict begin_text(struct worker *worker, int32_t key, int32_t n_events)
{
    struct keys *keys = worker->keys;
    order_ties(keys, keys->calls + keys->call_start[key], keys->events + keys->event_start[key],
               n_events, worker->buckets);
    fill_positions(worker, key);
    struct texts_key text = text_key(worker, key);
    struct texts_witness witness;
    int32_t misfit = texts_begin(worker->texts, &text), length;
    int32_t *order = order_of(worker, key);
    enum texts_answer answer = TEXTS_AMBIGUOUS;
    if (misfit >= 0) {
        accuse(keys, key, 0, &misfit, 1);
        return KEYS_MALFORMED;
    }
    if (!keys->options.search_only)
        answer = texts_judge(worker->texts, &text, order, &length, &witness);
    bool is_decided = answer != TEXTS_AMBIGUOUS;
    keys->results.evidence[key] = is_decided ? KEYS_DISTINCT : KEYS_AMBIGUOUS;
    keys->results.engine[key] = is_decided ? KEYS_TEXTS : KEYS_NONE;
    if (answer == TEXTS_VALID)
        return accept(worker, key, order, length);
    if (answer == TEXTS_AMBIGUOUS)
        return open_search(worker, key, n_events);
    accuse(keys, key, (enum keys_reason)witness.reason, witness.operations, witness.n_operations);
    return KEYS_INVALID;
}

/* One key from its events to an engine. Returns KEYS_UNDECIDED when a search is to run. */
static enum keys_verdict begin_key(struct worker *worker, int32_t key)
{
    struct keys *keys = worker->keys;
    int32_t n_events = keys->event_start[key + 1] - keys->event_start[key];
    if (!has_room(worker, key))
        return KEYS_MEMORY;
    if (worker->texts != NULL)
        return begin_text(worker, key, n_events);
    begin_values(worker);
    struct taken taken = take_events(worker, key, keys->round == ROUND_REST);
    if (taken.has_ties) {
        end_values(worker);
        order_ties(keys, keys->calls + keys->call_start[key],
                   keys->events + keys->event_start[key], n_events, worker->buckets);
        begin_values(worker);
        taken = take_events(worker, key, true);
    }
    enum keys_verdict verdict = taken.verdict;
    keys->results.evidence[key] = taken.evidence;
    if (verdict != KEYS_UNDECIDED) {
        accuse(keys, key, 0, &taken.at, verdict == KEYS_MALFORMED);
    } else if (taken.evidence == KEYS_UNIQUE && !keys->options.search_only) {
        keys->results.engine[key] = taken.has_cas ? KEYS_CHAINS : KEYS_ZONES;
        verdict = judge_zones(worker, key, n_events, taken.has_cas);
    } else if (has_phantom(worker, key) && !keys->options.search_only) {
        keys->results.engine[key] = KEYS_VALUES;
        verdict = KEYS_INVALID;
    } else {
        verdict = open_search(worker, key, n_events);
    }
    end_values(worker);
    return verdict;
}

/* The next key of this round, or -1. */
static int32_t next_key(struct keys *keys)
{
    if (keys->round == ROUND_SHARES) {
        int32_t place = atomic_fetch_add(&keys->next, 1);
        return place < keys->n_used ? keys->by_size[place] : -1;
    }
    for (int32_t key = atomic_load(&keys->next); key < keys->options.n_keys; key++) {
        int8_t verdict = keys->results.verdict[key];
        if (verdict != KEYS_CONFIGURATIONS && verdict != KEYS_MEMORY)
            continue;
        atomic_store(&keys->next, key + 1);
        return key;
    }
    return -1;
}

static void end_key(struct worker *worker, enum keys_verdict verdict, uint64_t spent_before)
{
    struct keys *keys = worker->keys;
    int32_t key = worker->key;
    keys->results.verdict[key] = (int8_t)verdict;
    if (keys->round == ROUND_REST) {
        uint64_t spent = keys->results.configurations[key] - spent_before;
        keys->left -= spent < keys->left ? spent : keys->left;
        keys->n_waiting--;
    }
    worker->key = -1;
}

/* Do one piece of work. Returns how many operations it took up, or -1 when none is left. */
static int32_t work(struct worker *worker)
{
    struct keys *keys = worker->keys;
    enum keys_verdict verdict;
    int32_t size = SLICE_OPERATIONS;
    if (atomic_load_explicit(&keys->is_cancelled, memory_order_relaxed)) {
        if (worker->search != NULL)
            end_search(worker);
        return -1;
    }
    if (worker->search == NULL) {
        worker->key = next_key(keys);
        if (worker->key < 0)
            return -1;
        size = keys->results.n_operations[worker->key];
        verdict = begin_key(worker, worker->key);
    } else {
        verdict = KEYS_UNDECIDED;
    }
    uint64_t spent_before = keys->results.configurations[worker->key];
    if (worker->search != NULL) {
        verdict = run_search(worker, worker->key);
        if (verdict == KEYS_UNDECIDED)
            return SLICE_OPERATIONS;
        end_search(worker);
    }
    end_key(worker, verdict, spent_before);
    return size;
}

static void *thread_main(void *argument)
{
    struct worker *worker = argument;
    struct keys *keys = worker->keys;
    while (work(worker) >= 0)
        ;
    pthread_mutex_lock(&keys->mutex);
    keys->n_running--;
    pthread_cond_signal(&keys->is_idle);
    pthread_mutex_unlock(&keys->mutex);
    return NULL;
}

static void free_worker(struct worker *worker)
{
    end_search(worker);
    texts_close(worker->texts);
    pages_release(worker->scratch, worker->scratch_bytes);
    worker->texts = NULL;
    worker->scratch = NULL;
}

/* One block for keys of up to so many operations; pages that no key needs are never touched. */
static int open_worker(struct worker *worker, struct keys *keys, int32_t n_calls)
{
    size_t n = (size_t)n_calls + 1, n_values = (size_t)keys->options.n_values + 1;
    worker->keys = keys;
    worker->key = -1;
    worker->initial = keys->options.initial;
    worker->is_plain = keys->is_plain;
    worker->values_capacity = count_values(keys, n_calls);
    worker->scratch_bytes = scratch_bytes(keys, n_calls);
    worker->scratch = pages_zeroed(worker->scratch_bytes);
    if (worker->scratch == NULL)
        return SEARCH_NO_MEMORY;
    worker->values = worker->scratch;
    int32_t *block = (int32_t *)(void *)(worker->values + worker->values_capacity);
    worker->inv = carve(&block, n);
    worker->ret = carve(&block, n);
    worker->want = carve(&block, n);
    worker->make = carve(&block, n);
    worker->buckets = carve(&block, 2 * n);
    worker->order = carve(&block, keys->results.order == NULL ? n : 0);
    worker->transition_of = carve(&block, keys->options.cas >= 0 ? n_values : 0);
    if (!keys->is_plain) {
        worker->local_of = carve(&block, n_values);
        worker->values_of = carve(&block, (size_t)worker->values_capacity);
    }
    const struct keys_options *options = &keys->options;
    if (options->texts == NULL)
        return SEARCH_OK;
    struct texts_model model = {options->texts, options->read, options->write, options->append,
                                options->initial_text, (size_t)options->initial_bytes};
    worker->texts = texts_open(keys->columns, &model, n_calls, options->n_values);
    return worker->texts == NULL ? SEARCH_NO_MEMORY : SEARCH_OK;
}

/* The size of the largest key that fits into `bytes`. */
static int32_t largest_within(const struct keys *keys, uint64_t bytes)
{
    for (int32_t i = 0; i < keys->n_used; i++) {
        int32_t n_calls = keys->results.n_operations[keys->by_size[i]];
        if (held_bytes(keys, n_calls) <= bytes)
            return n_calls;
    }
    return 0;
}

/* At most so many workers, each for every key that fits into its share; one at least. */
static int open_workers(struct keys *keys, int32_t wanted)
{
    int32_t n_calls = largest_within(keys, keys->share_bytes), error = SEARCH_OK;
    int32_t n_workers = wanted < keys->n_used ? wanted : keys->n_used;
    do {
        error = open_worker(&keys->workers[keys->n_workers++], keys, n_calls);
    } while (error == SEARCH_OK && keys->n_workers < n_workers);
    return error;
}

static void set_shares(struct keys *keys)
{
    uint64_t n = keys->n_used > 0 ? (uint64_t)keys->n_used : 1;
    uint64_t at_once = n < KEYS_THREADS_MAX ? n : KEYS_THREADS_MAX;
    keys->share = keys->options.max_configurations / n;
    keys->share = keys->share > 0 ? keys->share : 1;
    keys->share_bytes = (keys->options.max_bytes - keys->split_bytes) / at_once;
}

/* After the shares: what is left goes to the keys that ran out, one after the other. */
static void begin_rest(struct keys *keys)
{
    uint64_t spent = 0, max = keys->options.max_configurations;
    keys->n_waiting = 0;
    for (int32_t key = 0; key < keys->options.n_keys; key++) {
        int8_t verdict = keys->results.verdict[key];
        spent += keys->results.configurations[key];
        keys->n_waiting += verdict == KEYS_CONFIGURATIONS || verdict == KEYS_MEMORY;
    }
    keys->left = spent < max ? max - spent : 0;
    bool is_worth_it = keys->n_waiting > 0 &&
                       keys->left / (uint64_t)keys->n_waiting > keys->share / 2;
    keys->round = ROUND_DONE;
    atomic_store(&keys->next, 0);
    if (!is_worth_it || keys->n_used <= 1)
        return;
    while (keys->n_workers > 0)
        free_worker(&keys->workers[--keys->n_workers]);
    keys->share_bytes = keys->options.max_bytes - keys->split_bytes;
    if (open_workers(keys, 1) == SEARCH_OK)
        keys->round = ROUND_REST;
}

/* Whether all operations are of one key. */
static bool is_lone(const struct columns *columns)
{
    for (int32_t i = 1; i < columns->n; i++)
        if (columns->key[i] != columns->key[0])
            return false;
    return columns->n > 0;
}

/* Judge one register alone without a split, if it can be. Returns whether it was. */
static bool judge_lone(struct keys *keys)
{
    const struct columns *columns = keys->columns;
    const struct keys_options *options = &keys->options;
    struct keys_results *results = &keys->results;
    if (options->search_only || options->texts != NULL || !is_lone(columns) || columns->key[0] < 0 ||
        columns->key[0] >= options->n_keys)
        return false;
    int32_t key = columns->key[0];
    struct unique_register model = {options->read, options->write, options->n_values,
                                    options->initial, options->max_bytes,
                                    options->is_replayed != 0};
    struct unique_result result;
    enum unique_answer answer = unique_judge(columns, &model, results->order, &result);
    if (answer == UNIQUE_ELSE)
        return false;
    for (int32_t other = 0; other < options->n_keys; other++)
        results->verdict[other] = KEYS_VALID;
    bool is_judged = answer != UNIQUE_MEMORY && result.n_operations > 0;
    results->verdict[key] = answer == UNIQUE_VALID     ? KEYS_VALID
                            : answer == UNIQUE_INVALID ? KEYS_INVALID
                            : answer == UNIQUE_MEMORY  ? KEYS_MEMORY
                                                       : KEYS_FLAWED;
    results->engine[key] = is_judged ? KEYS_ZONES : KEYS_NONE;
    results->reason[key] = (int8_t)result.witness.reason;
    results->n_operations[key] = result.n_operations;
    results->peak_bytes[key] = result.bytes;
    results->n_witness[key] = result.witness.n_operations;
    memcpy(results->witness + KEYS_WITNESS_MAX * key, result.witness.operations,
           sizeof(int32_t) * (size_t)result.witness.n_operations);
    results->order_length[key] = results->order == NULL ? 0 : result.length;
    keys->round = ROUND_DONE;
    return true;
}

struct keys_results *keys_results_open(int32_t n_keys, int32_t n_operations, int32_t has_order)
{
    size_t n = (size_t)n_keys, size = sizeof(int32_t);
    size_t bytes = sizeof(struct block) + n * (2 * sizeof(uint64_t) + 4 + size * 4) +
                   n * size * KEYS_WITNESS_MAX + (has_order ? size * (size_t)n_operations : 0);
    struct block *block = pages_zeroed(bytes);
    if (block == NULL)
        return NULL;
    struct keys_results *results = &block->results;
    block->bytes = bytes;
    results->configurations = (uint64_t *)(void *)(block + 1);
    results->peak_bytes = results->configurations + n;
    results->n_operations = (int32_t *)(void *)(results->peak_bytes + n);
    results->n_witness = results->n_operations + n;
    results->order_start = results->n_witness + n;
    results->order_length = results->order_start + n;
    results->witness = results->order_length + n;
    results->verdict = (int8_t *)(results->witness + n * KEYS_WITNESS_MAX);
    results->engine = results->verdict + n;
    results->evidence = results->engine + n;
    results->reason = results->evidence + n;
    if (has_order)
        results->order = (int32_t *)(void *)(results->reason + n);
    return results;
}

void keys_results_close(struct keys_results *results)
{
    struct block *block = (struct block *)(void *)results;
    if (block != NULL)
        pages_release(block, block->bytes);
}

/* How many threads: none beside this one where starting them costs more than they save. */
static int32_t count_threads(const struct keys_options *options, int32_t n_operations)
{
    long wanted = options->n_threads;
    if (wanted == 0)
        wanted = n_operations < THREADED_OPERATIONS_MIN ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
    return wanted < 1 ? 1 : wanted > KEYS_THREADS_MAX ? KEYS_THREADS_MAX : (int32_t)wanted;
}

struct keys *keys_open(const struct columns *columns, const struct keys_options *options,
                       struct keys_results *results, int32_t *error, int32_t *at)
{
    *error = SEARCH_MALFORMED;
    *at = -1;
    if (columns->n < 0 || columns->n > EVENTS_MAX / 2 || options->n_keys < 1 ||
        options->n_values < 1 || options->initial >= options->n_values ||
        options->n_threads < 0 || options->n_threads > KEYS_THREADS_MAX)
        return NULL;
    *error = SEARCH_NO_MEMORY;
    struct keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL)
        return NULL;
    keys->columns = columns;
    keys->options = *options;
    keys->results = *results;
    pthread_mutex_init(&keys->mutex, NULL);
    pthread_cond_init(&keys->is_idle, NULL);
    if (judge_lone(keys)) {
        *error = SEARCH_OK;
        return keys;
    }
    *error = split(keys, at);
    if (*error == SEARCH_OK && keys->round != ROUND_DONE) {
        keys->is_plain = options->n_keys == 1 && options->initial >= 0 &&
                         options->n_values <= 2 * (int64_t)keys->max_calls + PLAIN_VALUES_MIN;
        set_shares(keys);
        *error = open_workers(keys, count_threads(options, columns->n));
    }
    if (*error != SEARCH_OK) {
        keys_close(keys);
        return NULL;
    }
    return keys;
}

/* Begin threads; those that the system refuses are not needed: the first worker does all. */
static void begin_threads(struct keys *keys)
{
    for (int32_t i = 0; i < keys->n_workers && keys->n_threads == i; i++) {
        pthread_mutex_lock(&keys->mutex);
        keys->n_running++;
        pthread_mutex_unlock(&keys->mutex);
        if (pthread_create(&keys->workers[i].thread, NULL, thread_main, &keys->workers[i]) == 0) {
            keys->n_threads++;
            continue;
        }
        pthread_mutex_lock(&keys->mutex);
        keys->n_running--;
        pthread_mutex_unlock(&keys->mutex);
    }
    keys->has_threads = keys->n_threads > 0;
}

static void join_threads(struct keys *keys)
{
    for (int32_t i = 0; keys->has_threads && i < keys->n_threads; i++)
        pthread_join(keys->workers[i].thread, NULL);
    keys->has_threads = false;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Wait for the threads at most so long. Returns whether they are done. */
static bool wait_threads(struct keys *keys, int32_t milliseconds)
{
    struct timespec until;
    int status = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&keys->mutex);
    while (keys->n_running > 0 && status == 0)
        status = pthread_cond_timedwait(&keys->is_idle, &keys->mutex, &until);
    bool is_done = keys->n_running == 0;
    pthread_mutex_unlock(&keys->mutex);
    return is_done;
}

/* Let the first worker go on, here. Returns whether nothing is left of this round. */
static bool work_here(struct keys *keys, int32_t milliseconds)
{
    int64_t until_ns = now_ns() + (int64_t)milliseconds * 1000000;
    int64_t taken = 0;
    for (;;) {
        int32_t size = work(&keys->workers[0]);
        if (size < 0)
            return true;
        taken += size;
        if (taken < SLICE_OPERATIONS)
            continue;
        taken = 0;
        if (now_ns() >= until_ns)
            return false;
    }
}

int32_t keys_run(struct keys *keys, int32_t milliseconds)
{
    if (keys->round == ROUND_DONE)
        return 1;
    if (keys->round == ROUND_SHARES && keys->n_workers > 1 && !keys->has_threads)
        begin_threads(keys);
    if (keys->has_threads) {
        if (!wait_threads(keys, milliseconds))
            return 0;
        join_threads(keys);
        begin_rest(keys);
    }
    if (keys->round != ROUND_DONE && work_here(keys, milliseconds)) {
        if (keys->round == ROUND_SHARES)
            begin_rest(keys);
        else
            keys->round = ROUND_DONE;
    }
    return keys->round == ROUND_DONE || atomic_load(&keys->is_cancelled);
}

void keys_cancel(struct keys *keys)
{
    atomic_store(&keys->is_cancelled, true);
}

void keys_close(struct keys *keys)
{
    if (keys == NULL)
        return;
    keys_cancel(keys);
    join_threads(keys);
    for (int32_t i = 0; i < keys->n_workers; i++)
        free_worker(&keys->workers[i]);
    pages_release(keys->split, keys->split_bytes);
    pthread_mutex_destroy(&keys->mutex);
    pthread_cond_destroy(&keys->is_idle);
    free(keys);
}
