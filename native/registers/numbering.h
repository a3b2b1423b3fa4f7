/*
 * numbering.h: the values of one key, numbered from 0, and what the data prove of them.
 *
 * Local value 0 is the initial one, also where no operation has it. One key alone needs no numbers
 * of its own (`is_plain`): its values keep theirs, except that the initial one changes places with
 * 0.
 *
 * Ownership: all arrays are the caller's. local_of must be zeros before numbering_begin, and is
 * again after numbering_end. Time: O(events) for a key, and O(n_values) more where is_plain.
 */
#ifndef DISSEVER_NUMBERING_H
#define DISSEVER_NUMBERING_H

#include <stdbool.h>

#include "keys.h"
#include "partition.h"
#include "zones.h"

struct numbering {
    const struct columns *columns;
    const struct keys_options *options;
    struct zones_value *values; /* by local value, with room for `capacity` */
    int32_t *want;              /* by local operation: local values, or -1 */
    int32_t *make;
    int32_t *local_of;          /* by value: local + 1, or 0; unused where is_plain */
    int32_t *values_of;         /* by local value: the value; unused where is_plain */
    int32_t n_values;
    int32_t capacity;
    bool is_plain;
};

/* What came of the events of a key. */
struct taken {
    enum keys_verdict verdict; /* KEYS_UNDECIDED: an engine is to decide */
    int8_t evidence;           /* a keys_evidence, where all were taken */
    bool has_cas;
    bool has_ties;             /* stopped at two neighbours of one time */
    int32_t at;                /* the local operation it stopped at */
};

/* How many local values a key of n_calls operations can have: the `capacity` that it needs. */
int32_t numbering_capacity(const struct keys_options *options, bool is_plain, int32_t n_calls);

/* Begin a key: all values are unseen, except the initial one. */
void numbering_begin(struct numbering *numbering);

/*
 * Take the events of a key in order, up to the first that does not fit. Fills want, make and
 * values. is_in_order: events of one time stand as partition_order_ties leaves them; else it stops
 * at them.
 */
struct taken numbering_take(struct numbering *numbering, struct part part, bool is_in_order);

/* Give the numbers back. */
void numbering_end(struct numbering *numbering);

#endif
