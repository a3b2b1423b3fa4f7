/*
 * bag.c: bags. A take may take whatever is in.
 *
 * The items alone (box.h) and the takes that found nothing (empty.h) are all that can be wrong. The
 * order puts items in as late, and takes them as early, as their operations allow. Of crashed takes
 * the k-th takes the k-th item of `left`; queue.c says why that decides.
 */
#include "empty.h"
#include "judges.h"

/* Put in as late, take as early as can be. */
static void order_bag(struct box *box)
{
    int32_t place = 0;
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        int32_t number = box->events[position] - 1;
        const struct item *item = &box->items[number < 0 ? 0 : number];
        if (number >= 0 && !is_empty(item)) {
            if (is_cover(item) ? position == item->in_at : position == item->in_until)
                box_emit(box, item->put);
            if (position == item->in_until)
                box_emit(box, item->take);
        }
        place = empty_emit(box, place, position);
    }
}

int32_t bag_judge(struct box *box)
{
    box_match_spares(box);
    int32_t verdict = empty_place(box);
    if (verdict == CONTAINERS_VALID)
        order_bag(box);
    return verdict;
}
