/*
 * rounds.h: which key comes next, and how much of the budgets it may spend.
 *
 * The first round gives every key an equal share of configurations and of bytes, and workers take
 * keys by size, the largest first. The second round has one worker: keys that ran out of their
 * share come again, one after the other, with an equal part of what is left. What comes of a key
 * depends on its operations and the budgets alone, so results do not depend on the number of
 * threads.
 */
#ifndef DISSEVER_ROUNDS_H
#define DISSEVER_ROUNDS_H

#include "worker.h"

#define SLICE_OPERATIONS 200000 /* judged between two looks at the clock */

/*
 * Begin the first round, with at most n_workers workers, each for every key that fits into its
 * share. Returns SEARCH_OK or SEARCH_NO_MEMORY.
 */
int rounds_begin(struct keys *keys, int32_t n_workers);

/* After a round is worked off, with no thread running: begin the next, or set ROUND_DONE. */
void rounds_next(struct keys *keys);

/*
 * Do one piece of work of this round: a key, or a slice of its search. Returns how many operations
 * it took, at most SLICE_OPERATIONS or one key, or -1 when nothing is left or it is cancelled.
 */
int32_t rounds_work(struct worker *worker);

#endif
