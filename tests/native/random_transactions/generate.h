/*
 * generate.h: random histories of transactions, from databases of known isolation.
 *
 * A database executes the transactions step by step, interleaved at random, and keeps one log of
 * writes for each key: a list is its log, a register holds the last value of it. Afterwards some
 * answers may be changed, so that also what no database does is drawn. Everything follows from the
 * seed.
 */
#ifndef DISSEVER_TEST_GENERATE_H
#define DISSEVER_TEST_GENERATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "columns.h"
#include "micro.h"

#define GENERATE_OPERATIONS_MAX 64
#define GENERATE_MICROS_MAX 6 /* of one transaction */
#define GENERATE_KEYS_MAX 4
#define GENERATE_LOG_MAX (GENERATE_OPERATIONS_MAX * GENERATE_MICROS_MAX)
#define GENERATE_ITEMS_MAX (GENERATE_LOG_MAX * (GENERATE_LOG_MAX + 1))

/* What the database promises, from strong to weak. */
enum generate_level {
    GENERATE_STRICT,       /* each transaction at one instant between its two events */
    GENERATE_SESSION,      /* at one instant, in the order of each process */
    GENERATE_SERIAL,       /* at one instant, whenever */
    GENERATE_SNAPSHOT,     /* reads from its start; of two writers of a key the second fails */
    GENERATE_LOST_UPDATE,  /* serializable, except that a stale read of a key it writes is let pass */
    GENERATE_PREFIX,       /* reads from its start; all writers may commit */
    GENERATE_COMMITTED,    /* each read sees what is committed by then */
    GENERATE_DIRTY_WRITE,  /* writes are done at once; reads wait for writers, as far as they can */
    GENERATE_DIRTY_READ,   /* writes are done at once, and seen; who fails leaves them */
    GENERATE_LEVELS
};

struct generate_options {
    int32_t operations_max; /* up to GENERATE_OPERATIONS_MAX */
    bool is_append;         /* lists, or registers */
    int32_t level;          /* a generate_level, or -1: drawn */
    bool is_sound;          /* no answer is changed and no value is written twice */
};

struct generate_micro {
    uint8_t kind; /* a micro_kind */
    int32_t key;
    int32_t value;  /* written, or read of a register; 0 is nil; -1 unknown */
    int32_t start;  /* of a list that was read: its place in `answers`; else -1 */
    int32_t length; /* of it; else -1 */
};

struct generate_transaction {
    int8_t type; /* a columns_type */
    int32_t process;
    int32_t inv, ret; /* events; ret is -1 of an info */
    int64_t inv_time, ret_time;
    int32_t n;
    struct generate_micro micros[GENERATE_MICROS_MAX];
};

struct generate_history {
    int32_t n, keys_n, level;
    bool is_append;
    bool is_changed; /* an answer was */
    bool is_ambiguous; /* a value is written twice */
    struct generate_transaction transactions[GENERATE_OPERATIONS_MAX];
    int32_t answers_n;
    int32_t answers[GENERATE_ITEMS_MAX];

    /* The same as columns. */
    struct columns columns;
    struct micro micro;
    int8_t type[GENERATE_OPERATIONS_MAX];
    int32_t process[GENERATE_OPERATIONS_MAX], zeros[GENERATE_OPERATIONS_MAX];
    int32_t inv[GENERATE_OPERATIONS_MAX], ret[GENERATE_OPERATIONS_MAX];
    uint16_t f[GENERATE_OPERATIONS_MAX];
    int64_t inv_time[GENERATE_OPERATIONS_MAX], ret_time[GENERATE_OPERATIONS_MAX];
    int64_t first[GENERATE_OPERATIONS_MAX + 1];
    uint8_t kind[GENERATE_LOG_MAX];
    int32_t key[GENERATE_LOG_MAX], value[GENERATE_LOG_MAX], length[GENERATE_LOG_MAX];
    int64_t list[GENERATE_LOG_MAX];
    int32_t keys[GENERATE_KEYS_MAX], longest_length[GENERATE_KEYS_MAX];
    int64_t longest[GENERATE_KEYS_MAX];
    int32_t items[2 * GENERATE_ITEMS_MAX];
};

/* splitmix64 */
uint64_t generate_random(uint64_t *seed);

/* A number from 0 to n - 1; n is at least 1. */
int32_t generate_below(uint64_t *seed, int32_t n);

/* Draw a history, and lay it out as columns, which point into `history`. */
void generate(struct generate_history *history, const struct generate_options *options,
              uint64_t *seed);

/* Lay the transactions out as columns once more, after they were changed. */
void generate_columns(struct generate_history *history);

/* Whether a is over before b begins, on the clock. Equal times are concurrent. */
bool generate_is_before(const struct generate_transaction *a, const struct generate_transaction *b);

/* Whether a comes before b in their process. */
bool generate_precedes(const struct generate_transaction *a, const struct generate_transaction *b);

/* As JSON lines, one event a line. */
void generate_print(const struct generate_history *history, FILE *file);

#endif
