/*
 * keys.c: a history of many keys judged, from its columns to the end (see keys.h).
 *
 * The first round gives every key an equal share of configurations and of bytes, and workers take
 * keys by size, the largest first. The second round has one worker: keys that ran out of their
 * share come again, one after the other, with an equal part of what is left.
 *
 * Each worker has a thread. The caller's thread waits in slices, on the monotonic clock, and never
 * works while others do. Threads that the system refuses are not needed: if none can be made, the
 * caller's thread works.
 */
#define _DEFAULT_SOURCE /* madvise, clock_gettime, pthread_condattr_setclock */

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "pages.h"
#include "worker.h"

#define PLAIN_VALUES_MIN 1024
#define SLICE_OPERATIONS 200000 /* judged between two looks at the clock */
#define THREADED_OPERATIONS_MIN 5000
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

/* Results of all keys: one block of zeros that begins with their addresses. */
struct block {
    struct keys_results results;
    size_t bytes;
};

struct keys_results *keys_results_open(int32_t n_keys, int32_t n_operations)
{
    size_t n = (size_t)n_keys, size = sizeof(int32_t);
    size_t bytes = sizeof(struct block) + n * (2 * sizeof(uint64_t) + 4 + size * 4) +
                   n * size * KEYS_WITNESS_MAX + size * (size_t)n_operations;
    struct block *block = pages_zeroed(bytes);
    if (block == NULL)
        return NULL;
    struct keys_results *results = &block->results;
    block->bytes = bytes;
    void *rest = block + 1; /* in order of alignment */
    results->configurations = pages_carve(&rest, n, sizeof(uint64_t));
    results->peak_bytes = pages_carve(&rest, n, sizeof(uint64_t));
    int32_t **integers[] = {&results->n_operations, &results->n_witness, &results->order_start,
                            &results->order_length};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        *integers[i] = pages_carve(&rest, n, size);
    results->witness = pages_carve(&rest, n * KEYS_WITNESS_MAX, size);
    results->order = pages_carve(&rest, (size_t)n_operations, size);
    int8_t **bytes_of[] = {&results->verdict, &results->engine, &results->evidence,
                           &results->reason};
    for (size_t i = 0; i < sizeof bytes_of / sizeof bytes_of[0]; i++)
        *bytes_of[i] = pages_carve(&rest, n, 1);
    return results;
}

void keys_results_close(struct keys_results *results)
{
    struct block *block = (struct block *)(void *)results;
    if (block != NULL)
        pages_release(block, block->bytes);
}

/* Split by key. Keys without operations are valid; past the budget the others are unknown. */
static int split(struct keys *keys, int32_t *at)
{
    struct keys_results *results = &keys->results;
    int error = partition_open(&keys->partition, keys->columns, &keys->options,
                               results->n_operations, at);
    if (error != SEARCH_OK)
        return error;
    bool is_refused = keys->partition.is_refused;
    for (int32_t key = 0; key < keys->options.n_keys; key++) {
        results->order_start[key] = is_refused ? 0 : keys->partition.call_start[key];
        if (results->n_operations[key] == 0)
            results->verdict[key] = KEYS_VALID;
        else if (is_refused)
            results->verdict[key] = KEYS_MEMORY;
    }
    if (is_refused)
        keys->round = ROUND_DONE;
    return SEARCH_OK;
}

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

/* Equal shares of configurations and of bytes for all keys of the first round. */
static void set_shares(struct keys *keys)
{
    uint64_t n = keys->partition.n_used > 0 ? (uint64_t)keys->partition.n_used : 1;
    uint64_t at_once = n < KEYS_THREADS_MAX ? n : KEYS_THREADS_MAX;
    keys->share = keys->options.max_configurations / n;
    keys->share = keys->share > 0 ? keys->share : 1;
    keys->share_bytes = (keys->options.max_bytes - keys->partition.bytes) / at_once;
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

/* After a round is worked off, with no thread running: begin the next, or set ROUND_DONE. */
static void next_round(struct keys *keys)
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

/*
 * Do one piece of work of this round: a key, or a slice of its search. Returns how many operations
 * it took, at most SLICE_OPERATIONS or one key, or -1 when nothing is left or it is cancelled.
 */
static int32_t work(struct worker *worker)
{
    struct keys *keys = worker->keys;
    int32_t size = SLICE_OPERATIONS;
    enum keys_verdict verdict = KEYS_UNDECIDED;
    if (atomic_load_explicit(&keys->is_cancelled, memory_order_relaxed)) {
        worker_close_search(worker);
        return -1;
    }
    if (worker->search == NULL) {
        worker->key = next_key(keys);
        if (worker->key < 0)
            return -1;
        worker->part = partition_part(&keys->partition, worker->key);
        size = worker->part.n;
        verdict = one_key_begin(worker);
    }
    uint64_t spent_before = keys->results.configurations[worker->key];
    if (worker->search != NULL) {
        verdict = one_key_run(worker);
        if (verdict == KEYS_UNDECIDED)
            return SLICE_OPERATIONS;
        worker_close_search(worker);
    }
    end_key(worker, verdict, spent_before);
    return size;
}

/* Make a condition whose waits do not follow changes of the wall clock. Returns 0 or an error. */
static int condition_open(pthread_cond_t *condition)
{
#ifdef __APPLE__
    return pthread_cond_init(condition, NULL); /* it waits for spans, see condition_wait */
#else
    pthread_condattr_t monotonic;
    int status = pthread_condattr_init(&monotonic);
    if (status != 0)
        return status;
    status = pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    if (status == 0)
        status = pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return status;
#endif
}

/* Make the lock and the condition. */
static int threads_open(struct threads *threads)
{
    if (condition_open(&threads->is_idle) != 0)
        return SEARCH_NO_MEMORY;
    if (pthread_mutex_init(&threads->mutex, NULL) == 0)
        return SEARCH_OK;
    pthread_cond_destroy(&threads->is_idle);
    return SEARCH_NO_MEMORY;
}

static void threads_close(struct threads *threads)
{
    pthread_mutex_destroy(&threads->mutex);
    pthread_cond_destroy(&threads->is_idle);
}

static void *thread_main(void *argument)
{
    struct worker *worker = argument;
    struct threads *threads = &worker->keys->threads;
    while (work(worker) >= 0)
        ;
    pthread_mutex_lock(&threads->mutex);
    threads->n_running--;
    pthread_cond_signal(&threads->is_idle);
    pthread_mutex_unlock(&threads->mutex);
    return NULL;
}

/* Start a thread for each worker; n_begun stays 0 if none could be made. */
static void threads_begin(struct keys *keys)
{
    struct threads *threads = &keys->threads;
    for (int32_t i = 0; i < keys->n_workers && threads->n_begun == i; i++) {
        pthread_mutex_lock(&threads->mutex);
        threads->n_running++;
        pthread_mutex_unlock(&threads->mutex);
        if (pthread_create(&keys->workers[i].thread, NULL, thread_main, &keys->workers[i]) == 0) {
            threads->n_begun++;
            continue;
        }
        pthread_mutex_lock(&threads->mutex);
        threads->n_running--;
        pthread_mutex_unlock(&threads->mutex);
    }
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Wait for the condition until a time of now_ns. Returns 0 or an error. */
static int condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until_ns)
{
#ifdef __APPLE__
    int64_t left_ns = until_ns - now_ns();
    int64_t wait_ns = left_ns > 0 ? left_ns : 0;
#else
    int64_t wait_ns = until_ns;
#endif
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_S),
                            .tv_nsec = (long)(wait_ns % NS_PER_S)};
#ifdef __APPLE__
    return pthread_cond_timedwait_relative_np(condition, mutex, &wait);
#else
    return pthread_cond_timedwait(condition, mutex, &wait);
#endif
}

/* Wait for the threads, at most some milliseconds. Returns whether they are done. */
static bool threads_wait(struct threads *threads, int32_t milliseconds)
{
    int64_t until_ns = now_ns() + milliseconds * NS_PER_MS;
    int status = 0;
    pthread_mutex_lock(&threads->mutex);
    while (threads->n_running > 0 && status == 0)
        status = condition_wait(&threads->is_idle, &threads->mutex, until_ns);
    bool is_done = threads->n_running == 0;
    pthread_mutex_unlock(&threads->mutex);
    return is_done;
}

/* Join those that were begun. Blocks until each has ended its piece of work. */
static void threads_join(struct keys *keys)
{
    while (keys->threads.n_begun > 0)
        pthread_join(keys->workers[--keys->threads.n_begun].thread, NULL);
}

/* Let the first worker go on here, for some milliseconds. Returns whether this round has nothing
 * left. */
static bool threads_work_here(struct keys *keys, int32_t milliseconds)
{
    int64_t until_ns = now_ns() + milliseconds * NS_PER_MS;
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

/* How many threads to use: one where starting more costs more than they save. */
static int32_t threads_count(const struct keys_options *options, int32_t n_operations)
{
    long wanted = options->n_threads;
    if (wanted == 0)
        wanted = n_operations < THREADED_OPERATIONS_MIN ? 1 : sysconf(_SC_NPROCESSORS_ONLN);
    return wanted < 1 ? 1 : wanted > KEYS_THREADS_MAX ? KEYS_THREADS_MAX : (int32_t)wanted;
}

/* Judge at once, or split and begin the first round. Returns a search_error. */
static int begin(struct keys *keys, int32_t *at)
{
    const struct keys_options *options = &keys->options;
    if (unique_judge(keys)) {
        keys->round = ROUND_DONE;
        return SEARCH_OK;
    }
    int error = split(keys, at);
    if (error != SEARCH_OK || keys->round == ROUND_DONE)
        return error;
    keys->is_plain = options->n_keys == 1 && options->initial >= 0 &&
                     options->n_values <= 2 * (int64_t)keys->partition.max_calls + PLAIN_VALUES_MIN;
    set_shares(keys);
    return open_workers(keys, threads_count(options, keys->columns->n));
}

struct keys *keys_open(const struct columns *columns, const struct keys_options *options,
                       struct keys_results *results, int32_t *error, int32_t *at)
{
    *error = SEARCH_MALFORMED;
    *at = -1;
    if (columns->n < 0 || columns->n > PARTITION_EVENTS_MAX / 2 || options->n_keys < 1 ||
        options->n_values < 1 || options->initial >= options->n_values ||
        options->n_threads < 0 || options->n_threads > KEYS_THREADS_MAX)
        return NULL;
    *error = SEARCH_NO_MEMORY;
    struct keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL || threads_open(&keys->threads) != SEARCH_OK) {
        free(keys);
        return NULL;
    }
    keys->columns = columns;
    keys->options = *options;
    keys->results = *results;
    *error = begin(keys, at);
    if (*error != SEARCH_OK) {
        keys_close(keys);
        return NULL;
    }
    return keys;
}

int32_t keys_run(struct keys *keys, int32_t milliseconds)
{
    if (keys->round == ROUND_DONE)
        return 1;
    if (keys->round == ROUND_SHARES && keys->n_workers > 1 && keys->threads.n_begun == 0)
        threads_begin(keys);
    if (keys->threads.n_begun > 0) {
        if (!threads_wait(&keys->threads, milliseconds))
            return 0;
        threads_join(keys);
        next_round(keys);
    }
    if (keys->round != ROUND_DONE && threads_work_here(keys, milliseconds))
        next_round(keys);
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
    threads_join(keys);
    for (int32_t i = 0; i < keys->n_workers; i++)
        worker_close(&keys->workers[i]);
    partition_close(&keys->partition);
    threads_close(&keys->threads);
    free(keys);
}
