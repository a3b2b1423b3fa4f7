/*
 * serial.c: a serial order of the transactions, near to the order in which they completed.
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

int32_t serial_order(struct engine *engine, const struct graph *graph)
{
    static const uint32_t masks[] = {0, GRAPH_MASK_DATA, GRAPH_MASK_PROCESS, GRAPH_MASK_REALTIME};
    const struct transactions_options *options = engine->options;
    int32_t level = options->realtime  ? TRANSACTIONS_REALTIME
                    : options->process ? TRANSACTIONS_PROCESS
                                       : TRANSACTIONS_DATA;
    uint32_t *roots = engine_zeros(engine, engine->operations, sizeof *roots);
    uint32_t *vertices = engine_zeros(engine, engine->vertices, sizeof *vertices);
    int32_t status = roots == NULL || vertices == NULL ? -1 : timeline_completions(engine, roots);
    for (; status == 0 && level > TRANSACTIONS_NO_ORDER; level--) {
        int64_t components = graph_sort(graph, masks[level] | 1u << GRAPH_LINK, roots,
                                        engine->operations, NULL, vertices);
        if (components < 0)
            status = -1;
        else if (components == engine->vertices)
            break;
        engine->has_cycle = true;
    }
    if (status == 0 && level > TRANSACTIONS_NO_ORDER && is_replayable(engine->outcome))
        status = keep(engine, vertices, level);
    engine_release(engine, roots, engine->operations, sizeof *roots);
    engine_release(engine, vertices, engine->vertices, sizeof *vertices);
    return status;
}
