/*
 * search.h: is a history linearizable with respect to a deterministic table of states?
 *
 * A depth-first just-in-time search, then a breadth-first search over antichains, then the first
 * one again: each is exponential where the other is not. The search runs in slices, so that the
 * caller can look at signals between two calls of search_run. It holds no global state: searches of
 * different threads do not disturb each other, and one search belongs to one thread at a time.
 *
 * Callbacks: there is one, the search_step of a problem. It is called within search_run, on
 * the thread that called search_run, and nowhere else. It must not call any function with the same
 * search. It may open, run and close other searches. search_run holds no lock. Python calls
 * search_run with the interpreter's lock released; its step takes the lock for each call, and
 * releases it before it returns.
 *
 * Limits: SEARCH_OPEN_MAX, SEARCH_KINDS_MAX, and the two budgets that each search is opened with.
 * Time and memory: about 1.2 configurations and 110 to 240 bytes an operation where the first way
 * tried works; exponential in the open and crashed operations otherwise, up to the budgets.
 *
 * Sources: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for
 * linearizability" (2017). Rules for crashed operations: cursor.c, kinds.c and memo.h.
 */
#ifndef DISSEVER_SEARCH_H
#define DISSEVER_SEARCH_H

#include <stdint.h>

enum search_engine { SEARCH_SCHEDULE = 0, SEARCH_DEPTH = 1, SEARCH_BREADTH = 2, SEARCH_WGL = 3 };

enum search_status {
    SEARCH_PAUSED = 0,         /* the slice is used up: run again */
    SEARCH_VALID = 1,          /* search_order gives a linearization */
    SEARCH_INVALID = 2,        /* search_failing and search_frontier say why */
    SEARCH_CONFIGURATIONS = 3, /* unknown: past the budget of configurations */
    SEARCH_MEMORY = 4,         /* unknown: past the budget of bytes */
    SEARCH_CAPPED = 5,         /* unknown: nothing found, but not every crashed operation counted */
    SEARCH_RAISED = 6          /* unknown: search_step returned -2 */
};

enum search_error {
    SEARCH_OK = 0,
    SEARCH_MALFORMED = -1, /* the arrays contradict each other */
    SEARCH_WIDE = -2,      /* more open operations or kinds of crashed ones than the limits */
    SEARCH_NO_MEMORY = -3
};

#define SEARCH_OPEN_MAX 4096  /* open ok operations at any one time */
#define SEARCH_KINDS_MAX 4096 /* distinct crashed transitions that can matter at any one time */
#define SEARCH_NEVER INT32_MAX

struct search;

/*
 * The state after a transition, -1 where it is refused, or -2 where the caller cannot say. After -2
 * it is not called again, and search_run returns SEARCH_RAISED. It must return: no longjmp and no
 * exception may cross the search.
 */
typedef int32_t search_step(void *context, int32_t state, int32_t transition);

/*
 * A history, the object that it is of, and budgets. Where something is not said it is 0 or NULL.
 * The arrays stay the caller's and must outlive the search.
 */
struct search_problem {
    int32_t n_operations;
    int32_t n_transitions;
    const int32_t *transition; /* by operation */
    const int32_t *inv; /* by operation: positions, all distinct and in 0 .. 2n - 1 */
    const int32_t *ret; /* SEARCH_NEVER for an operation that crashed */

    /* A table: the state after transition t is next[state * n_transitions + t]; -1 refuses it. */
    int32_t n_states;
    int32_t initial;
    const int32_t *next;

    /*
     * Or states that are made up while it runs: `step` numbers them from 0, the initial one. It is
     * called at most once for each pair of a state and a transition; the answer is kept. pure[t] is
     * 1 only where transition t changes no state in which it is enabled.
     */
    search_step *step;
    void *context; /* passed to it and not looked at; it must outlive the search */
    const uint8_t *pure;

    /*
     * Or a register of n_states, of which 0 is the initial one. Transition t is enabled in state
     * want[t] alone, or in every one where it is -1; it leads to make[t], or changes nothing where
     * that is -1. Instead of inv and ret, `events` lists what happens in order: operation + 1
     * invokes, -(operation + 1) returns; operations are numbered by invocation. The caller answers
     * for the arrays: they are not checked.
     */
    const int32_t *want;
    const int32_t *make;
    const int32_t *events;
    int32_t n_events;

    int32_t engine; /* a search_engine */
    uint64_t max_configurations;
    uint64_t max_bytes;
};

/* Begin. *error is set to a search_error; the answer is NULL unless SEARCH_OK. */
struct search *search_open(const struct search_problem *problem, int32_t *error);

/* Explore at most about `slice` configurations more. Returns a search_status. */
int32_t search_run(struct search *search, uint64_t slice);

/*
 * The linearization, or the longest partial one found: operations in order. Returns the length.
 * Also while the search is paused.
 */
int32_t search_order(struct search *search, int32_t *operations);

/* The operation whose return no configuration survives, or that was reached when unknown; or -1. */
int32_t search_failing(const struct search *search);

/*
 * The next configuration just before the failing return, from *from on (0 at first). Gives its
 * state and the open operations already linearized in it (at most SEARCH_OPEN_MAX); returns their
 * number, or -1 when there is no more. Only for SEARCH_INVALID. Repeats are possible.
 */
int32_t search_frontier(struct search *search, uint32_t *from, int32_t *state,
                        int32_t *operations);

/* What was spent: configurations explored and the most bytes held at once. */
uint64_t search_configurations(const struct search *search);
uint64_t search_peak_bytes(const struct search *search);

/* The engine that decided, a search_engine. */
int32_t search_decided_by(const struct search *search);

void search_close(struct search *search);

#endif
