/*
 * problem.c: memory of a problem, and the slots, births and returns of its operations (see
 * problem.h).
 *
 * Small arrays share blocks: a search of a small history takes one allocation instead of thirty.
 */
#include "problem.h"

#ifndef PROBLEM_BLOCK_BYTES /* tests set it to 0, so that sanitizers know every array */
#define PROBLEM_BLOCK_BYTES 8192
#endif

static void *problem_own(struct problem *problem, uint64_t bytes)
{
    if (problem->n_owned == PROBLEM_BLOCKS_MAX)
        return NULL;
    void *memory = account_zeroed(problem->account, bytes);
    if (memory == NULL)
        return NULL;
    problem->owned[problem->n_owned] = memory;
    problem->owned_bytes[problem->n_owned++] = bytes;
    return memory;
}

void *problem_allocate(struct problem *problem, int64_t n, uint64_t size)
{
    uint64_t bytes = ((uint64_t)n * size + 7) / 8 * 8;
    if (bytes >= PROBLEM_BLOCK_BYTES)
        return problem_own(problem, bytes);
    if (bytes > problem->block_left) {
        problem->block = problem_own(problem, PROBLEM_BLOCK_BYTES);
        if (problem->block == NULL)
            return problem_own(problem, bytes);
        problem->block_left = PROBLEM_BLOCK_BYTES;
    }
    void *memory = problem->block;
    problem->block += bytes;
    problem->block_left -= bytes;
    return memory;
}

void problem_free(struct problem *problem)
{
    while (problem->n_owned > 0) {
        problem->n_owned--;
        account_free(problem->account, problem->owned[problem->n_owned],
                     problem->owned_bytes[problem->n_owned]);
    }
}

int problem_positions(const struct problem *problem, const int32_t *inv, const int32_t *ret,
                      int32_t *at)
{
    int32_t end = 2 * problem->n_operations;
    bool has_table = problem->next != NULL;
    size_t cells = has_table ? (size_t)problem->n_states * (size_t)problem->n_transitions : 0;

    if (has_table && (problem->initial < 0 || problem->initial >= problem->n_states))
        return SEARCH_MALFORMED;
    for (size_t i = 0; i < cells; i++)
        if (problem->next[i] < -1 || problem->next[i] >= problem->n_states)
            return SEARCH_MALFORMED;
    for (int32_t operation = 0; operation < problem->n_operations; operation++) {
        int32_t from = inv[operation], to = ret[operation];
        int32_t t = problem->transition[operation];
        if (t < 0 || t >= problem->n_transitions || from < 0 || from >= end || at[from] != 0)
            return SEARCH_MALFORMED;
        at[from] = operation + 1;
        if (to == SEARCH_NEVER)
            continue;
        if (to <= from || to >= end || at[to] != 0)
            return SEARCH_MALFORMED;
        at[to] = -(operation + 1);
    }
    return SEARCH_OK;
}

/* Give each operation its slot, birth and return. `at` is that of problem_positions. */
static int problem_sweep(struct problem *problem, const int32_t *at, int32_t n_positions)
{
    int32_t occupant[SEARCH_OPEN_MAX];
    bool is_free[SEARCH_OPEN_MAX];
    int32_t n_calls = 0, e = 0;

    for (int32_t position = 0; position < n_positions; position++) {
        if (at[position] == 0)
            continue;
        if (at[position] < 0) {
            int32_t operation = -at[position] - 1;
            is_free[problem->slot[operation]] = true;
            problem->return_operation[e++] = operation;
            problem->calls_start[e] = n_calls;
            continue;
        }
        int32_t operation = at[position] - 1;
        problem->birth[operation] = e;
        if (problem->slot[operation] < 0) {
            problem->crashed[problem->n_crashed++] = operation;
            continue;
        }
        int32_t slot = 0;
        while (slot < problem->n_slots && !is_free[slot])
            slot++;
        if (slot == SEARCH_OPEN_MAX)
            return SEARCH_WIDE;
        if (slot == problem->n_slots) {
            occupant[slot] = -1;
            problem->n_slots++;
        }
        is_free[slot] = false;
        problem->slot[operation] = slot;
        problem->slot_before[operation] = occupant[slot];
        occupant[slot] = operation;
        problem->calls[n_calls++] = operation;
    }
    /* calls_start[e] was set when return e - 1 came; calls of return e follow from there on. */
    problem->mask_words = ((uint32_t)problem->n_slots + 63) / 64;
    problem->width = 1 + problem->mask_words;
    return SEARCH_OK;
}

static int problem_allocate_all(struct problem *problem)
{
    int64_t n = problem->n_operations, n_transitions = problem->n_transitions;
    size_t size = sizeof(int32_t);
    int32_t **arrays[] = {
        &problem->return_operation, &problem->calls_start, &problem->calls,
        &problem->slot,             &problem->slot_before, &problem->birth,
        &problem->kind_operations,  &problem->kinds_start, &problem->crashed,
    };
    int32_t **of_transitions[] = {
        &problem->kind_transition, &problem->kind_start, &problem->kind_expiry,
        &problem->kind_slot,       &problem->kind_before,
    };
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        if ((*arrays[i] = problem_allocate(problem, n + 2, size)) == NULL)
            return SEARCH_NO_MEMORY;
    for (size_t i = 0; i < sizeof of_transitions / sizeof of_transitions[0]; i++)
        if ((*of_transitions[i] = problem_allocate(problem, n_transitions + 1, size)) == NULL)
            return SEARCH_NO_MEMORY;
    problem->pure = problem_allocate(problem, n_transitions, 1);
    problem->need = problem_allocate(problem, problem->n_states, size);
    return problem->pure == NULL || problem->need == NULL ? SEARCH_NO_MEMORY : SEARCH_OK;
}

/* Give a slot to what returns, none to what crashed, and count the returns. */
static void problem_slots(struct problem *problem, const int32_t *at, int32_t n_positions)
{
    for (int32_t operation = 0; operation < problem->n_operations; operation++)
        problem->slot[operation] = -1;
    for (int32_t position = 0; position < n_positions; position++) {
        if (at[position] >= 0)
            continue;
        problem->slot[-at[position] - 1] = 0;
        problem->n_returns++;
    }
}

int problem_prepare(struct problem *problem, const int32_t *inv, const int32_t *ret)
{
    int32_t n = problem->n_operations;
    int error = problem_allocate_all(problem);
    if (error != SEARCH_OK)
        return error;
    int32_t *at = problem_allocate(problem, 2 * (int64_t)n, sizeof(int32_t));
    if (at == NULL)
        return SEARCH_NO_MEMORY;
    if ((error = problem_positions(problem, inv, ret, at)) != SEARCH_OK)
        return error;
    problem_slots(problem, at, 2 * n);
    return problem_sweep(problem, at, 2 * n);
}

int problem_prepare_register(struct problem *problem, const int32_t *at, int32_t n_positions)
{
    int error = problem_allocate_all(problem);
    if (error != SEARCH_OK)
        return error;
    problem_slots(problem, at, n_positions);
    return problem_sweep(problem, at, n_positions);
}
