/*
 * problem.c: memory of a prepared problem (see problem.h).
 *
 * Small arrays share blocks: a search of a small history takes one allocation instead of thirty.
 */
#include "problem.h"

#ifndef PROBLEM_BLOCK_BYTES /* tests set it to 0, so that sanitizers know every array */
#define PROBLEM_BLOCK_BYTES 8192
#endif

static void *problem_own(struct problem *problem, struct account *account, uint64_t bytes)
{
    if (problem->n_owned == PROBLEM_BLOCKS_MAX)
        return NULL;
    void *memory = account_zeroed(account, bytes);
    if (memory == NULL)
        return NULL;
    problem->owned[problem->n_owned] = memory;
    problem->owned_bytes[problem->n_owned++] = bytes;
    return memory;
}

void *problem_allocate(struct problem *problem, struct account *account, int64_t n,
                       uint64_t size)
{
    uint64_t bytes = ((uint64_t)n * size + 7) / 8 * 8;
    if (bytes >= PROBLEM_BLOCK_BYTES)
        return problem_own(problem, account, bytes);
    if (bytes > problem->block_left) {
        problem->block = problem_own(problem, account, PROBLEM_BLOCK_BYTES);
        if (problem->block == NULL)
            return problem_own(problem, account, bytes);
        problem->block_left = PROBLEM_BLOCK_BYTES;
    }
    void *memory = problem->block;
    problem->block += bytes;
    problem->block_left -= bytes;
    return memory;
}

void problem_free(struct problem *problem, struct account *account)
{
    while (problem->n_owned > 0) {
        problem->n_owned--;
        account_free(account, problem->owned[problem->n_owned],
                     problem->owned_bytes[problem->n_owned]);
    }
}
