/*
 * decide.c: a serial order of registers where the order of versions is not known everywhere.
 *
 * The edges that every order has (saturate.c) nearly always lead to an order that replays, or to a
 * cycle. Where they do neither, two versions are put in an order, and the same is tried with that;
 * when it ends in a cycle, the other way round. So every choice is tried, within a budget.
 *
 * Source: the search in a polygraph of Papadimitriou, "The Serializability of Concurrent Database
 * Updates", JACM 1979.
 */
#include <stdlib.h>

#include "registers.h"

#define CHOICES_MAX 256 /* at one time */
#define TRIES_MAX 4096

struct choice {
    struct succession pair;
    bool is_flipped;
};

struct decision {
    struct engine *engine;
    uint32_t mask;
    int64_t edges, vertices; /* without those of choices */
    struct choice choices[CHOICES_MAX];
    int32_t choices_n;
    struct succession open;
};

/* The edges of what is chosen and what follows from it: 1, 0 with a cycle, -1 without memory. */
static int32_t follow(struct decision *decision)
{
    struct engine *engine = decision->engine;
    engine->edges.n = decision->edges;
    engine->vertices = decision->vertices;
    for (int32_t i = 0; i < decision->choices_n; i++)
        if (saturate_pair(engine, decision->choices[i].pair) != 0)
            return -1;
    return saturate_edges(engine, decision->mask, &decision->open);
}

/* Guess an order by the edges that there are: 1, 0 without one, -1 without memory. */
static int32_t guess(struct decision *decision, uint32_t **order)
{
    *order = malloc((size_t)decision->engine->vertices * sizeof **order + 1);
    int32_t status = *order == NULL ? -1
                                    : guess_order(decision->engine, decision->mask, *order);
    if (status == 1)
        return 1;
    free(*order);
    *order = NULL;
    return status;
}

/* Turn the last choice that was not turned yet; false without any. */
static bool turn(struct decision *decision)
{
    while (decision->choices_n > 0 && decision->choices[decision->choices_n - 1].is_flipped)
        decision->choices_n--;
    if (decision->choices_n == 0)
        return false;
    struct choice *last = &decision->choices[decision->choices_n - 1];
    last->pair = (struct succession){last->pair.after, last->pair.before};
    last->is_flipped = true;
    return true;
}

enum decided decide_order(struct engine *engine, uint32_t mask, uint32_t **order)
{
    struct decision decision = {.engine = engine, .mask = mask, .edges = engine->edges.n,
                                .vertices = engine->vertices};
    uint64_t vectors_max = engine->options->graph.vectors_max;
    *order = NULL;
    for (int32_t tries = 0; tries < TRIES_MAX && engine->vectors <= vectors_max; tries++) {
        int32_t status = follow(&decision);
        if (status == 0 && decision.choices_n == 0)
            return DECIDED_REFUTED;
        if (status == 0 && !turn(&decision))
            return DECIDED_NONE;
        if (status == 0)
            continue;
        status = status == 1 ? guess(&decision, order) : status;
        if (status != 0)
            return status == 1 ? DECIDED_FOUND : DECIDED_MEMORY;
        if (decision.open.before == NO_VERSION || decision.choices_n == CHOICES_MAX)
            return DECIDED_OPEN;
        decision.choices[decision.choices_n++] = (struct choice){decision.open, false};
    }
    return DECIDED_OPEN;
}
