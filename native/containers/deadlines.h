/*
 * deadlines.h: which item a crashed take took, in stacks and priority queues.
 *
 * An item that only a crashed take can have taken has a deadline: the least return of a take that
 * may not answer so while the item is in, whatever else happens. That is a take that found nothing
 * and was asked when the item was surely in; of a stack one of what was surely put in below it and
 * is surely in when it comes on top; of a priority queue one of what is less. The i-th crashed take
 * has to begin before the i-th deadline: if not, no order exists. Earliest deadline first is then
 * the match that is tried; it keeps every deadline if any match does, but there is more to an
 * order than deadlines.
 *
 * Time: O(n log n).
 */
#ifndef DISSEVER_DEADLINES_H
#define DISSEVER_DEADLINES_H

#include "box.h"

/*
 * Sort box->left by deadline. by_rank: the n_by_rank items that have a put, the greatest rank
 * first; NULL for a stack. Returns CONTAINERS_VALID, CONTAINERS_INVALID where the deadlines cannot
 * be kept, or CONTAINERS_MEMORY.
 */
int32_t deadlines_check(struct box *box, const int32_t *by_rank, int32_t n_by_rank);

/*
 * Give each item of `left` a crashed take of its own, at the first instant of any: no match can be
 * better. Finding, part and stretches are reset.
 */
void deadlines_relax(struct box *box);

#endif
