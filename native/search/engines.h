/*
 * engines.h: the three engines, as the schedule in search.c runs them.
 *
 * All begin from a problem and explore until `*configurations` reaches `limit`, where they return
 * SEARCH_PAUSED; `_order` writes the linearization, or the longest partial one, and returns its
 * length. A struct of zeros is one that was not opened, and may be freed, more than once.
 *
 * Ownership: what grows belongs to the engine until it is freed; other arrays to the problem, which
 * must be prepared for all but wgl.
 */
#ifndef DISSEVER_ENGINES_H
#define DISSEVER_ENGINES_H

#include "problem.h"

/* What is open at a return, and the moves from a configuration there (cursor.c). */

#define ORIGIN_NONE (-1) /* the configuration owes nothing: rule (h) */

struct cursor {
    int32_t at;       /* the next return */
    int32_t *holders; /* by slot: the operation that held it last */
    uint64_t *open;   /* by slot: whether it is held */
    int32_t *kinds;   /* by slot of kinds: the kind that held it last, or -1 */
};

static inline int32_t block_return(const uint64_t *block)
{
    return (int32_t)(block[0] >> 32);
}

static inline int32_t block_state(const uint64_t *block)
{
    return (int32_t)(block[0] & UINT32_MAX);
}

static inline uint64_t block_word(int32_t at, int32_t state)
{
    return (uint64_t)(uint32_t)at << 32 | (uint32_t)state;
}

static inline bool block_has(const uint64_t *block, int32_t slot)
{
    return (block[1 + slot / 64] >> (slot % 64) & 1) != 0;
}

/* Stand before return 0. Returns SEARCH_OK or SEARCH_NO_MEMORY. */
int cursor_open(struct problem *problem, struct cursor *cursor);

/* Go one return on; there is one. */
void cursor_advance(const struct problem *problem, struct cursor *cursor);

/* Go to return e, forwards or backwards. */
void cursor_seek(const struct problem *problem, struct cursor *cursor, int32_t e);

/*
 * Linearize every open pure operation that is enabled in `block`, in place. They are listed in
 * `absorbed`, with room for n_slots. Returns how many.
 */
int32_t cursor_absorb(const struct problem *problem, const struct cursor *cursor, uint64_t *block,
                      int32_t *absorbed);

/* Whether the operation that returns next is linearized. */
static inline bool cursor_is_forced_done(const struct problem *problem, const uint64_t *block)
{
    return block_has(block, problem->slot[problem->return_operation[block_return(block)]]);
}

/*
 * Pass the next return: give back its slot, and the counts of kinds that nothing can need now.
 * Returns the weight of these.
 */
uint32_t cursor_pass_return(const struct problem *problem, const struct cursor *cursor,
                            uint64_t *block);

/*
 * The next child of `block`, from *position on (0 at first): the forced operation, then what
 * enables it (ok, then crashed), then the others. To spend crashed operations on the return at
 * hand, and not to hide open ones needlessly, decides nearly every valid history at once. Returns
 * the operation linearized, or -1 when there is no more.
 */
int32_t cursor_branch(const struct problem *problem, const struct cursor *cursor,
                      const uint64_t *block, int32_t origin, uint32_t *position, uint64_t *child);

/* The origin of a child of `block` by `operation`, unless it absorbs anything. */
static inline int32_t cursor_branch_origin(const struct problem *problem, const uint64_t *block,
                             int32_t operation)
{
    return problem->slot[operation] < 0 ? block_state(block) : ORIGIN_NONE;
}

struct depth {
    struct problem *problem;
    struct cursor cursor;
    struct memo memo;
    struct growing frames; /* blocks, each followed by two words: length of the order and next
                              branch; origin */
    uint64_t *child;
    int32_t *order;        /* the path: operations linearized */
    int32_t order_length;
    int32_t *best;         /* the longest path that ended */
    int32_t best_length;
    int32_t best_return;
    int32_t common;        /* the first operations of `order` and `best` that are the same */
    int32_t reach;         /* the greatest return that some configuration waits for */
    bool has_begun;
    bool is_spent;         /* memory ran out: a configuration was lost, so it cannot go on */
};

/* Begin. Returns SEARCH_OK or SEARCH_NO_MEMORY. */
int depth_open(struct depth *depth, struct problem *problem);

/* Once the account has refused memory, every call returns SEARCH_MEMORY. */
enum search_status depth_run(struct depth *depth, uint64_t *configurations, uint64_t limit);

int32_t depth_order(struct depth *depth, int32_t *operations, bool is_valid);

void depth_free(struct depth *depth);

struct breadth {
    struct problem *problem;
    struct cursor cursor;
    struct memo memo;         /* the configurations at the next return, in order of discovery */
    struct growing entries;   /* by configuration */
    struct growing queues;    /* by weight above `lightest`: what is to be expanded */
    struct growing steps;
    struct growing survivors; /* blocks past the next return, lightest first */
    struct growing survivor_entries;
    uint64_t *child;
    uint64_t *parent;
    int32_t *absorbed;
    uint32_t lightest;   /* the least weight at this return */
    uint32_t queue;      /* the first that is not empty */
    uint32_t position;   /* the next branch of its first configuration */
    uint32_t width;      /* survivors that are kept */
    uint32_t final_step; /* of the longest order known */
    uint32_t steps_limit; /* past it, steps that lead nowhere are dropped */
    bool has_dropped;    /* some that may have survived were not kept */
    bool has_begun;
};

/* Begin; all survivors are kept. Returns SEARCH_OK or SEARCH_NO_MEMORY. */
int breadth_open(struct breadth *breadth, struct problem *problem);

/* Begin again, and keep at most `width` survivors at each return. */
void breadth_restart(struct breadth *breadth, uint32_t width);

/* SEARCH_INVALID is a proof only where `has_dropped` is false. */
enum search_status breadth_run(struct breadth *breadth, uint64_t *configurations, uint64_t limit);

int32_t breadth_order(const struct breadth *breadth, int32_t *operations);

void breadth_free(struct breadth *breadth);

#define WGL_ARRAYS_MAX 8

/* Entry 2i is the call of operation i, 2i + 1 its return; entry 2n is the head of the list. */
struct wgl {
    struct account *account;
    const int32_t *ret;
    const int32_t *inv;
    const int32_t *transition;
    const int32_t *next;
    struct lazy *lazy; /* instead of `next`, or NULL */
    int32_t n_operations;
    int32_t n_transitions;
    int32_t n_required; /* ok operations not linearized yet */
    int32_t state;
    int32_t entry;
    int32_t *after;     /* by entry: the list */
    int32_t *before;
    int32_t *path;      /* operations linearized */
    int32_t *states;    /* by place in the path: the state before */
    int32_t length;
    int32_t *best;      /* the longest path to the farthest return */
    int32_t best_length;
    int32_t reach;      /* the operation of the farthest return that some configuration waits for */

    uint64_t *now;      /* hash of the set, state, bits */
    uint32_t width;     /* words of a configuration */
    uint64_t *stored;   /* configurations seen */
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots;    /* 1 + the number of one; 0 is free. Twice the capacity. */
    void *owned[WGL_ARRAYS_MAX];
    uint64_t owned_bytes[WGL_ARRAYS_MAX];
    uint32_t n_owned;
};

/* Begin, from the caller's arrays alone: the problem need not be prepared. Returns a search_error. */
int wgl_open(struct wgl *wgl, const struct problem *problem, const int32_t *inv,
             const int32_t *ret);

/* Each look into the memo counts as a configuration. */
enum search_status wgl_run(struct wgl *wgl, uint64_t *configurations, uint64_t limit);

int32_t wgl_order(const struct wgl *wgl, int32_t *operations);

/*
 * As search_frontier: configurations that hold all that returned before the failing return. The
 * crashed operations that were used are not named.
 */
int32_t wgl_frontier(const struct wgl *wgl, uint32_t *from, int32_t *state,
                     int32_t *operations);

void wgl_free(struct wgl *wgl);

#endif
