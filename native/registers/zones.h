/*
 * zones.h: a register whose values are each produced once, judged in linear time.
 *
 * A value never returns once overwritten, so the operations on it, and on the values that
 * compare-and-sets made of it, stand together in every linearization: a block, from its root (a
 * write, or the initial value) along the chain of compare-and-sets. Inside a block the groups are
 * in a forced order; block i comes before block j iff some operation of i returns before some of j
 * is invoked. With L the least return of a block and H its greatest invocation, a linearization
 * exists iff each block allows its forced order and no two have L_i < H_j and L_j < H_i.
 *
 * Time O(n), memory 32 bytes a value and 4 a position, whatever crashed: blocks are bucketed by
 * min(L, H), never sorted. A crashed operation counts only if its value is needed.
 *
 * Two files judge by zones. This is the general one, for many keys, compare-and-sets and texts.
 * It works on the local numbers of one key, which the caller makes (one_key.c, texts.c).
 *
 * Sources: Gibbons and Korach (1997); zones as in Golab, Li and Shah (2011); chains are ours.
 */
#ifndef DISSEVER_ZONES_H
#define DISSEVER_ZONES_H

#include <stdbool.h>
#include <stdint.h>

#include "keys.h"

#define ZONES_NEVER INT32_MAX

/* What is known of one value; -1 where there is none. */
struct zones_value {
    int32_t producer; /* the operation that sets it */
    int32_t consumer; /* the compare-and-set that surely replaced it */
    int32_t read_inv; /* position of the last invocation of a read of it */
    int32_t read_ret; /* position of the first return of a read of it, or ZONES_NEVER */
    int32_t n_reads;
    int32_t lo;     /* return of its producer, or ZONES_NEVER; once judged, of a root: L */
    int32_t hi;     /* invocation of its producer; once judged, of a root: H of its block */
    int32_t offset; /* not needed, needed, or the place of its group in the order */
};

#define ZONES_NOT_NEEDED (-2)
#define ZONES_NEEDED (-1)

/*
 * The operations of one key by invocation, at distinct positions. `events` maps a position to
 * operation + 1 (its invocation) or -(operation + 1) (its return). A read wants a value, a write
 * makes one, a compare-and-set does both; -1 where it does not. Value 0 is the initial one.
 */
struct zones {
    int32_t n_operations;
    int32_t n_positions;
    const int32_t *events;
    const int32_t *want;
    const int32_t *make;
    int32_t n_values;
    struct zones_value *values;
    bool has_cas;     /* whether some operation both wants and makes a value */
    int32_t *buckets; /* scratch: n_positions + 1 */
};

/* Operations that contradict each other, of zones at most 6, and how. */
struct witness {
    enum keys_reason reason;
    int32_t n_operations;
    int32_t operations[KEYS_WITNESS_MAX];
};

static const struct zones_value ZONES_UNSEEN = {
    -1, -1, -1, ZONES_NEVER, 0, ZONES_NEVER, -1, ZONES_NOT_NEEDED};

/* Add an operation to a witness, once, while there is room; -1 is passed over. */
void witness_add(struct witness *witness, int32_t operation);

/*
 * Decide. `values` hold what the operations say of them, as numbering_take leaves them; they are
 * changed. Where it is KEYS_NO_REASON, gives the length of a linearization, and the linearization in
 * `order` (room for n_operations) unless that is NULL; else the witness. Allocates nothing.
 */
enum keys_reason zones_judge(struct zones *zones, int32_t *order, int32_t *length,
                             struct witness *witness);

#endif
