/*
 * partition.h: a history split by key, with one counting sort and without a copy for each key.
 *
 * Operations that cannot matter are dropped: those that failed, and crashed reads. Time: O(n),
 * about 30 ns an operation. Memory: 12 bytes an operation, and 24 an operation and 4 an event more
 * while it is made; the budget is `max_bytes` of the options.
 *
 * Ownership: columns and options stay the caller's and must outlive it; `memory` holds all arrays,
 * until partition_close.
 */
#ifndef DISSEVER_PARTITION_H
#define DISSEVER_PARTITION_H

#include <stdbool.h>

#include "keys.h"

#define PARTITION_EVENTS_MAX (INT32_MAX / 2)

struct partition {
    const struct columns *columns;
    const struct keys_options *options;
    int32_t n_used;       /* keys that have operations */
    int32_t *by_size;     /* those keys, the largest first */
    int32_t *event_start; /* by key, one more: its events in `events` */
    int32_t *call_start;  /* by key, one more: its operations in `calls` */
    int32_t *events;      /* local operation + 1 invokes, -(local operation + 1) returns */
    int32_t *calls;       /* rows of the columns, by key and invocation */
    int32_t max_calls;    /* of one key */
    int32_t max_events;
    int32_t *memory;
    uint64_t bytes;       /* held until partition_close */
    uint64_t peak_bytes;  /* held while it was made */
    bool is_refused;      /* peak_bytes are more than the budget: there are no arrays */
};

/* What belongs to one key. Local operations are numbered by invocation, from 0. */
struct part {
    int32_t n;            /* operations */
    int32_t n_events;
    const int32_t *calls; /* by local operation: its row */
    int32_t *events;      /* by position; partition_order_ties changes them */
};

/*
 * Split. *partition must be zeros. n_operations: by key, zeros; is filled with how many are kept,
 * also where the split is refused. Returns a search_error: SEARCH_MALFORMED where columns
 * contradict each other, with the row in *at. partition_close is needed whatever it returns.
 */
int partition_open(struct partition *partition, const struct columns *columns,
                   const struct keys_options *options, int32_t *n_operations, int32_t *at);

/* The part of a key below n_keys. O(1); it points into the partition. */
struct part partition_part(const struct partition *partition, int32_t key);

/*
 * Events of one time are concurrent: within a run of them, let calls come before returns.
 * scratch: room for n_events.
 */
void partition_order_ties(const struct columns *columns, struct part part, int32_t *scratch);

/* Give the arrays back. */
void partition_close(struct partition *partition);

#endif
