/*
 * engine.h: what the parts of the engine of transactions.h share.
 *
 * Micro-operations are sorted by key, and those of one key stay in their order, so those of one
 * transaction on one key stand together: a run. Each part works through the keys one by one, with
 * tables of values that it clears after each key.
 */
#ifndef DISSEVER_TRANSACTIONS_ENGINE_H
#define DISSEVER_TRANSACTIONS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>

#include "put.h"
#include "transactions.h"

#define NOBODY (-1)

/* One micro-operation of a key. */
struct entry {
    int32_t micro;
    int32_t operation;
};

/* What is known of one value of the key at hand. All zero is nothing. */
struct slot {
    int32_t writer;   /* 1 + the entry that wrote it first; 0: nobody did */
    int32_t position; /* 1 + its first place in the longest list; 0: it is not there. Of registers:
                         1 + the first entry that read it and goes on to write */
    uint32_t mark;    /* of a list that is looked through: whether the value occurred before */
    bool is_final;    /* no later write of the writer is of this key */
    bool is_repeated; /* written more than once */
    bool is_seen;     /* in a list that does not begin the longest */
};

struct engine {
    const struct columns *columns;
    const struct micro *micro;
    const struct transactions_options *options;
    struct transactions_outcome *outcome;

    int32_t operations;
    int32_t keys_n;
    int32_t values_n;       /* every id of a value is below */
    int32_t length_max;     /* of the lists that ok reads returned */
    struct entry *entries;  /* by key, then by micro-operation */
    int32_t *key_first;     /* key -> its first entry; keys_n + 1 places */
    struct slot *slots;     /* by value; of the key at hand */
    uint32_t mark;
    bool *counts;           /* by operation: ok, or open with a write that was seen */

    struct graph_edges edges;
    int64_t vertices;
    bool has_cycle;
    uint32_t *completed;    /* ok operations by the time of their completion */
    int64_t completed_n;
    uint64_t vectors;       /* spent to find paths */

    /* Of registers alone. A version is named by the entry that wrote it, see registers.h. */
    int32_t *version; /* by entry: of a read that is evidence, what it returned; of a last write
                         that may count, itself; else NO_VERSION */
    int32_t *parent;  /* by entry of a version: the one that its transaction read before */

    int64_t anomalies_capacity;
    int64_t bytes;
};

static inline bool is_ok(const struct engine *engine, int32_t operation)
{
    return engine->columns->type[operation] == COLUMNS_OK;
}

static inline bool is_failed(const struct engine *engine, int32_t operation)
{
    return engine->columns->type[operation] == COLUMNS_FAIL;
}

/* Zeros for n things of a size, counted; NULL without memory. release gives them back. */
void *engine_zeros(struct engine *engine, int64_t n, size_t size);
void engine_release(struct engine *engine, void *memory, int64_t n, size_t size);

/* An edge between two operations that differ; 0 or -1 without memory. */
int32_t engine_depend(struct engine *engine, int32_t from, int32_t to, enum graph_kind kind,
                      int32_t key);

/*
 * Every source before every target, except itself, by rw edges of one key: at most 2 edges a source
 * and 4 a target, by auxiliary vertices. Both are sorted and without repetition. 0 or -1 without
 * memory.
 */
int32_t engine_fan(struct engine *engine, const int32_t *sources, int32_t sources_n,
                   const int32_t *targets, int32_t targets_n, int32_t key);

/* Count an anomaly, and keep it where there is room. 0 or -1 without memory. */
int32_t engine_report(struct engine *engine, enum transactions_kind kind,
                      struct entry at, struct entry other, int32_t key, int32_t value);

/* keys.c: who wrote each value of a key, and whether it was the last write of its transaction. */
void keys_index(struct engine *engine, int32_t key);

/* door.c: whether the arrays fit each other; fills status and place where they do not. */
bool door_check(struct engine *engine);

/* lists.c, registers.c: anomalies and data edges of all keys. 0 or -1 without memory. */
int32_t lists_infer(struct engine *engine);
int32_t registers_infer(struct engine *engine);

/* timeline.c: engine->completed; then the edges of process order and of realtime order. 0 or -1
 * without memory. */
int32_t timeline_complete(struct engine *engine);
int32_t timeline_process(struct engine *engine);
int32_t timeline_realtime(struct engine *engine);

/*
 * guess.c: an order of all vertices that keeps the edges of a mask and that replays, whatever order
 * of versions it takes. 1, 0 when the guess failed, -1 without memory.
 */
int32_t guess_order(struct engine *engine, uint32_t mask, uint32_t *order);

/* serial.c: the strongest serial order that was asked for, and whether there is a cycle. 0 or -1
 * without memory. */
int32_t serial_order(struct engine *engine, const struct graph *graph);

#endif
