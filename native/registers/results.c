/*
 * results.c: results of all keys, as one block of zeros that begins with their addresses (keys.h).
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include "keys.h"
#include "pages.h"

struct block {
    struct keys_results results;
    size_t bytes;
};

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
