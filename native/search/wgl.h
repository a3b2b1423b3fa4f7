/*
 * wgl.h: the plain search of Wing and Gong, with the memo of Lowe: the second opinion.
 *
 * It shares the arrays of search.h, and the account of bytes, with the other engines, but none of
 * their rules: no laziness, no absorption, no dropping of crashed operations, no dominance. A
 * doubly linked list holds calls and returns in real time; an operation that is linearized is
 * lifted out of it. A configuration is the set of all operations linearized, as one bit each, and
 * the state: n / 8 bytes, so time and memory grow at least with the square of n, and exponentially
 * with what is open at once.
 *
 * Sources: Wing and Gong, "Testing and verifying concurrent objects" (1993); Lowe, "Testing for
 * linearizability" (2017), section 3.
 *
 * Ownership: the caller's arrays must outlive it; all others belong to it until wgl_free. Limit:
 * WGL_CONFIGURATIONS_MAX configurations.
 */
#ifndef DISSEVER_WGL_H
#define DISSEVER_WGL_H

#include "lazy.h"
#include "search.h"

#define WGL_ARRAYS_MAX 8

/* Entry 2i is the call of operation i, 2i + 1 its return; entry 2n is the head of the list. */
struct wgl {
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

/* Arrays as of search_open; on failure the caller still calls wgl_free. Returns a search_error. */
int wgl_open(struct wgl *wgl, struct account *account, int32_t n, const int32_t *inv,
             const int32_t *ret, const int32_t *transition, int32_t n_states,
             int32_t n_transitions, const int32_t *next, int32_t initial);

/* Explore until `*configurations` reaches `limit`: each look into the memo counts as one. */
enum search_status wgl_run(struct wgl *wgl, struct account *account,
                           uint64_t *configurations, uint64_t limit);

int32_t wgl_order(const struct wgl *wgl, int32_t *operations);

/*
 * As search_frontier: configurations that hold all that returned before the failing return. The
 * crashed operations that were used are not named.
 */
int32_t wgl_frontier(const struct wgl *wgl, uint32_t *from, int32_t *state,
                     int32_t *operations);

void wgl_free(struct wgl *wgl, struct account *account);

#endif
