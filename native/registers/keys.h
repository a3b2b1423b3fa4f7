/*
 * keys.h: every key of a history of registers, or of texts, judged in one call.
 *
 * Linearizability is local: the history is split by key (partition.c), and each key is judged alone
 * (one_key.c), by the engine that its data allow: zones in linear time, or a search. One
 * register alone whose values are unique needs no split: unique.c.
 *
 * Keys are judged in threads, the largest first. What comes of a key depends on its
 * operations and the budgets alone, so the results do not depend on the number of threads.
 *
 * Life: keys_results_open, keys_open, keys_run until it returns 1, keys_close, keys_results_close.
 * All calls with one struct keys come from one thread at a time, except keys_cancel, which any
 * thread may call between keys_open and keys_close. Nothing is called back.
 *
 * Time: O(n): about 30 ns an operation for the split, 80 for zones; the search takes about one
 * configuration an operation on valid histories and is exponential at worst: hence the budgets.
 * Memory: partition.c for the split, worker.h for each thread. All of it, and what the search
 * holds, counts against the budget of bytes. The results do not.
 */
#ifndef DISSEVER_KEYS_H
#define DISSEVER_KEYS_H

#include <stdint.h>

#include "columns.h"
#include "load.h"

#define KEYS_THREADS_MAX 16
#define KEYS_WITNESS_MAX 8

enum keys_verdict {
    KEYS_UNDECIDED = 0, /* cancelled before it was reached */
    KEYS_VALID = 1,
    KEYS_INVALID = 2,
    KEYS_CONFIGURATIONS = 3, /* unknown, as in search.h */
    KEYS_MEMORY = 4,
    KEYS_CAPPED = 5,
    KEYS_WIDE = 6,
    KEYS_MALFORMED = 7, /* unknown: the witness is an operation that no such object has */
    KEYS_FLAWED = 8     /* unknown: the order that was found failed its replay: a bug of ours */
};

enum keys_engine {
    KEYS_NONE = 0, /* nothing was asserted */
    KEYS_ZONES = 1,
    KEYS_CHAINS = 2, /* zones, with compare-and-sets */
    KEYS_DEPTH = 3,
    KEYS_BREADTH = 4,
    KEYS_VALUES = 5, /* invalid at once: a value was read that no operation sets */
    KEYS_TEXTS = 6   /* zones, over the states that the texts show */
};

/* What the data prove of the values of a key: why zones apply, or why not. */
enum keys_evidence {
    KEYS_UNIQUE = 0,       /* each is produced at most once, none is the initial one */
    KEYS_REPEATED = 1,     /* one may be produced twice */
    KEYS_INITIAL_AGAIN = 2, /* one that is produced is the initial one */
    KEYS_UNCHANGED = 3,    /* a compare-and-set replaces a value by itself */
    KEYS_DISTINCT = 4,     /* no text that is added begins another */
    KEYS_AMBIGUOUS = 5     /* one does, is empty, or is added again */
};

/* Why an invalid key is invalid. */
enum keys_reason {
    KEYS_NO_REASON = 0,      /* it is not invalid */
    KEYS_PHANTOM = 1,        /* an operation saw what no operations make */
    KEYS_CONSUMED_TWICE = 2, /* two compare-and-sets both replaced one value */
    KEYS_ROOTLESS = 3,       /* compare-and-sets that each need another to come first */
    KEYS_INSIDE = 4,         /* one returned before the other, which must come first, began */
    KEYS_CONFLICT = 5,       /* each of two values would have to come before the other */
    KEYS_SEARCHED = 6,       /* no order exists: the witness is the return that none survives */
    KEYS_APART = 7,          /* two gets returned texts of one put, and neither begins the other */
    KEYS_TWICE = 8           /* what was appended once was returned at two places */
};

struct keys_options {
    int32_t n_keys;
    int32_t n_values;
    int32_t read;    /* ids of f; -1 where the history has none */
    int32_t write;
    int32_t cas;     /* -1 also for a register without it */
    int32_t initial; /* id of the initial value, or -1 where no operation has it */
    uint64_t max_configurations; /* of all keys together */
    uint64_t max_bytes;          /* of all that is held at any one time, without the results */
    int32_t n_threads;           /* 1 .. KEYS_THREADS_MAX, or 0: one a core where it is worth it */
    int32_t search_only;         /* for tests: no zones */
    const struct load_values *texts; /* what values say; NULL for registers */
    int32_t append;                  /* of texts, whose get is `read` and whose put is `write` */
    const uint8_t *initial_text;     /* instead of `initial` */
    int64_t initial_bytes;
};

/* One entry per key. */
struct keys_results {
    int8_t *verdict;
    int8_t *engine;
    int8_t *evidence;
    int8_t *reason;
    int32_t *n_operations; /* that are not dropped */
    uint64_t *configurations;
    uint64_t *peak_bytes;  /* of the split and what the key needed; 0: nothing fitted */
    int32_t *n_witness;
    int32_t *witness;      /* KEYS_WITNESS_MAX per key: operations */
    int32_t *order_start;  /* where its order begins in `order` */
    int32_t *order_length;
    int32_t *order;        /* n entries: linearizations of valid keys, each replayed here */
};

struct keys;

/*
 * Zeros for that many, in one block. They belong to the caller, until keys_results_close. NULL
 * without memory.
 */
struct keys_results *keys_results_open(int32_t n_keys, int32_t n_operations);

void keys_results_close(struct keys_results *results);

/*
 * Begin. Columns, results and what the options point to stay the caller's and must outlive it; the
 * options themselves are copied. *error is a search_error: SEARCH_MALFORMED where the columns
 * contradict each other, with the row in *at, or -1; the answer is NULL unless it is SEARCH_OK.
 */
struct keys *keys_open(const struct columns *columns, const struct keys_options *options,
                       struct keys_results *results, int32_t *error, int32_t *at);

/*
 * Work for about some milliseconds, on the monotonic clock. Returns 1 when everything is judged or
 * it was cancelled, else 0. With one thread all work is done in here; with more, this waits.
 */
int32_t keys_run(struct keys *keys, int32_t milliseconds);

/* Stop at the next slice: keys that are not judged by then stay KEYS_UNDECIDED. */
void keys_cancel(struct keys *keys);

/* Cancel, join all threads (a slice at most), and give all memory back. NULL is allowed. */
void keys_close(struct keys *keys);

#endif
