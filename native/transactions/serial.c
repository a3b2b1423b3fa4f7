/*
 * serial.c: a serial order of the transactions, near to the order in which they completed.
 *
 * Where the order of the versions of every key is known, each topological order replays. Where it
 * is not, which registers alone can be, one is guessed (guess.c).
 */
#include <stdlib.h>

#include "engine.h"

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

static int32_t find_order(struct engine *engine, const struct graph *graph, uint32_t *vertices)
{
    static const uint32_t masks[] = {0, GRAPH_MASK_DATA, GRAPH_MASK_PROCESS, GRAPH_MASK_REALTIME};
    bool is_guess = is_partial(engine);
    for (int32_t level = level_asked(engine->options); level > TRANSACTIONS_NO_ORDER; level--) {
        uint32_t mask = masks[level] | 1u << GRAPH_LINK;
        int64_t components =
            graph_sort(graph, mask, engine->completed, engine->completed_n,
                                        NULL, vertices);
        if (components < 0)
            return -1;
        if (components < engine->vertices) {
            engine->has_cycle = true;
            continue;
        }
        if (!is_replayable(engine->outcome))
            return 0;
        int32_t is_found = is_guess ? guess_order(engine, mask, vertices) : 1;
        if (is_found < 0)
            return -1;
        engine->outcome->is_guessed = is_guess;
        if (is_found)
            return keep(engine, vertices, level);
    }
    return 0;
}

int32_t serial_order(struct engine *engine, const struct graph *graph)
{
    uint32_t *vertices = engine_zeros(engine, engine->vertices, sizeof *vertices);
    int32_t status = vertices == NULL ? -1 : find_order(engine, graph, vertices);
    engine_release(engine, vertices, engine->vertices, sizeof *vertices);
    return status;
}
