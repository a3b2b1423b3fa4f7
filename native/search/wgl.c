/*
 * wgl.c: the plain search of Wing and Gong, with the memo of Lowe: the second opinion.
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
 */
#include <string.h>

#include "engines.h"

#define WGL_CONFIGURATIONS_MAX (UINT32_C(1) << 30)

static void *wgl_allocate(struct wgl *wgl, int64_t n, uint64_t size)
{
    uint64_t bytes = (uint64_t)n * size;
    void *memory = account_zeroed(wgl->account, bytes);
    if (memory == NULL)
        return NULL;
    wgl->owned[wgl->n_owned] = memory;
    wgl->owned_bytes[wgl->n_owned++] = bytes;
    return memory;
}

static uint64_t wgl_mix(uint64_t word)
{
    word = (word + 1) * UINT64_C(0x9E3779B97F4A7C15);
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    return word ^ (word >> 27);
}

/* Put an operation into the set, or take it out. */
static void wgl_toggle(struct wgl *wgl, int32_t operation)
{
    wgl->now[0] ^= wgl_mix((uint64_t)operation);
    wgl->now[2 + operation / 64] ^= UINT64_C(1) << (operation % 64);
}

static uint32_t wgl_place(const struct wgl *wgl, const uint64_t *configuration)
{
    uint64_t hash = wgl_mix(configuration[0] ^ wgl_mix(configuration[1] << 32));
    return (uint32_t)(hash >> 16) & (2 * wgl->capacity - 1);
}

static int wgl_grow(struct wgl *wgl)
{
    struct account *account = wgl->account;
    uint32_t capacity = wgl->capacity == 0 ? 64 : 2 * wgl->capacity;
    uint64_t bytes = sizeof(uint64_t) * wgl->width, slot_bytes = 2 * sizeof(uint32_t);

    if (capacity > WGL_CONFIGURATIONS_MAX)
        return -1;
    uint32_t *slots = account_resize(account, NULL, 0, slot_bytes * capacity);
    if (slots == NULL)
        return -1;
    uint64_t *stored =
        account_resize(account, wgl->stored, bytes * wgl->capacity, bytes * capacity);
    if (stored == NULL) {
        account_free(account, slots, slot_bytes * capacity);
        return -1;
    }
    account_free(account, wgl->slots, slot_bytes * wgl->capacity);
    memset(slots, 0, (size_t)(slot_bytes * capacity));
    wgl->stored = stored;
    wgl->slots = slots;
    wgl->capacity = capacity;
    for (uint32_t i = 0; i < wgl->count; i++) {
        uint32_t place = wgl_place(wgl, stored + (size_t)i * wgl->width);
        while (slots[place] != 0)
            place = (place + 1) & (2 * capacity - 1);
        slots[place] = i + 1;
    }
    return 0;
}

/* Store `now`. Returns 1 when it is new, 0 when it was seen, -1 past the limit. */
static int wgl_store(struct wgl *wgl)
{
    if (wgl->count == wgl->capacity && wgl_grow(wgl) != 0)
        return -1;
    uint32_t place = wgl_place(wgl, wgl->now);
    for (; wgl->slots[place] != 0; place = (place + 1) & (2 * wgl->capacity - 1)) {
        const uint64_t *seen = wgl->stored + (size_t)(wgl->slots[place] - 1) * wgl->width;
        if (memcmp(seen, wgl->now, sizeof(uint64_t) * wgl->width) == 0)
            return 0;
    }
    memcpy(wgl->stored + (size_t)wgl->count * wgl->width, wgl->now,
           sizeof(uint64_t) * wgl->width);
    wgl->slots[place] = ++wgl->count;
    return 1;
}

static void wgl_unlink(struct wgl *wgl, int32_t entry)
{
    wgl->after[wgl->before[entry]] = wgl->after[entry];
    wgl->before[wgl->after[entry]] = wgl->before[entry];
}

static void wgl_relink(struct wgl *wgl, int32_t entry)
{
    wgl->after[wgl->before[entry]] = entry;
    wgl->before[wgl->after[entry]] = entry;
}

static void wgl_lift(struct wgl *wgl, int32_t operation)
{
    wgl_unlink(wgl, 2 * operation);
    if (wgl->ret[operation] == SEARCH_NEVER)
        return;
    wgl_unlink(wgl, 2 * operation + 1);
    wgl->n_required--;
}

static void wgl_unlift(struct wgl *wgl, int32_t operation)
{
    if (wgl->ret[operation] != SEARCH_NEVER) {
        wgl->n_required++;
        wgl_relink(wgl, 2 * operation + 1);
    }
    wgl_relink(wgl, 2 * operation);
}

/* Link the list. `at` is that of problem_positions. */
static void wgl_link(struct wgl *wgl, const int32_t *at)
{
    int32_t n = wgl->n_operations, last = 2 * n;

    for (int32_t position = 0; position < 2 * n; position++) {
        if (at[position] == 0)
            continue;
        int32_t entry = at[position] > 0 ? 2 * (at[position] - 1) : -2 * at[position] - 1;
        wgl->n_required += at[position] < 0;
        wgl->after[last] = entry;
        wgl->before[entry] = last;
        last = entry;
    }
    wgl->after[last] = 2 * n;
    wgl->before[2 * n] = last;
    wgl->entry = wgl->after[2 * n];
}

int wgl_open(struct wgl *wgl, const struct problem *problem, const int32_t *inv,
             const int32_t *ret)
{
    int32_t **arrays[] = {&wgl->after, &wgl->before, &wgl->path, &wgl->states, &wgl->best};

    wgl->inv = inv;
    wgl->ret = ret;
    int32_t n = problem->n_operations;
    wgl->account = problem->account;
    wgl->transition = problem->transition;
    wgl->next = problem->next;
    wgl->lazy = problem->lazy;
    wgl->n_operations = n;
    wgl->n_transitions = problem->n_transitions;
    wgl->width = 2 + ((uint32_t)n + 63) / 64;
    wgl->reach = -1;
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        if ((*arrays[i] = wgl_allocate(wgl, 2 * (int64_t)n + 1, 4)) == NULL)
            return SEARCH_NO_MEMORY;
    int32_t *at = wgl_allocate(wgl, 2 * (int64_t)n, sizeof(int32_t));
    wgl->now = wgl_allocate(wgl, wgl->width, sizeof(uint64_t));
    if (at == NULL || wgl->now == NULL)
        return SEARCH_NO_MEMORY;
    if (problem_positions(problem, inv, ret, at) != SEARCH_OK)
        return SEARCH_MALFORMED;
    wgl->state = problem->initial;
    wgl->now[1] = (uint64_t)(uint32_t)problem->initial;
    wgl_link(wgl, at);
    return wgl_store(wgl) < 0 ? SEARCH_NO_MEMORY : SEARCH_OK;
}

/* Linearize the operation at the entry if it is new. Returns 1 when done, 0 when not, or -1. */
static int wgl_call(struct wgl *wgl, int32_t after)
{
    int32_t operation = wgl->entry / 2;

    wgl_toggle(wgl, operation);
    wgl->now[1] = (uint64_t)(uint32_t)after;
    int is_new = wgl_store(wgl);
    if (is_new == 1) {
        wgl->states[wgl->length] = wgl->state;
        wgl->path[wgl->length++] = operation;
        wgl->state = after;
        wgl_lift(wgl, operation);
        return 1;
    }
    wgl_toggle(wgl, operation);
    wgl->now[1] = (uint64_t)(uint32_t)wgl->state;
    return is_new;
}

/* A return that cannot be passed: keep the path if it got farthest, and undo its last step. */
static enum search_status wgl_backtrack(struct wgl *wgl)
{
    int32_t waiting = wgl->entry / 2, n = wgl->length;
    int32_t farthest = wgl->reach < 0 ? -1 : wgl->ret[wgl->reach];

    if (wgl->ret[waiting] > farthest ||
        (wgl->ret[waiting] == farthest && n > wgl->best_length)) {
        memcpy(wgl->best, wgl->path, sizeof(int32_t) * (size_t)n);
        wgl->best_length = n;
        wgl->reach = waiting;
    }
    if (n == 0)
        return SEARCH_INVALID;
    int32_t operation = wgl->path[--wgl->length];
    wgl->state = wgl->states[wgl->length];
    wgl->now[1] = (uint64_t)(uint32_t)wgl->state;
    wgl_toggle(wgl, operation);
    wgl_unlift(wgl, operation);
    wgl->entry = wgl->after[2 * operation];
    return SEARCH_PAUSED;
}

static int32_t wgl_next(const struct wgl *wgl, int32_t transition)
{
    if (wgl->lazy != NULL)
        return lazy_next(wgl->lazy, wgl->state, transition);
    return wgl->next[(size_t)wgl->state * (size_t)wgl->n_transitions + (size_t)transition];
}

enum search_status wgl_run(struct wgl *wgl, uint64_t *configurations, uint64_t limit)
{
    enum search_status status = SEARCH_PAUSED;

    while (status == SEARCH_PAUSED && wgl->n_required > 0 && *configurations < limit) {
        if (wgl->entry % 2 == 1) {
            status = wgl_backtrack(wgl);
            continue;
        }
        int32_t after = wgl_next(wgl, wgl->transition[wgl->entry / 2]);
        int done = 0;
        if (after >= 0) {
            ++*configurations;
            done = wgl_call(wgl, after);
        }
        if (done < 0)
            return SEARCH_MEMORY;
        wgl->entry = wgl->after[done == 1 ? 2 * wgl->n_operations : wgl->entry];
    }
    return status == SEARCH_PAUSED && wgl->n_required == 0 ? SEARCH_VALID : status;
}

int32_t wgl_order(const struct wgl *wgl, int32_t *operations)
{
    bool is_valid = wgl->n_required == 0;
    int32_t length = is_valid ? wgl->length : wgl->best_length;
    memcpy(operations, is_valid ? wgl->path : wgl->best, sizeof(int32_t) * (size_t)length);
    return length;
}

static bool wgl_has(const uint64_t *configuration, int32_t operation)
{
    return (configuration[2 + operation / 64] >> (operation % 64) & 1) != 0;
}

int32_t wgl_frontier(const struct wgl *wgl, uint32_t *from, int32_t *state,
                     int32_t *operations)
{
    int32_t end = wgl->ret[wgl->reach];

    while (*from < wgl->count) {
        const uint64_t *seen = wgl->stored + (size_t)(*from)++ * wgl->width;
        bool is_there = true;
        int32_t n_done = 0;
        for (int32_t i = 0; i < wgl->n_operations && is_there; i++) {
            bool is_open = wgl->ret[i] != SEARCH_NEVER && wgl->ret[i] > end;
            is_there = wgl->ret[i] >= end || wgl_has(seen, i);
            if (is_open && wgl_has(seen, i) && n_done < SEARCH_OPEN_MAX)
                operations[n_done++] = i;
        }
        *state = (int32_t)seen[1];
        if (is_there)
            return n_done;
    }
    return -1;
}

void wgl_free(struct wgl *wgl)
{
    struct account *account = wgl->account;
    account_free(account, wgl->stored, sizeof(uint64_t) * wgl->width * wgl->capacity);
    account_free(account, wgl->slots, 2 * sizeof(uint32_t) * wgl->capacity);
    wgl->stored = NULL;
    wgl->slots = NULL;
    wgl->count = wgl->capacity = 0;
    while (wgl->n_owned > 0) {
        wgl->n_owned--;
        account_free(account, wgl->owned[wgl->n_owned], wgl->owned_bytes[wgl->n_owned]);
    }
}
