/*
 * observed.h: who wrote what each transaction read; what all files of this folder share.
 *
 * Vertices are operations, and one more, n, that wrote the initial values.
 */
#ifndef DISSEVER_WEAK_OBSERVED_H
#define DISSEVER_WEAK_OBSERVED_H

#include <stdbool.h>

#include "graph.h"
#include "weak.h"

#define NONE (-1)

struct weak {
    const struct columns *columns;
    const struct micro *micro;
    const struct weak_options *options;
    struct weak_result *result;
    int32_t n;        /* operations; also the vertex of the initial values */
    int32_t values_n; /* ids of values are below */

    int32_t *owner;    /* micro-operation -> operation */
    int32_t *source;   /* of a read of what others wrote: the operation that wrote it; else NONE */
    uint8_t *is_seen;  /* operation -> an ok transaction read something of it */
    int64_t *wrote;    /* operation -> its first place in wrote_key; operations + 1 */
    int32_t *wrote_key; /* keys that an operation that did not fail wrote, ascending */

    int32_t sessions_n;
    int32_t *session_first; /* session -> its first place in `line`; sessions + 1 */
    int32_t *line;          /* operations that did not fail, session by session, in order */
    int32_t *line_place;    /* operation -> its place in `line`, or NONE */

    struct graph_edges edges;
    bool is_ordered; /* a commit order is kept already */
};

/* Whether a write is the first and the last of its operation on its key. */
enum weak_place { PLACE_FIRST = 1, PLACE_LAST = 2 };

/* All of the above but edges. Returns WEAK_VALID, WEAK_MEMORY or WEAK_MALFORMED. */
int32_t weak_open(struct weak *weak);
void weak_close(struct weak *weak);

/* Resolve the reads of all keys and tell the errors; appends.c does keys of lists. The edges that
 * lists give are put. Returns WEAK_VALID or WEAK_MEMORY. */
int32_t weak_resolve(struct weak *weak);

/* Edges of sessions and reads. Sessions are chains of auxiliary vertices behind the operations. */
int32_t weak_edges(struct weak *weak);
int64_t weak_vertices(const struct weak *weak);

/* Edges of the rule of each level. Return WEAK_VALID, WEAK_MEMORY or WEAK_BUDGET. */
int32_t weak_read_committed(struct weak *weak);
int32_t weak_read_atomic(struct weak *weak);
int32_t weak_causal(struct weak *weak);

/* Look for a commit order near to the order of `roots`, all operations and n. If there is one, it
 * is in `order`, of all vertices, and is_ordered is set. Returns WEAK_VALID or WEAK_MEMORY. */
int32_t weak_guess(struct weak *weak, const uint32_t *roots, uint32_t *order);

/* Keep a commit order where weak_guess finds one. Returns WEAK_VALID or WEAK_MEMORY. */
int32_t weak_order_early(struct weak *weak);

/* The commit order or a closed walk, from all edges. Returns a weak_verdict. */
int32_t weak_order(struct weak *weak);

/* A micro-operation, copied beside the others of its key, so that a pass reads memory in order. */
struct entry {
    int32_t at, owner, value;
    uint8_t kind;  /* a micro_kind */
    int8_t type;   /* of its operation: a columns_type */
    uint8_t place; /* of a write: enum weak_place */
};

/* One key, while its reads are resolved. */
struct key_pass {
    int32_t key;
    struct entry *entries; /* its micro-operations, ascending */
    int32_t n;
    int32_t *writer; /* value -> the entry of what wrote it; else NONE */
    int32_t *index;  /* value -> place in the longest list; else NONE. Left as it was found */
};

bool weak_lists(struct weak *weak, const struct key_pass *pass);

/* Count an error, and keep it if there is room. False without memory. */
bool weak_error(struct weak *weak, int32_t anomaly, int32_t at, int32_t value,
                   int32_t other_at);

/* For qsort of int64_t: ascending. */
int weak_ascending(const void *a, const void *b);

/* All operations by completion, those that are not ok last. False without memory. */
bool weak_completions(const struct weak *weak, int32_t *operations);

/* Put an edge between operations, unless it is from one to itself. False without memory. */
bool weak_put(struct weak *weak, int32_t from, int32_t to, uint8_t kind, int32_t key);

static inline bool weak_is_ok(const struct weak *weak, int32_t operation)
{
    return weak->columns->type[operation] == COLUMNS_OK;
}

static inline bool weak_is_failed(const struct weak *weak, int32_t operation)
{
    return weak->columns->type[operation] == COLUMNS_FAIL;
}

/* Whether a transaction is in the commit order. */
static inline bool weak_counts(const struct weak *weak, int32_t operation)
{
    return weak_is_ok(weak, operation) ||
           (!weak_is_failed(weak, operation) && weak->is_seen[operation]);
}

/* Whether micro-operation at is a read of an ok transaction from another one, or from none. */
static inline bool weak_is_outer(const struct weak *weak, int64_t at)
{
    return weak->source[at] != NONE;
}

/* Whether an operation that did not fail wrote a key; by bisection. */
static inline bool weak_writes(const struct weak *weak, int32_t operation, int32_t key)
{
    int64_t low = weak->wrote[operation], high = weak->wrote[operation + 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (weak->wrote_key[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < weak->wrote[operation + 1] && weak->wrote_key[low] == key;
}

#endif
