/*
 * worker.h: what all threads share while keys are judged, and what one thread holds.
 *
 * During a round the threads only read struct keys, except `next` and `is_cancelled`, which are
 * atomic, and the entries of the results for the key that a thread works on. Between rounds one
 * thread alone changes it (keys.c).
 *
 * Memory of a worker: 60 bytes an operation of its largest key, 100 with compare-and-sets, and 4 a
 * value of all, or 8. It is one block of zeros: pages that no key needs are never touched.
 */
#ifndef DISSEVER_WORKER_H
#define DISSEVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "keys.h"
#include "search.h"
#include "texts.h"
#include "zones.h"

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
 * Events of one time are concurrent: within a run of them, let calls come before returns. But a
 * process is never concurrent with itself: where it calls at the time of its own return, a new run
 * begins. scratch: room for n_events. Returns -1 without memory.
 */
int partition_order_ties(const struct columns *columns, struct part part, int32_t *scratch);

/* Give the arrays back. */
void partition_close(struct partition *partition);

/*
 * What one thread needs for the key it works on. Its values are numbered from 0; local value 0 is
 * the initial one, also where no operation has it. One key alone needs no numbers of its own
 * (`is_plain`): its values keep theirs, except that the initial one changes places with 0.
 */
struct worker {
    struct keys *keys;
    pthread_t thread;
    int32_t key;           /* in work, or -1 */
    struct part part;      /* of that key */
    struct zones_value *values; /* by local value, with room for `capacity` */
    int32_t *want;         /* by local operation: local values, or -1 */
    int32_t *make;
    int32_t *local_of;     /* by value: local + 1, or 0, as between keys; unused where is_plain, as the next */
    int32_t *values_of;    /* by local value: the value */
    int32_t n_values;
    int32_t capacity;
    struct search *search; /* in work, or NULL */
    struct texts *texts;   /* NULL for registers */
    int32_t *inv;          /* by local operation: positions (worker_fill_positions) */
    int32_t *ret;
    int32_t *buckets;      /* scratch: twice the operations */
    int32_t *transition_of; /* by value that is a pair: transition + 1, or 0 */
    void *memory;          /* of all arrays so far */
    size_t bytes;

    int32_t *reads;        /* by local value: transition + 1, or 0 */
    int32_t *writes;
    int32_t *transition;   /* by local operation */
    int32_t *want_of;      /* by transition */
    int32_t *make_of;
    int32_t *search_memory; /* of the arrays of the search */
    size_t search_bytes;
};

enum round { ROUND_SHARES, ROUND_REST, ROUND_DONE };

/* The threads that run while the caller's waits for them. */
struct threads {
    int32_t n_begun;
    pthread_mutex_t mutex;
    pthread_cond_t is_idle; /* on the monotonic clock */
    int32_t n_running;      /* under the mutex */
};

/* The judgement of all keys (keys.h). */
struct keys {
    const struct columns *columns;
    struct keys_options options;
    struct keys_results results;
    struct partition partition;
    bool is_plain;        /* local values are the values themselves */
    enum round round;
    uint64_t share;       /* configurations of a key in the first round */
    uint64_t share_bytes; /* of a key in this round */
    uint64_t left;        /* configurations for the second round */
    int32_t n_waiting;    /* keys of the second round that are still to come */
    atomic_int next;      /* place in by_size, then key of the second round */
    atomic_bool is_cancelled;
    int32_t n_workers;
    struct worker workers[KEYS_THREADS_MAX];
    struct threads threads;
};

/* Make a worker for keys of up to n_calls operations. Returns SEARCH_OK or SEARCH_NO_MEMORY;
 * worker_close is needed in both cases. */
int worker_open(struct worker *worker, struct keys *keys, int32_t n_calls);

/* Give its memory back, and that of its search. It may be opened again. */
void worker_close(struct worker *worker);

/* Give the memory of the search back. May be called without one. */
void worker_close_search(struct worker *worker);

/* The bytes that a worker holds for a key of n_calls operations, with those of its texts. */
uint64_t worker_bytes(const struct keys *keys, int32_t n_calls);

/* The bytes that are left of the share of the key in work, for its search. The key has room. */
uint64_t worker_room(const struct worker *worker);

/* Whether the key in work fits into its share. */
bool worker_has_room(struct worker *worker);

/* Note in the results that the key in work needs the partition, the worker, and `more` bytes. */
void worker_note_bytes(struct worker *worker, uint64_t more);

/* Fill inv and ret with the positions of the key in work; ZONES_NEVER where it crashed. */
void worker_fill_positions(struct worker *worker);

/* The key in work, as texts.h wants it; inv and ret are filled. */
struct texts_key worker_text_key(const struct worker *worker);

/*
 * Judge the key in work, or open its search: then it returns KEYS_UNDECIDED. Evidence, engine and
 * witness are written into the results.
 */
enum keys_verdict one_key_begin(struct worker *worker);

/* Run a slice of the search, and write what comes of it. Returns KEYS_UNDECIDED while it goes on. */
enum keys_verdict one_key_run(struct worker *worker);

/* Judge a history of one register alone by unique.c, where that applies. Returns whether it was. */
bool unique_judge(struct keys *keys);

#endif
