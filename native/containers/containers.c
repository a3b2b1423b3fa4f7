/*
 * containers.c: one container judged, and orders replayed.
 */
#include "containers.h"

#include "covers.h"
#include "fifo.h"
#include "items.h"
#include "peel.h"
#include "replay.h"

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
    int32_t verdict = gather(&box);
    if (verdict == CONTAINERS_VALID) {
        static int32_t (*const judges[])(struct box *) = {judge_queue, judge_bag, judge_stack,
                                                          judge_priority};
        verdict = judges[kind](&box);
        if (verdict == CONTAINERS_INVALID)
            name_spares(&box);
    }
    box_free(&box);
    return verdict;
}

int32_t containers_replay(int32_t kind, const struct containers_problem *problem,
                          const int32_t *order, int32_t length)
{
    struct replay replay = {.problem = problem, .kind = kind};
    int32_t fits = -1;
    if (replay_prepare(&replay))
        fits = replay_all(&replay, order, length);
    replay_free(&replay);
    return fits;
}
