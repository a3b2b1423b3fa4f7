/*
 * transactions.c: one call from the micro-operations to the outcome (see transactions.h).
 *
 * The order: the door, micro-operations by key, anomalies and edges key by key, the edges of time,
 * then a serial order; cycles are only looked for where the strongest order does not exist.
 */

#include <stdlib.h>
#include <string.h>

#include "engine.h"

/* Micro-operations by key, by counting. */
static void sort_entries(struct engine *engine)
{
    const struct micro *micro = engine->micro;
    int32_t *first = engine->key_first;
    for (int64_t at = 0; at < micro->n; at++)
        first[micro->key[at] + 1]++;
    for (int32_t key = 0; key < engine->keys_n; key++)
        first[key + 1] += first[key];
    for (int32_t i = 0; i < engine->operations; i++)
        for (int64_t at = micro->first[i]; at < micro->first[i + 1]; at++)
            engine->entries[first[micro->key[at]]++] = (struct entry){(int32_t)at, i};
    for (int32_t key = engine->keys_n; key > 0; key--)
        first[key] = first[key - 1];
    first[0] = 0;
}

/* Stable, by kind; there are few. */
static void sort_anomalies(struct transactions_outcome *outcome)
{
    struct transactions_anomaly *all = outcome->anomalies;
    for (int64_t i = 1; i < outcome->anomalies_n; i++) {
        struct transactions_anomaly moved = all[i];
        int64_t j = i;
        for (; j > 0 && all[j - 1].kind > moved.kind; j--)
            all[j] = all[j - 1];
        all[j] = moved;
    }
}

static int32_t find_cycles(struct engine *engine, const struct graph *graph)
{
    struct graph_options options = engine->options->graph;
    options.level = engine->options->realtime  ? GRAPH_WITH_REALTIME
                    : engine->options->process ? GRAPH_WITH_PROCESS
                                               : GRAPH_DATA;
    return graph_classify(graph, &engine->edges, &options, &engine->outcome->cycles);
}

/* Once all edges are there. */
static int32_t conclude(struct engine *engine)
{
    struct transactions_outcome *outcome = engine->outcome;
    struct graph graph = {0};
    for (int64_t i = 0; i < engine->edges.n; i++)
        outcome->edges_n[engine->edges.kind[i]]++;
    outcome->vertices = engine->vertices;
    int32_t status = graph_build(&graph, &engine->edges, engine->operations, engine->vertices);
    if (status == 0)
        status = serial_order(engine, &graph);
    if (status == 0 && engine->has_cycle)
        status = find_cycles(engine, &graph);
    graph_free(&graph);
    return status;
}

/* Room for as many edges as there are nearly always at most; what is not filled costs nothing. */
static int32_t reserve_edges(struct engine *engine)
{
    int64_t by_time = engine->options->process + 3 * (int64_t)engine->options->realtime;
    return graph_reserve(&engine->edges,
                         2 * engine->micro->n + by_time * engine->operations + 1024);
}

static int32_t infer(struct engine *engine)
{
    const struct transactions_options *options = engine->options;
    int32_t status = reserve_edges(engine);
    sort_entries(engine);
    for (int32_t i = 0; i < engine->operations; i++)
        engine->counts[i] = is_ok(engine, i);
    if (status == 0)
        status = options->rules == TRANSACTIONS_WR ? registers_infer(engine) : lists_infer(engine);
    engine_release(engine, engine->slots, engine->values_n, sizeof *engine->slots);
    engine->slots = NULL;
    if (status == 0)
        status = timeline_complete(engine);
    if (status == 0 && options->process)
        status = timeline_process(engine);
    if (status == 0 && options->realtime)
        status = timeline_realtime(engine);
    return status == 0 ? conclude(engine) : status;
}

static bool open_engine(struct engine *engine)
{
    struct transactions_outcome *outcome = engine->outcome;
    int64_t keys = engine->keys_n;
    int64_t micros = engine->micro->n;
    engine->entries = engine_zeros(engine, micros, sizeof *engine->entries);
    engine->key_first = engine_zeros(engine, keys + 1, sizeof *engine->key_first);
    engine->slots = engine_zeros(engine, engine->values_n, sizeof *engine->slots);
    engine->counts = engine_zeros(engine, engine->operations, sizeof *engine->counts);
    outcome->ambiguous = calloc((size_t)keys + 1, sizeof *outcome->ambiguous);
    outcome->pairs = calloc((size_t)keys + 1, sizeof *outcome->pairs);
    outcome->ordered = calloc((size_t)keys + 1, sizeof *outcome->ordered);
    return engine->entries != NULL && engine->key_first != NULL && engine->slots != NULL &&
           engine->counts != NULL && outcome->ambiguous != NULL && outcome->pairs != NULL &&
           outcome->ordered != NULL;
}

static void close_engine(struct engine *engine)
{
    engine_release(engine, engine->entries, engine->micro->n, sizeof *engine->entries);
    engine_release(engine, engine->key_first, engine->keys_n + 1, sizeof *engine->key_first);
    engine_release(engine, engine->slots, engine->values_n, sizeof *engine->slots);
    engine_release(engine, engine->counts, engine->operations, sizeof *engine->counts);
    engine_release(engine, engine->completed, engine->operations, sizeof *engine->completed);
    engine_release(engine, engine->version, engine->micro->n, sizeof *engine->version);
    graph_edges_free(&engine->edges);
}

void transactions_judge(const struct columns *columns, const struct micro *micro,
                        const struct transactions_options *options,
                        struct transactions_outcome *outcome)
{
    *outcome = (struct transactions_outcome){.place = TRANSACTIONS_NONE};
    struct engine engine = {.columns = columns,
                            .micro = micro,
                            .options = options,
                            .outcome = outcome,
                            .operations = columns->n,
                            .keys_n = micro->keys_n,
                            .vertices = columns->n};
    if (!door_check(&engine))
        return;
    outcome->keys_n = micro->keys_n;
    if (!open_engine(&engine) || infer(&engine) != 0)
        outcome->status = TRANSACTIONS_MEMORY;
    if (options->keep_edges) {
        outcome->edges = engine.edges;
        engine.edges = (struct graph_edges){0};
    }
    sort_anomalies(outcome);
    close_engine(&engine);
}

void transactions_free(struct transactions_outcome *outcome)
{
    free(outcome->anomalies);
    free(outcome->ambiguous);
    free(outcome->pairs);
    free(outcome->ordered);
    free(outcome->order);
    graph_edges_free(&outcome->edges);
    graph_cycles_free(&outcome->cycles);
    graph_cycles_free(&outcome->forced);
    *outcome = (struct transactions_outcome){0};
}
