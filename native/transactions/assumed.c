/*
 * assumed.c: orders of versions that the caller asserts (see registers.h).
 *
 * Each key by itself obeys process order, or realtime order: of two transactions that touch the
 * key, one after the other, the last version of the first comes before the first version of the second,
 * unless it is the same. What contradicts itself, or what is known already, is reported and
 * discarded for that key.
 *
 * Source: Elle, the options `sequential-keys?` and `linearizable-keys?` of rw-register.
 */
#include <stdlib.h>

#include "registers.h"

/* One transaction on the key. */
struct touch {
    int32_t operation;
    int32_t process;
    int64_t inv_time, ret_time;
    int32_t first, last; /* versions */
    bool is_ok;
};

struct assumption {
    struct engine *engine;
    int32_t key, first, end;
    struct touch *touches;
    int64_t touches_n;
    struct graph_edges pairs; /* versions as places of entries of the key, nil behind them */
    int64_t known;            /* pairs that were known before */
};

static int32_t place_of(const struct assumption *of, int32_t version)
{
    return version == INITIAL_VERSION ? of->end - of->first : version - of->first;
}

static int32_t pair(struct assumption *of, int32_t before, int32_t after)
{
    if (before == after)
        return 0;
    return graph_add(&of->pairs, (uint32_t)place_of(of, before), (uint32_t)place_of(of, after),
                     GRAPH_WW, of->key);
}

/* What reads before writes show, and that nil comes first. */
static int32_t pair_known(struct assumption *of)
{
    const struct engine *engine = of->engine;
    for (int32_t e = of->first; e < of->end; e++)
        if (engine->version[e] == e &&
            (pair(of, INITIAL_VERSION, e) != 0 ||
             (engine->parent[e] >= 0 && pair(of, engine->parent[e], e) != 0)))
            return -1;
    of->known = of->pairs.n;
    return 0;
}

static void gather_touches(struct assumption *of)
{
    const struct engine *engine = of->engine;
    const struct columns *columns = engine->columns;
    of->touches_n = 0;
    for (int32_t e = of->first; e < of->end; e++) {
        int32_t operation = engine->entries[e].operation;
        bool is_new = of->touches_n == 0 || of->touches[of->touches_n - 1].operation != operation;
        if (engine->version[e] == NO_VERSION || !engine->counts[operation])
            continue;
        if (is_new)
            of->touches[of->touches_n++] = (struct touch){
                operation, columns->process[operation], columns->inv_time[operation],
                columns->ret_time[operation], engine->version[e], engine->version[e],
                is_ok(engine, operation)};
        of->touches[of->touches_n - 1].last = engine->version[e];
    }
}

static int compare_processes(const void *a, const void *b)
{
    const struct touch *first = a, *second = b;
    if (first->process != second->process)
        return first->process < second->process ? -1 : 1;
    return (first->operation > second->operation) - (first->operation < second->operation);
}

static int compare_completions(const void *a, const void *b)
{
    const struct touch *first = a, *second = b;
    if (first->ret_time != second->ret_time)
        return first->ret_time < second->ret_time ? -1 : 1;
    return (first->operation > second->operation) - (first->operation < second->operation);
}

static int32_t pair_processes(struct assumption *of)
{
    qsort(of->touches, (size_t)of->touches_n, sizeof *of->touches, compare_processes);
    for (int64_t i = 1, before = 0; i < of->touches_n; i++) {
        if (of->touches[before].process == of->touches[i].process && of->touches[before].is_ok &&
            pair(of, of->touches[before].last, of->touches[i].first) != 0)
            return -1;
        if (of->touches[i].is_ok || of->touches[before].process != of->touches[i].process)
            before = i;
    }
    return 0;
}

/* The completed ones before the invocation of `after`, without those before the invocation of
 * another such; `completed` are sorted by completion. */
static int32_t pair_completed(struct assumption *of, const struct touch *completed, int64_t n,
                              const struct touch *after)
{
    int64_t end = 0, high = n;
    int64_t latest = INT64_MIN;
    while (end < high) {
        int64_t middle = end + (high - end) / 2;
        if (completed[middle].ret_time < after->inv_time)
            end = middle + 1;
        else
            high = middle;
    }
    for (int64_t i = end - 1; i >= 0 && completed[i].ret_time >= latest; i--) {
        if (completed[i].inv_time > latest)
            latest = completed[i].inv_time;
        if (completed[i].operation != after->operation &&
            pair(of, completed[i].last, after->first) != 0)
            return -1;
    }
    return 0;
}

static int32_t pair_realtime(struct assumption *of)
{
    int64_t n = 0;
    struct touch *completed = malloc((size_t)of->touches_n * sizeof *completed + 1);
    if (completed == NULL)
        return -1;
    for (int64_t i = 0; i < of->touches_n; i++)
        if (of->touches[i].is_ok)
            completed[n++] = of->touches[i];
    qsort(completed, (size_t)n, sizeof *completed, compare_completions);
    int32_t status = 0;
    for (int64_t i = 0; status == 0 && i < of->touches_n; i++)
        status = pair_completed(of, completed, n, &of->touches[i]);
    free(completed);
    return status;
}

/* The first entry that holds a version by its place: of nil, the first read of it. */
static struct entry entry_at(const struct assumption *of, uint32_t place)
{
    int32_t e = of->first + (int32_t)place;
    if (e == of->end)
        for (e = of->first; of->engine->version[e] != INITIAL_VERSION && e + 1 < of->end;)
            e++;
    return of->engine->entries[e];
}

/* Keep what was paired as ww edges; or report a cycle, and discard it. */
static int32_t settle(struct assumption *of)
{
    struct engine *engine = of->engine;
    int64_t n = of->end - of->first + 1;
    struct graph graph = {0};
    uint32_t *component = malloc((size_t)n * sizeof *component);
    int64_t components = GRAPH_MEMORY;
    if (component != NULL && graph_build(&graph, &of->pairs, n, n) == 0)
        components = graph_sort(&graph, GRAPH_MASK_ALL, NULL, 0, component, NULL);
    int32_t status = components < 0 ? -1 : 0;
    bool is_reported = false;
    for (int64_t i = of->known; status == 0 && i < of->pairs.n && !is_reported; i++) {
        uint32_t before = of->pairs.from[i], after = of->pairs.to[i];
        struct entry writer = entry_at(of, before), next = entry_at(of, after);
        if (components == n && before + 1 < n && after + 1 < n) {
            status = engine_depend(engine, writer.operation, next.operation, GRAPH_WW, of->key);
        } else if (components < n && component[before] == component[after]) {
            is_reported = true;
            status = engine_report(engine, TRANSACTIONS_CYCLIC_VERSIONS, writer, next, of->key,
                                   engine->micro->value[writer.micro]);
        }
    }
    graph_free(&graph);
    free(component);
    return status;
}

static int32_t assume_key(struct assumption *of, int32_t key, bool is_realtime)
{
    of->key = key;
    of->first = of->engine->key_first[key];
    of->end = of->engine->key_first[key + 1];
    of->pairs.n = 0;
    if (pair_known(of) != 0)
        return -1;
    gather_touches(of);
    if ((is_realtime ? pair_realtime(of) : pair_processes(of)) != 0)
        return -1;
    return of->pairs.n > of->known ? settle(of) : 0;
}

int32_t assume_keys(struct engine *engine, bool is_realtime)
{
    struct assumption of = {.engine = engine};
    of.touches = malloc((size_t)engine->micro->n * sizeof *of.touches + 1);
    int32_t status = of.touches == NULL ? -1 : 0;
    for (int32_t key = 0; status == 0 && key < engine->keys_n; key++)
        status = assume_key(&of, key, is_realtime);
    graph_edges_free(&of.pairs);
    free(of.touches);
    return status;
}
