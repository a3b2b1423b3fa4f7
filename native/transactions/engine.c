/*
 * engine.c: what the parts of the engine share (see engine.h): memory that is counted, edges, and
 * anomalies that are reported.
 */
#define _DEFAULT_SOURCE /* madvise, MAP_ANONYMOUS */

#include <stdlib.h>

#include "engine.h"
#include "pages.h"

void *engine_zeros(struct engine *engine, int64_t n, size_t size)
{
    void *memory = pages_zeroed((size_t)n * size);
    if (memory != NULL) {
        engine->bytes += n * (int64_t)size;
        if (engine->bytes > engine->outcome->bytes)
            engine->outcome->bytes = engine->bytes;
    }
    return memory;
}

void engine_release(struct engine *engine, void *memory, int64_t n, size_t size)
{
    if (memory != NULL)
        engine->bytes -= n * (int64_t)size;
    pages_release(memory, (size_t)n * size);
}

int32_t engine_depend(struct engine *engine, int32_t from, int32_t to, enum graph_kind kind,
                      int32_t key)
{
    if (from == to)
        return 0;
    if (engine->edges.n == engine->edges.capacity &&
        graph_reserve(&engine->edges, engine->edges.n / 2 + 1024) != 0)
        return -1;
    graph_put(&engine->edges, (uint32_t)from, (uint32_t)to, kind, key);
    return 0;
}

/* Where a target starts a chain: each vertex of it leads to one target, and to the next vertex. */
static int32_t chain(struct engine *engine, const int32_t *targets, int32_t targets_n, bool is_back)
{
    int32_t base = (int32_t)engine->vertices;
    engine->vertices += targets_n;
    for (int32_t i = 0; i < targets_n; i++) {
        int32_t next = is_back ? i - 1 : i + 1;
        if (engine_depend(engine, base + i, targets[i], GRAPH_LINK, GRAPH_NO_KEY) != 0)
            return -1;
        if (next >= 0 && next < targets_n &&
            engine_depend(engine, base + i, base + next, GRAPH_LINK, GRAPH_NO_KEY) != 0)
            return -1;
    }
    return 0;
}

static bool has_common(const int32_t *a, int32_t a_n, const int32_t *b, int32_t b_n)
{
    for (int32_t i = 0, j = 0; i < a_n && j < b_n;) {
        if (a[i] == b[j])
            return true;
        if (a[i] < b[j])
            i++;
        else
            j++;
    }
    return false;
}

static int32_t fan_pairs(struct engine *engine, const int32_t *sources, int32_t sources_n,
                         const int32_t *targets, int32_t targets_n, int32_t key)
{
    for (int32_t i = 0; i < sources_n; i++)
        for (int32_t j = 0; j < targets_n; j++)
            if (engine_depend(engine, sources[i], targets[j], GRAPH_RW, key) != 0)
                return -1;
    return 0;
}

/*
 * A source that is a target too would come before itself by a vertex that leads to all targets. It
 * leads to the chain of those before it and to the chain of those after it.
 */
static int32_t fan_chains(struct engine *engine, const int32_t *sources, int32_t sources_n,
                          const int32_t *targets, int32_t targets_n, int32_t key)
{
    int32_t after = (int32_t)engine->vertices;
    int32_t before = after + targets_n;
    if (chain(engine, targets, targets_n, false) != 0 ||
        chain(engine, targets, targets_n, true) != 0)
        return -1;
    for (int32_t i = 0, j = 0; i < sources_n; i++) {
        while (j < targets_n && targets[j] < sources[i])
            j++;
        bool is_target = j < targets_n && targets[j] == sources[i];
        int32_t rest = is_target ? j + 1 : 0;
        if (rest < targets_n &&
            engine_depend(engine, sources[i], after + rest, GRAPH_RW, key) != 0)
            return -1;
        if (is_target && j > 0 &&
            engine_depend(engine, sources[i], before + j - 1, GRAPH_RW, key) != 0)
            return -1;
    }
    return 0;
}

int32_t engine_fan(struct engine *engine, const int32_t *sources, int32_t sources_n,
                   const int32_t *targets, int32_t targets_n, int32_t key)
{
    if ((int64_t)sources_n * targets_n <= (int64_t)sources_n + targets_n)
        return fan_pairs(engine, sources, sources_n, targets, targets_n, key);
    if (engine->vertices + 2 * (int64_t)targets_n > GRAPH_VERTICES_MAX)
        return -1;
    if (has_common(sources, sources_n, targets, targets_n))
        return fan_chains(engine, sources, sources_n, targets, targets_n, key);
    int32_t tail = (int32_t)engine->vertices++;
    for (int32_t i = 0; i < sources_n; i++)
        if (engine_depend(engine, sources[i], tail, GRAPH_RW, key) != 0)
            return -1;
    for (int32_t j = 0; j < targets_n; j++)
        if (engine_depend(engine, tail, targets[j], GRAPH_LINK, GRAPH_NO_KEY) != 0)
            return -1;
    return 0;
}

int32_t engine_report(struct engine *engine, enum transactions_kind kind, struct entry at,
                      struct entry other, int32_t key, int32_t value)
{
    struct transactions_outcome *outcome = engine->outcome;
    if (outcome->counts[kind]++ >= engine->options->anomalies_max)
        return 0;
    if (outcome->anomalies_n == engine->anomalies_capacity) {
        int64_t capacity = 2 * engine->anomalies_capacity + 16;
        void *more = realloc(outcome->anomalies, (size_t)capacity * sizeof *outcome->anomalies);
        if (more == NULL)
            return -1;
        outcome->anomalies = more;
        engine->anomalies_capacity = capacity;
    }
    outcome->anomalies[outcome->anomalies_n++] = (struct transactions_anomaly){
        kind, at.operation, at.micro, other.operation, other.micro, key, value};
    return 0;
}
