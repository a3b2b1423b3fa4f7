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

/* Prepare the problem and open the engine that goes first. Returns a search_error. */
static int search_begin(struct search *search, const struct search_problem *wanted)
{
    enum search_engine engine = search->engine;
    int error;
    if (engine == SEARCH_WGL)
        return wgl_open(&search->wgl, &search->problem, wanted->inv, wanted->ret);
    if (wanted->want != NULL)
        error = problem_prepare_register(&search->problem, wanted->events, wanted->n_events);
    else
        error = problem_prepare(&search->problem, wanted->inv, wanted->ret);
    if (error == SEARCH_OK)
        error = problem_crashes(&search->problem);
    if (error != SEARCH_OK)
        return error;
    return engine == SEARCH_BREADTH ? breadth_open(&search->breadth, &search->problem)
                                    : depth_open(&search->depth, &search->problem);
}

struct search *search_open(const struct search_problem *wanted, int32_t *error)
{
    *error = SEARCH_MALFORMED;
    if (wanted->n_operations < 0 || wanted->n_operations > INT32_MAX / 2 - 2 ||
        (wanted->step == NULL && wanted->n_states < 1) || wanted->n_transitions < 0 ||
        wanted->engine < SEARCH_SCHEDULE || wanted->engine > SEARCH_WGL)
        return NULL;
    *error = SEARCH_NO_MEMORY;
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL)
        return NULL;
    bool is_lazy = wanted->step != NULL;
    search->account.limit = search->max_bytes = wanted->max_bytes;
    search->max_configurations = wanted->max_configurations;
    search->engine = (enum search_engine)wanted->engine;
    search->decided_by = wanted->engine == SEARCH_SCHEDULE ? SEARCH_DEPTH : search->engine;
    search->is_breadth_late = wanted->engine == SEARCH_SCHEDULE;
    search->lazy = (struct lazy){.ask = wanted->step, .context = wanted->context,
                                 .account = &search->account, .max_bytes = wanted->max_bytes};
    search->problem = (struct problem){
        .account = &search->account, .transition = wanted->transition, .next = wanted->next,
        .want = wanted->want, .make = wanted->make, .lazy = is_lazy ? &search->lazy : NULL,
        .lazy_pure = wanted->pure, .n_operations = wanted->n_operations,
        .n_states = is_lazy ? 1 : wanted->n_states, .n_transitions = wanted->n_transitions,
        .initial = wanted->initial};
    *error = search_begin(search, wanted);
    if (*error != SEARCH_OK) {
        search_close(search);
        return NULL;
    }
    search_enter_stage(search, wanted->engine == SEARCH_BREADTH ? STAGE_BREADTH : STAGE_FIRST);
    return search;
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
