/*
 * prepare.h: from the caller's arrays to a problem.
 *
 * Both functions fill the members of `problem` that are not the caller's. On an error the problem
 * must still be given to problem_free. Time: O(n + states * transitions) for a table,
 * O(n + states + transitions) for a register and for lazy states; crashed operations add what
 * kinds.h says.
 */
#ifndef DISSEVER_PREPARE_H
#define DISSEVER_PREPARE_H

#include "problem.h"

/* Prepare from positions, as search_open has them, which are checked. Returns a search_error. */
int problem_prepare(struct problem *problem, struct account *account, const int32_t *inv,
                    const int32_t *ret);

/*
 * Prepare a register from events in order, as search_open_register has them. The events are not
 * checked. Returns a search_error.
 */
int problem_prepare_register(struct problem *problem, struct account *account,
                             const int32_t *at, int32_t n_positions);

#endif
