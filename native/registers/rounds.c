/*
 * rounds.c: shares, then the rest (see rounds.h).
 */
#include "rounds.h"

#include "key_search.h"
#include "one_key.h"

/* The size of the largest key that fits into `bytes`. */
static int32_t largest_within(const struct keys *keys, uint64_t bytes)
{
    for (int32_t i = 0; i < keys->partition.n_used; i++) {
        int32_t n_calls = keys->results.n_operations[keys->partition.by_size[i]];
        if (worker_bytes(keys, n_calls) <= bytes)
            return n_calls;
    }
    return 0;
}

/* At most `wanted` workers, and at least one. */
static int open_workers(struct keys *keys, int32_t wanted)
{
    int32_t n_calls = largest_within(keys, keys->share_bytes), error = SEARCH_OK;
    int32_t n_used = keys->partition.n_used, n_workers = wanted < n_used ? wanted : n_used;
    do {
        error = worker_open(&keys->workers[keys->n_workers++], keys, n_calls);
    } while (error == SEARCH_OK && keys->n_workers < n_workers);
    return error;
}

static void set_shares(struct keys *keys)
{
    uint64_t n = keys->partition.n_used > 0 ? (uint64_t)keys->partition.n_used : 1;
    uint64_t at_once = n < KEYS_THREADS_MAX ? n : KEYS_THREADS_MAX;
    keys->share = keys->options.max_configurations / n;
    keys->share = keys->share > 0 ? keys->share : 1;
    keys->share_bytes = (keys->options.max_bytes - keys->partition.bytes) / at_once;
}

int rounds_begin(struct keys *keys, int32_t n_workers)
{
    set_shares(keys);
    return open_workers(keys, n_workers);
}

/* After the shares: what is left goes to the keys that ran out. */
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
    if (!is_worth_it || keys->partition.n_used <= 1)
        return;
    while (keys->n_workers > 0)
        worker_close(&keys->workers[--keys->n_workers]);
    keys->share_bytes = keys->options.max_bytes - keys->partition.bytes;
    if (open_workers(keys, 1) == SEARCH_OK)
        keys->round = ROUND_REST;
}

void rounds_next(struct keys *keys)
{
    if (keys->round == ROUND_SHARES)
        begin_rest(keys);
    else
        keys->round = ROUND_DONE;
}

/* The next key of this round, or -1. */
static int32_t next_key(struct keys *keys)
{
    if (keys->round == ROUND_SHARES) {
        int32_t place = atomic_fetch_add(&keys->next, 1);
        return place < keys->partition.n_used ? keys->partition.by_size[place] : -1;
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

int32_t rounds_work(struct worker *worker)
{
    struct keys *keys = worker->keys;
    enum keys_verdict verdict;
    int32_t size = SLICE_OPERATIONS;
    if (atomic_load_explicit(&keys->is_cancelled, memory_order_relaxed)) {
        if (worker->search != NULL)
            key_search_close(worker);
        return -1;
    }
    if (worker->search == NULL) {
        worker->key = next_key(keys);
        if (worker->key < 0)
            return -1;
        worker->part = partition_part(&keys->partition, worker->key);
        size = worker->part.n;
        verdict = one_key_begin(worker);
    } else {
        verdict = KEYS_UNDECIDED;
    }
    uint64_t spent_before = keys->results.configurations[worker->key];
    if (worker->search != NULL) {
        verdict = key_search_run(worker);
        if (verdict == KEYS_UNDECIDED)
            return SLICE_OPERATIONS;
        key_search_close(worker);
    }
    end_key(worker, verdict, spent_before);
    return size;
}
