/*
 * containers.c: the way from the arrays of one container to its judge, and bags, which need no file.
 *
 * A take of a bag may take whatever is in: the items alone and the takes that found nothing are all
 * that can be wrong (box.h). The order puts items in as late, and takes them as early, as their
 * operations allow. Of crashed takes the k-th takes the k-th item of `left`; queue.c says why that
 * decides.
 */
#include "box.h"

#define POSITIONS_MAX (1 << 30)

/* Put in as late, take as early as can be. */
static void order_bag(struct box *box)
{
    int32_t place = 0;
    for (int32_t position = 0; position < box->problem->n_positions; position++) {
        const struct item *item = box_item_at(box, position);
        if (item != NULL && !is_empty(item)) {
            if (is_cover(item) ? position == item->in_at : position == item->in_until)
                box_emit(box, item->put);
            if (position == item->in_until)
                box_emit(box, item->take);
        }
        place = empty_emit(box, place, position);
    }
}

static int32_t bag_judge(struct box *box)
{
    box_match_spares(box);
    int32_t verdict = empty_place(box);
    if (verdict == CONTAINERS_VALID)
        order_bag(box);
    return verdict;
}

int32_t containers_judge(int32_t kind, const struct containers_problem *problem, int32_t *order,
                         int32_t *part, struct containers_finding *finding)
{
    struct box box = {
        .problem = problem, .kind = kind, .finding = finding, .order = order, .part = part};
    *finding = (struct containers_finding){0};
    if (problem->n < 0 || problem->n_values < 0 || problem->n_values > problem->n ||
        problem->n_positions < 0 || problem->n_positions > POSITIONS_MAX ||
        kind < CONTAINERS_QUEUE || kind > CONTAINERS_PRIORITY)
        return CONTAINERS_MALFORMED;
    for (int32_t value = 0; kind == CONTAINERS_PRIORITY && value < problem->n_values; value++)
        if (problem->rank[value] < 0 || problem->rank[value] >= problem->n_values)
            return CONTAINERS_MALFORMED;
    int32_t verdict = box_gather(&box);
    if (verdict == CONTAINERS_VALID) {
        static int32_t (*const judges[])(struct box *) = {[CONTAINERS_QUEUE] = queue_judge,
                                                          [CONTAINERS_BAG] = bag_judge,
                                                          [CONTAINERS_STACK] = stack_judge,
                                                          [CONTAINERS_PRIORITY] = priority_judge};
        verdict = judges[kind](&box);
        if (verdict == CONTAINERS_INVALID)
            box_name_spares(&box);
    }
    box_free(&box);
    return verdict;
}
