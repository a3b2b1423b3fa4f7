/*
 * judges.h: one judge for each kind of container; the rules stand with each body.
 *
 * Each takes a box after box_gather returned CONTAINERS_VALID. Returns a containers_verdict: with
 * VALID the linearization is in box->order; with INVALID the rule and the part are set, except for
 * the crashed takes that box_name_spares adds. Queue and bag are never UNDECIDED.
 * Time: O(n) for queue and bag, O(n log n) for stack and priority.
 */
#ifndef DISSEVER_JUDGES_H
#define DISSEVER_JUDGES_H

#include "box.h"

int32_t queue_judge(struct box *box);
int32_t bag_judge(struct box *box);
int32_t stack_judge(struct box *box);
int32_t priority_judge(struct box *box);

#endif
