/*
 * serial.c: a serial order of the transactions, near to the order in which they completed.
 *
 * Where the order of the versions of every key is known, each topological order replays. Where it
 * is not, which happens with registers alone, an order is guessed (guess.c): by the edges that are
 * certain, then also by those that every serial order has, whose cycle shows that there is none
 * (decide.c).
 */
#include <stdlib.h>

#include "registers.h"

/* Anomalies that no serial order replays; others are cycles as well. */
static bool is_replayable(const struct transactions_outcome *outcome)
{
    for (int kind = 0; kind < TRANSACTIONS_KINDS; kind++)
        if (outcome->counts[kind] != 0)
            return false;
    return true;
}

/* The operations that count, without auxiliary vertices. */
static int32_t keep(struct engine *engine, const uint32_t *vertices, int32_t level)
{
    struct transactions_outcome *outcome = engine->outcome;
    outcome->order = malloc((size_t)engine->operations * sizeof *outcome->order + 1);
    if (outcome->order == NULL)
        return -1;
    for (int64_t i = 0; i < engine->vertices; i++)
        if (vertices[i] < (uint32_t)engine->operations && engine->counts[vertices[i]])
            outcome->order[outcome->order_n++] = (int32_t)vertices[i];
    outcome->order_level = level;
    return 0;
}

/* Whether writers of a register may follow each other in more than one order. */
static bool is_partial(const struct engine *engine)
{
    const struct transactions_outcome *outcome = engine->outcome;
    for (int32_t key = 0; key < engine->keys_n; key++)
        if (engine->version != NULL && outcome->ordered[key] < outcome->pairs[key])
            return true;
    return false;
}

/* The strongest level that was asked for. */
static int32_t level_asked(const struct transactions_options *options)
{
    if (options->realtime)
        return TRANSACTIONS_REALTIME;
    return options->process ? TRANSACTIONS_PROCESS : TRANSACTIONS_DATA;
}

/* No serial order of a level exists: show a cycle of edges that each would have, if there is. */
static int32_t refute(struct engine *engine, uint32_t mask, int32_t level, bool has_cycle)
{
    struct transactions_outcome *outcome = engine->outcome;
    struct graph graph = {0};
    graph_cycles_free(&outcome->forced);
    outcome->refuted = level;
    if (!has_cycle)
        return 0;
    int32_t status = graph_build(&graph, &engine->edges, engine->operations, engine->vertices);
    if (status == 0)
        status = graph_shortest(&graph, &engine->edges, mask, &engine->options->graph,
                                &outcome->forced);
    graph_free(&graph);
    return status;
}

/* An order by the edges that are certain: 1, 0 without one, -1 without memory. */
static int32_t guess(struct engine *engine, uint32_t mask, int32_t level, uint32_t *vertices)
{
    int32_t status = guess_order(engine, mask, vertices);
    engine->outcome->is_guessed = status == 1;
    return status == 1 && keep(engine, vertices, level) != 0 ? -1 : status;
}

/* An order by all that follows from there being one: 1, 0 without one, -1 without memory. */
static int32_t decide(struct engine *engine, uint32_t mask, int32_t level)
{
    int64_t edges = engine->edges.n, vertices = engine->vertices;
    uint32_t *order;
    enum decided decided = decide_order(engine, mask, &order);
    int32_t status = decided == DECIDED_MEMORY ? -1 : decided == DECIDED_FOUND;
    if (decided == DECIDED_REFUTED || decided == DECIDED_NONE)
        status = refute(engine, mask, level, decided == DECIDED_REFUTED);
    engine->outcome->is_guessed = status == 1;
    if (status == 1 && keep(engine, order, level) != 0)
        status = -1;
    free(order);
    engine->edges.n = edges;
    engine->vertices = vertices;
    return status;
}

static int32_t find_order(struct engine *engine, const struct graph *graph, uint32_t *vertices)
{
    static const uint32_t masks[] = {0, GRAPH_MASK_DATA, GRAPH_MASK_PROCESS, GRAPH_MASK_REALTIME};
    int32_t is_found = 0;
    for (int32_t level = level_asked(engine->options); !is_found && level > 0; level--) {
        uint32_t mask = masks[level] | 1u << GRAPH_LINK;
        int64_t components = graph_sort(graph, mask, engine->completed, engine->completed_n, NULL,
                                        vertices);
        if (components < 0)
            return -1;
        if (components < engine->vertices) {
            engine->has_cycle = true;
            continue;
        }
        if (!is_replayable(engine->outcome))
            return 0;
        if (!is_partial(engine))
            return keep(engine, vertices, level);
        is_found = guess(engine, mask, level, vertices);
        if (is_found == 0)
            is_found = decide(engine, mask, level);
    }
    return is_found < 0 ? -1 : 0;
}

int32_t serial_order(struct engine *engine, const struct graph *graph)
{
    int64_t n = engine->vertices;
    uint32_t *vertices = engine_zeros(engine, n, sizeof *vertices);
    int32_t status = vertices == NULL ? -1 : find_order(engine, graph, vertices);
    engine_release(engine, vertices, n, sizeof *vertices);
    return status;
}
