/*
 * search.c: the schedule of engines, and what the caller sees of a search.
 *
 * Depth first with a few configurations an operation decides nearly every history. Breadth first
 * then gets half of what is left, since it is far better on invalid ones: first with few survivors
 * at each return, the lightest, then with eight times as many, and so on. What a narrow round
 * accepts is valid; what it refuses is invalid only if it kept every survivor. Depth first gets the
 * rest. Every limit is a number of configurations or of bytes, so verdicts do not depend on speed.
 */
#include "search.h"

#include <stdlib.h>

#include "engines.h"

#ifndef FIRST_STAGE_AT_LEAST /* tests set these to reach the later stages with small histories */
#define FIRST_STAGE_AT_LEAST 1000
#define FIRST_STAGE_PER_OPERATION 8
#define WIDTH_FIRST 8
#define WIDTH_FACTOR 8
#endif
#define WIDTH_MAX (UINT32_C(1) << 15) /* then all survivors are kept */

enum stage { STAGE_FIRST, STAGE_BREADTH, STAGE_LAST };

struct search {
    struct account account;
    struct problem problem;
    struct depth depth;
    struct breadth breadth;
    struct wgl wgl;
    struct lazy lazy;
    uint64_t max_configurations;
    uint64_t max_bytes;
    uint64_t configurations;
    uint64_t stage_limit;
    enum search_engine engine;
    enum search_engine decided_by;
    enum stage stage;
    enum search_status status;
    bool is_breadth_late; /* breadth is opened when its stage begins: few searches need it */
};

static void search_enter_stage(struct search *search, enum stage stage)
{
    uint64_t left = search->max_configurations - search->configurations;
    uint64_t held = search->account.used;

    search->stage = stage;
    search->stage_limit = search->max_configurations;
    search->account.limit = search->max_bytes;
    if (search->engine != SEARCH_SCHEDULE || stage == STAGE_LAST)
        return;
    /*
     * Each stage gets half of what is left, so that the one after it has something to go on with.
     */
    search->account.limit = held + (search->max_bytes - held) / 2;
    if (stage == STAGE_BREADTH) {
        search->stage_limit = search->configurations + left / 2;
    } else {
        uint64_t first = FIRST_STAGE_AT_LEAST + FIRST_STAGE_PER_OPERATION *
                                                    (uint64_t)search->problem.n_operations;
        search->stage_limit = first < left ? first : left;
    }
}

/* A search for a problem, with nothing opened. NULL without memory. */
static struct search *search_new(const struct problem *wanted, uint64_t max_configurations,
                                 uint64_t max_bytes, int32_t engine)
{
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return NULL;
    search->account.limit = max_bytes;
    search->max_bytes = max_bytes;
    search->max_configurations = max_configurations;
    search->engine = (enum search_engine)engine;
    search->decided_by = engine == SEARCH_SCHEDULE ? SEARCH_DEPTH : search->engine;
    search->is_breadth_late = engine == SEARCH_SCHEDULE;
    search->problem = *wanted;
    search->problem.account = &search->account;
    return search;
}

/* Open the engine after the problem is prepared, with `error`. Returns the search, or NULL. */
static struct search *search_begin(struct search *search, int32_t *error)
{
    enum search_engine engine = search->engine;
    if (*error == SEARCH_OK && (engine == SEARCH_SCHEDULE || engine == SEARCH_DEPTH))
        *error = depth_open(&search->depth, &search->problem);
    if (*error == SEARCH_OK && engine == SEARCH_BREADTH)
        *error = breadth_open(&search->breadth, &search->problem);
    if (*error != SEARCH_OK) {
        search_close(search);
        return NULL;
    }
    search_enter_stage(search, engine == SEARCH_BREADTH ? STAGE_BREADTH : STAGE_FIRST);
    return search;
}

/* Begin with a table, or with lazy states (then `next` is NULL). As search_open. */
static struct search *search_check(const struct problem *wanted, const int32_t *inv,
                                   const int32_t *ret, const struct lazy *lazy,
                                   uint64_t max_configurations, uint64_t max_bytes,
                                   int32_t engine, int32_t *error)
{
    *error = SEARCH_MALFORMED;
    if (wanted->n_operations < 0 || wanted->n_operations > INT32_MAX / 2 - 2 ||
        wanted->n_states < 1 || wanted->n_transitions < 0 || engine < SEARCH_SCHEDULE ||
        engine > SEARCH_WGL)
        return NULL;
    *error = SEARCH_NO_MEMORY;
    struct search *search = search_new(wanted, max_configurations, max_bytes, engine);
    if (search == NULL)
        return NULL;
    if (lazy != NULL) {
        search->lazy = *lazy;
        search->lazy.account = &search->account;
        search->problem.lazy = &search->lazy;
    }
    *error = engine == SEARCH_WGL ? wgl_open(&search->wgl, &search->problem, inv, ret)
                                  : problem_prepare(&search->problem, inv, ret);
    return search_begin(search, error);
}

struct search *search_open_register(int32_t n_operations, const int32_t *events,
                                    int32_t n_events, const int32_t *transition,
                                    int32_t n_states, int32_t n_transitions, const int32_t *want,
                                    const int32_t *make, uint64_t max_configurations,
                                    uint64_t max_bytes, int32_t *error)
{
    struct problem problem = {
        .transition = transition, .want = want, .make = make, .n_operations = n_operations,
        .n_states = n_states, .n_transitions = n_transitions};
    *error = SEARCH_NO_MEMORY;
    struct search *search = search_new(&problem, max_configurations, max_bytes, SEARCH_SCHEDULE);
    if (search == NULL)
        return NULL;
    *error = problem_prepare_register(&search->problem, events, n_events);
    return search_begin(search, error);
}

struct search *search_open(int32_t n_operations, const int32_t *inv, const int32_t *ret,
                           const int32_t *transition, int32_t n_states, int32_t n_transitions,
                           const int32_t *next, int32_t initial, uint64_t max_configurations,
                           uint64_t max_bytes, int32_t engine, int32_t *error)
{
    struct problem problem = {.transition = transition, .next = next,
                              .n_operations = n_operations, .n_states = n_states,
                              .n_transitions = n_transitions, .initial = initial};
    return search_check(&problem, inv, ret, NULL, max_configurations, max_bytes, engine, error);
}

struct search *search_open_lazy(int32_t n_operations, const int32_t *inv, const int32_t *ret,
                                const int32_t *transition, int32_t n_transitions,
                                const uint8_t *pure, search_step *step, void *context,
                                uint64_t max_configurations, uint64_t max_bytes, int32_t engine,
                                int32_t *error)
{
    struct problem problem = {.transition = transition, .lazy_pure = pure,
                              .n_operations = n_operations, .n_states = 1,
                              .n_transitions = n_transitions};
    struct lazy lazy = {.ask = step, .context = context, .max_bytes = max_bytes};
    return search_check(&problem, inv, ret, &lazy, max_configurations, max_bytes, engine, error);
}

/* One slice of the current stage. */
static enum search_status search_stage(struct search *search, uint64_t slice)
{
    uint64_t left = search->stage_limit - search->configurations;
    uint64_t limit = search->configurations + (slice < left ? slice : left);

    if (search->engine == SEARCH_WGL)
        return wgl_run(&search->wgl, &search->configurations, limit);
    if (search->stage == STAGE_BREADTH && search->is_breadth_late) {
        search->is_breadth_late = false;
        if (breadth_open(&search->breadth, &search->problem) != SEARCH_OK)
            return SEARCH_MEMORY;
        search->breadth.width = WIDTH_FIRST;
    }
    if (search->stage == STAGE_BREADTH)
        return breadth_run(&search->breadth, &search->configurations, limit);
    return depth_run(&search->depth, &search->configurations, limit);
}

int32_t search_run(struct search *search, uint64_t slice)
{
    if (search->status != SEARCH_PAUSED)
        return search->status;
    enum search_status status = search_stage(search, slice);
    if (search->lazy.failure != SEARCH_PAUSED)
        return search->status = search->lazy.failure;
    if (status == SEARCH_PAUSED && search->configurations < search->stage_limit)
        return SEARCH_PAUSED;
    if (status == SEARCH_PAUSED)
        status = SEARCH_CONFIGURATIONS;
    if (status == SEARCH_INVALID && search->stage == STAGE_BREADTH &&
        search->breadth.has_dropped) {
        uint32_t width = search->breadth.width;
        breadth_restart(&search->breadth,
                        width >= WIDTH_MAX ? UINT32_MAX : WIDTH_FACTOR * width);
        return SEARCH_PAUSED;
    }
    if (search->engine != SEARCH_WGL)
        search->decided_by = search->stage == STAGE_BREADTH ? SEARCH_BREADTH : SEARCH_DEPTH;
    bool is_decided = status == SEARCH_VALID || status == SEARCH_INVALID;
    if (!is_decided && search->engine == SEARCH_SCHEDULE && search->stage != STAGE_LAST) {
        if (search->stage == STAGE_BREADTH)
            breadth_free(&search->breadth);
        search_enter_stage(search,
                           search->stage == STAGE_FIRST ? STAGE_BREADTH : STAGE_LAST);
        search->decided_by = SEARCH_DEPTH; /* what is known until the stage ends */
        return SEARCH_PAUSED;
    }
    if (status == SEARCH_INVALID && search->problem.is_capped)
        status = SEARCH_CAPPED;
    search->status = status;
    return status;
}

int32_t search_order(struct search *search, int32_t *operations)
{
    if (search->decided_by == SEARCH_WGL)
        return wgl_order(&search->wgl, operations);
    if (search->decided_by == SEARCH_BREADTH)
        return breadth_order(&search->breadth, operations);
    return depth_order(&search->depth, operations, search->status == SEARCH_VALID);
}

static int32_t search_reach(const struct search *search)
{
    return search->decided_by == SEARCH_BREADTH ? search->breadth.cursor.at
                                                : search->depth.reach;
}

int32_t search_failing(const struct search *search)
{
    if (search->decided_by == SEARCH_WGL)
        return search->wgl.n_required == 0 ? -1 : search->wgl.reach;
    int32_t reach = search_reach(search);
    return reach < search->problem.n_returns ? search->problem.return_operation[reach] : -1;
}

int32_t search_frontier(struct search *search, uint32_t *from, int32_t *state,
                        int32_t *operations)
{
    const struct problem *problem = &search->problem;
    bool is_breadth = search->decided_by == SEARCH_BREADTH;
    const struct memo *memo = is_breadth ? &search->breadth.memo : &search->depth.memo;
    struct cursor *cursor = is_breadth ? &search->breadth.cursor : &search->depth.cursor;
    int32_t reach = search_reach(search), n_done = 0;

    if (search->decided_by == SEARCH_WGL)
        return wgl_frontier(&search->wgl, from, state, operations);
    while (*from < memo->count) {
        const uint64_t *block = memo_block(memo, (*from)++);
        if (block_return(block) != reach)
            continue;
        cursor_seek(problem, cursor, reach);
        *state = block_state(block);
        for (int32_t slot = 0; slot < problem->n_slots; slot++)
            if (block_has(block, slot))
                operations[n_done++] = cursor->holders[slot];
        return n_done;
    }
    return -1;
}

uint64_t search_configurations(const struct search *search)
{
    return search->configurations;
}

uint64_t search_peak_bytes(const struct search *search)
{
    return search->account.peak;
}

int32_t search_decided_by(const struct search *search)
{
    return search->decided_by;
}

void search_close(struct search *search)
{
    if (search == NULL)
        return;
    wgl_free(&search->wgl);
    breadth_free(&search->breadth);
    depth_free(&search->depth);
    problem_free(&search->problem);
    lazy_free(&search->lazy);
    free(search);
}
