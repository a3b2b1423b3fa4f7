/*
 * keys.h: every key of a history of registers, or of texts, judged in one call.
 *
 * Linearizability is local: one counting sort splits the events by key, without a copy per key.
 * For each key a pass over its events numbers its values and sees what the data prove: if each
 * value is produced at most once, and none is the initial one, zones.h decides in linear time.
 * Otherwise search.h does, with a table of want and make instead of one of states. For texts see
 * texts.h.
 *
 * Keys are judged in threads, the largest first; what comes of a key depends on its operations and
 * the budget alone, so the results do not depend on the number of threads.
 *
 * One register alone whose values are unique goes past all this: see unique.h.
 *
 * Time: O(n): about 30 ns an operation for the split, 80 for zones; the search takes about one
 * configuration an operation on valid histories and is exponential at worst: hence the budgets.
 * Memory: 12 bytes an operation for the split, 24 and 4 an event while it is made; then for each
 * thread 60 an operation of its largest key, 100 with compare-and-sets, and 4 a value of all, or 8.
 * All of it, and what the search holds, counts against the budget of bytes: a key of the first
 * round has an equal share, and one that does not fit into its share comes again alone.
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
    KEYS_FLAWED = 8     /* unknown: the order that was found did not survive its replay: a bug */
};

enum keys_engine {
    KEYS_NONE = 0, /* nothing was asserted */
    KEYS_ZONES = 1,
    KEYS_CHAINS = 2, /* zones, with compare-and-sets */
    KEYS_DEPTH = 3,
    KEYS_BREADTH = 4,
    KEYS_VALUES = 5, /* invalid at once: a value was read that nobody asked to set */
    KEYS_TEXTS = 6   /* zones, over the states that the texts tell */
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

/* Why an invalid key is invalid; see zones.h for the first ones. */
enum keys_reason {
    KEYS_PHANTOM = 1,
    KEYS_CONSUMED_TWICE = 2,
    KEYS_ROOTLESS = 3,
    KEYS_INSIDE = 4,
    KEYS_CONFLICT = 5,
    KEYS_SEARCHED = 6, /* no order exists: the witness is the return that none survives */
    KEYS_APART = 7, /* as in texts.h */
    KEYS_TWICE = 8
};

struct keys_options {
    int32_t n_keys;
    int32_t n_values;
    int32_t read;    /* ids of f; -1 where the history has none */
    int32_t write;
    int32_t cas;     /* -1 also for a register without it */
    int32_t initial; /* id of the initial value, or -1 where no operation has it */
    uint64_t max_configurations; /* of all keys together */
    uint64_t max_bytes;          /* of all that is held at any one time but the results */
    int32_t n_threads;           /* 1 .. KEYS_THREADS_MAX, or 0: one a core where it is worth it */
    int32_t is_replayed;         /* whether each order found is replayed here: 5 ns an operation */
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
    int32_t *order;        /* n entries, or NULL: linearizations of valid keys */
};

struct keys;

/* Zeros for that many, of one block; with `order` where asked for. NULL without memory. */
struct keys_results *keys_results_open(int32_t n_keys, int32_t n_operations, int32_t has_order);

void keys_results_close(struct keys_results *results);

/*
 * Begin. Columns and results stay the caller's and must outlive it. *error is 0, or a search_error:
 * SEARCH_MALFORMED where the columns contradict each other, with the operation in *at.
 */
struct keys *keys_open(const struct columns *columns, const struct keys_options *options,
                       struct keys_results *results, int32_t *error, int32_t *at);

/*
 * Work for about some milliseconds. Returns 1 when everything is judged, else 0. With one thread
 * all work is done in here, in slices of configurations.
 */
int32_t keys_run(struct keys *keys, int32_t milliseconds);

/* Stop soon: keys that are not judged by then are undecided. keys_run must go on to its end. */
void keys_cancel(struct keys *keys);

/* Joins all threads, which ends what they do at the next slice. */
void keys_close(struct keys *keys);

#endif
