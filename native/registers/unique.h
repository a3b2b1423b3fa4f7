/*
 * unique.h: one register alone, written and read, whose values are each written once: judged
 * straight from the columns, in streams.
 *
 * It decides what zones.h decides, without a split, events or numbers of its own: an operation is
 * its row, a position is its index in the history. Nothing branches on what an operation is, since
 * no processor can predict that. Anything else is left to the engines for all keys (UNIQUE_ELSE):
 * another f, a value written twice, a call at the time of the return before it, columns that
 * contradict each other.
 *
 * Why there are two: zones.h takes 2.5 times as long for a history of this kind, the most common
 * one (68 ms against 27 ms for a million operations, measured on one core with the interpreter's
 * part).
 *
 * Time O(n): 25 ns an operation, replay included. Memory: 4 bytes an event, 4 and a bit an
 * operation, 16 a value.
 */
#ifndef DISSEVER_UNIQUE_H
#define DISSEVER_UNIQUE_H

#include <stdbool.h>
#include <stdint.h>

#include "columns.h"
#include "zones.h"

enum unique_answer {
    UNIQUE_ELSE = 0, /* does not apply: nothing is said */
    UNIQUE_VALID = 1,
    UNIQUE_INVALID = 2,
    UNIQUE_MEMORY = 3, /* needs more than max_bytes, or there is no more */
    UNIQUE_FLAWED = 4  /* the order failed its replay: a bug of ours */
};

struct unique_register {
    int32_t read; /* ids of f; -1 where the history has none */
    int32_t write;
    int32_t n_values;
    int32_t initial; /* a value, or -1 where no operation has it */
    uint64_t max_bytes;
    bool is_replayed;
};

struct unique_result {
    int32_t n_operations; /* that are not dropped */
    int32_t length;       /* of the order */
    uint64_t bytes;       /* that were needed */
    struct zones_witness witness;
};

/*
 * Judge; the rows must be of one key. order: NULL, or one entry a row: the linearization, as rows;
 * past its length it is scratch. Memory is given back before it returns.
 */
enum unique_answer unique_judge(const struct columns *columns, const struct unique_register *model,
                                int32_t *order, struct unique_result *result);

#endif
