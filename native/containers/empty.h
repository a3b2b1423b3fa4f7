/*
 * empty.h: takes that found nothing.
 *
 * Each needs a stretch in which nothing is surely in. The first one after its invocation will do.
 * Time: O(positions).
 */
#ifndef DISSEVER_EMPTY_H
#define DISSEVER_EMPTY_H

#include "box.h"

/*
 * Give each take that found nothing its stretch (`at`), and list these takes in box->free. Returns
 * CONTAINERS_VALID, or CONTAINERS_INVALID with the rule and the part, or CONTAINERS_MEMORY.
 */
int32_t empty_place(struct box *box);

/* Emit such takes from `place` in box->free on, while they stand in a stretch. Returns the place of
 * the next. */
int32_t empty_emit(struct box *box, int32_t place, int32_t stretch);

#endif
