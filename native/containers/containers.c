/*
 * containers.c: the way from the arrays of one container to its judge.
 */
#include "containers.h"

#include "box.h"
#include "judges.h"

#define POSITIONS_MAX (1 << 30)

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
