/*
 * worker.c: memory of one thread, and the positions of its key (see worker.h).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include "worker.h"

#include "pages.h"

/* How many local values a key of n_calls operations can have. */
static int32_t capacity_for(const struct keys *keys, int32_t n_calls)
{
    int64_t named = (keys->options.cas >= 0 ? 2 : 1) * (int64_t)n_calls + 1;
    bool is_all = keys->is_plain || named > (int64_t)keys->options.n_values + 1;
    return is_all ? keys->options.n_values + !keys->is_plain : (int32_t)named;
}

/* The bytes of a worker's arrays, without those of texts and of the search. */
static uint64_t own_bytes(const struct keys *keys, int32_t n_calls)
{
    uint64_t n = (uint64_t)n_calls + 1, n_values = (uint64_t)keys->options.n_values + 1;
    uint64_t n_locals = (uint64_t)capacity_for(keys, n_calls);
    uint64_t n_integers = 6 * n + (keys->options.cas >= 0 ? n_values : 0) +
                          (keys->is_plain ? 0 : n_values + n_locals);
    return sizeof(struct zones_value) * n_locals + sizeof(int32_t) * n_integers;
}

uint64_t worker_bytes(const struct keys *keys, int32_t n_calls)
{
    return own_bytes(keys, n_calls) +
           (keys->options.texts == NULL ? 0 : texts_bytes(n_calls, keys->options.n_values));
}

uint64_t worker_room(const struct worker *worker)
{
    return worker->keys->share_bytes - worker_bytes(worker->keys, worker->part.n);
}

bool worker_has_room(struct worker *worker)
{
    if (worker_bytes(worker->keys, worker->part.n) > worker->keys->share_bytes)
        return false;
    worker_note_bytes(worker, 0);
    return true;
}

void worker_note_bytes(struct worker *worker, uint64_t more)
{
    const struct partition *partition = &worker->keys->partition;
    uint64_t *noted = &worker->keys->results.peak_bytes[worker->key];
    uint64_t bytes = partition->bytes + worker_bytes(worker->keys, worker->part.n) + more;
    bytes = bytes < partition->peak_bytes ? partition->peak_bytes : bytes;
    if (bytes > *noted)
        *noted = bytes;
}

void worker_fill_positions(struct worker *worker)
{
    const struct part *part = &worker->part;
    for (int32_t i = 0; i < part->n; i++)
        worker->ret[i] = ZONES_NEVER;
    for (int32_t position = 0; position < part->n_events; position++) {
        if (part->events[position] > 0)
            worker->inv[part->events[position] - 1] = position;
        else
            worker->ret[-part->events[position] - 1] = position;
    }
}

struct texts_key worker_text_key(const struct worker *worker)
{
    const struct part *part = &worker->part;
    return (struct texts_key){part->n,     part->calls, part->events,   part->n_events,
                              worker->inv, worker->ret, worker->buckets};
}

int worker_open(struct worker *worker, struct keys *keys, int32_t n_calls)
{
    size_t n = (size_t)n_calls + 1, n_values = (size_t)keys->options.n_values + 1;
    size_t size = sizeof(int32_t);
    worker->keys = keys;
    worker->key = -1;
    worker->capacity = capacity_for(keys, n_calls);
    worker->bytes = own_bytes(keys, n_calls);
    worker->memory = pages_zeroed(worker->bytes);
    if (worker->memory == NULL)
        return SEARCH_NO_MEMORY;
    worker->values = worker->memory;
    void *block = worker->values + worker->capacity;
    worker->inv = pages_carve(&block, n, size);
    worker->ret = pages_carve(&block, n, size);
    worker->want = pages_carve(&block, n, size);
    worker->make = pages_carve(&block, n, size);
    worker->buckets = pages_carve(&block, 2 * n, size);
    worker->transition_of = pages_carve(&block, keys->options.cas >= 0 ? n_values : 0, size);
    if (keys->is_plain)
        n_values = 0;
    worker->local_of = pages_carve(&block, n_values, size);
    worker->values_of = pages_carve(&block, 0, size); /* the rest */
    if (keys->options.texts == NULL)
        return SEARCH_OK;
    worker->texts = texts_open(keys->columns, &keys->options, n_calls);
    return worker->texts == NULL ? SEARCH_NO_MEMORY : SEARCH_OK;
}

void worker_close_search(struct worker *worker)
{
    search_close(worker->search);
    pages_release(worker->search_memory, worker->search_bytes);
    worker->search = NULL;
    worker->search_memory = NULL;
}

void worker_close(struct worker *worker)
{
    worker_close_search(worker);
    texts_close(worker->texts);
    pages_release(worker->memory, worker->bytes);
    worker->texts = NULL;
    worker->memory = NULL;
}
