/*
 * replay.c: an order of operations, done step by step on a container (containers_replay).
 *
 * Why it exists: it judges the orders that the judges find, in the same process. It works on
 * values, and shares no code with the judges, which work on positions.
 *
 * What a crashed take of a bag or a priority queue takes is chosen: something that no other take
 * has, of the greatest rank. All such things are alike to whatever comes later.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "containers.h"

struct replay {
    const struct containers_problem *problem;
    int32_t kind;
    int32_t *held;     /* queue, stack: values; the others: values that no ok take has */
    int32_t n_held, first;
    int32_t n_in;      /* how many values are in */
    int8_t *is_in;     /* by value */
    int8_t *is_wanted; /* by value: an ok take has it */
    int8_t *is_done;   /* by operation */
    int32_t *ranks;    /* a heap of those that are or were in, the greatest first */
    int32_t n_ranks;
    int32_t *of_rank;  /* by rank: how many are in */
};

static bool replay_prepare(struct replay *replay)
{
    size_t n = (size_t)replay->problem->n + 1;
    replay->held = calloc(n, sizeof(int32_t));
    replay->is_in = calloc(n, 1);
    replay->is_wanted = calloc(n, 1);
    replay->is_done = calloc(n, 1);
    replay->ranks = calloc(n, sizeof(int32_t));
    replay->of_rank = calloc(n, sizeof(int32_t));
    return replay->held && replay->is_in && replay->is_wanted && replay->is_done &&
           replay->ranks && replay->of_rank;
}

static void replay_free(struct replay *replay)
{
    free(replay->held);
    free(replay->is_in);
    free(replay->is_wanted);
    free(replay->is_done);
    free(replay->ranks);
    free(replay->of_rank);
}

static int32_t replay_rank(const struct replay *replay, int32_t value)
{
    return replay->kind == CONTAINERS_PRIORITY ? replay->problem->rank[value] : 0;
}

static void swap(int32_t *one, int32_t *other)
{
    int32_t kept = *one;
    *one = *other;
    *other = kept;
}

static void ranks_push(struct replay *replay, int32_t rank)
{
    int32_t at = replay->n_ranks++;
    replay->ranks[at] = rank;
    for (; at > 0 && replay->ranks[(at - 1) / 2] < replay->ranks[at]; at = (at - 1) / 2)
        swap(&replay->ranks[at], &replay->ranks[(at - 1) / 2]);
}

static void ranks_pop(struct replay *replay)
{
    replay->ranks[0] = replay->ranks[--replay->n_ranks];
    for (int32_t at = 0;;) {
        int32_t child = 2 * at + 1;
        if (child >= replay->n_ranks)
            return;
        child += child + 1 < replay->n_ranks && replay->ranks[child + 1] > replay->ranks[child];
        if (replay->ranks[child] <= replay->ranks[at])
            return;
        swap(&replay->ranks[at], &replay->ranks[child]);
        at = child;
    }
}

/* The greatest rank of what is in; something is. */
static int32_t ranks_greatest(struct replay *replay)
{
    while (replay->of_rank[replay->ranks[0]] == 0)
        ranks_pop(replay);
    return replay->ranks[0];
}

static bool replay_put(struct replay *replay, int32_t value)
{
    if (replay->is_in[value])
        return false; /* values are put in once */
    replay->is_in[value] = 1;
    replay->n_in++;
    if (replay->kind == CONTAINERS_QUEUE || replay->kind == CONTAINERS_STACK) {
        replay->held[replay->n_held++] = value;
        return true;
    }
    if (!replay->is_wanted[value])
        replay->held[replay->n_held++] = value;
    if (replay->of_rank[replay_rank(replay, value)]++ == 0)
        ranks_push(replay, replay_rank(replay, value));
    return true;
}

/* What a crashed take takes; NOTHING where nothing that it may. */
static int32_t replay_choose(struct replay *replay)
{
    if (replay->kind == CONTAINERS_QUEUE)
        return replay->held[replay->first];
    if (replay->kind == CONTAINERS_STACK)
        return replay->held[replay->n_held - 1];
    int32_t best = -1;
    for (int32_t i = replay->n_held - 1; i >= 0; i--) {
        int32_t value = replay->held[i];
        if (!replay->is_in[value] || replay_rank(replay, value) < ranks_greatest(replay))
            continue;
        best = value;
        swap(&replay->held[i], &replay->held[--replay->n_held]);
        break;
    }
    return best;
}

static bool replay_take(struct replay *replay, int32_t value, bool is_crashed)
{
    if (replay->n_in == 0)
        return value < 0;
    if (is_crashed)
        value = replay_choose(replay);
    if (value < 0 || !replay->is_in[value])
        return false;
    replay->is_in[value] = 0;
    replay->n_in--;
    if (replay->kind == CONTAINERS_QUEUE)
        return replay->held[replay->first++] == value;
    if (replay->kind == CONTAINERS_STACK)
        return replay->held[--replay->n_held] == value;
    int32_t rank = replay_rank(replay, value);
    bool is_greatest = rank == ranks_greatest(replay);
    replay->of_rank[rank]--;
    return is_greatest;
}

static int32_t replay_all(struct replay *replay, const int32_t *order, int32_t length)
{
    const struct containers_problem *problem = replay->problem;
    int32_t latest = -1, n_ok = 0;
    for (int32_t i = 0; i < problem->n; i++) {
        n_ok += problem->ret[i] != CONTAINERS_NEVER;
        if (problem->is_take[i] && problem->value[i] >= 0)
            replay->is_wanted[problem->value[i]] = 1;
    }
    for (int32_t k = 0; k < length; k++) {
        int32_t i = order[k];
        if (i < 0 || i >= problem->n || replay->is_done[i])
            return 0;
        bool is_crashed = problem->ret[i] == CONTAINERS_NEVER;
        replay->is_done[i] = 1;
        n_ok -= !is_crashed;
        latest = problem->inv[i] > latest ? problem->inv[i] : latest;
        if (problem->ret[i] < latest)
            return 0;
        if (problem->is_take[i] ? !replay_take(replay, problem->value[i], is_crashed)
                                : !replay_put(replay, problem->value[i]))
            return 0;
    }
    return n_ok == 0;
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
