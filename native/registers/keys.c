/*
 * keys.c: a history of many keys judged, from its columns to the end (see keys.h).
 */
#include "keys.h"

#include <stdlib.h>
#include <string.h>

#include "outcome.h"
#include "partition.h"
#include "rounds.h"
#include "threads.h"
#include "unique.h"
#include "worker.h"

#define PLAIN_VALUES_MIN 1024

/* Whether all operations are of one key. */
static bool is_lone(const struct columns *columns)
{
    for (int32_t i = 1; i < columns->n; i++)
        if (columns->key[i] != columns->key[0])
            return false;
    return columns->n > 0;
}

static enum keys_verdict verdict_of(enum unique_answer answer)
{
    switch (answer) {
    case UNIQUE_VALID:
        return KEYS_VALID;
    case UNIQUE_INVALID:
        return KEYS_INVALID;
    case UNIQUE_MEMORY:
        return KEYS_MEMORY;
    case UNIQUE_FLAWED:
        return KEYS_FLAWED;
    case UNIQUE_ELSE:
        break;
    }
    return KEYS_UNDECIDED;
}

/* Judge one register alone by unique.h, where that applies. Returns whether it was judged. */
static bool judge_lone(struct keys *keys)
{
    const struct columns *columns = keys->columns;
    const struct keys_options *options = &keys->options;
    struct keys_results *results = &keys->results;
    if (options->search_only || options->texts != NULL || !is_lone(columns) ||
        columns->key[0] < 0 || columns->key[0] >= options->n_keys)
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
    results->verdict[key] = (int8_t)verdict_of(answer);
    results->engine[key] = is_judged ? KEYS_ZONES : KEYS_NONE;
    results->reason[key] = (int8_t)outcome_reason_of_zones(result.witness.reason);
    results->n_operations[key] = result.n_operations;
    results->peak_bytes[key] = result.bytes;
    results->n_witness[key] = result.witness.n_operations;
    memcpy(results->witness + KEYS_WITNESS_MAX * key, result.witness.operations,
           sizeof(int32_t) * (size_t)result.witness.n_operations);
    results->order_length[key] = results->order == NULL ? 0 : result.length;
    keys->round = ROUND_DONE;
    return true;
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

/* Judge at once, or split and begin the first round. Returns a search_error. */
static int begin(struct keys *keys, int32_t *at)
{
    const struct keys_options *options = &keys->options;
    if (judge_lone(keys))
        return SEARCH_OK;
    int error = split(keys, at);
    if (error != SEARCH_OK || keys->round == ROUND_DONE)
        return error;
    keys->is_plain = options->n_keys == 1 && options->initial >= 0 &&
                     options->n_values <= 2 * (int64_t)keys->partition.max_calls + PLAIN_VALUES_MIN;
    return rounds_begin(keys, threads_count(options, keys->columns->n));
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
    if (keys->round == ROUND_SHARES && keys->n_workers > 1 && !keys->threads.are_begun)
        threads_begin(keys);
    if (keys->threads.are_begun) {
        if (!threads_wait(&keys->threads, milliseconds))
            return 0;
        threads_join(keys);
        rounds_next(keys);
    }
    if (keys->round != ROUND_DONE && threads_work_here(keys, milliseconds))
        rounds_next(keys);
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
