/*
 * saturate.c: the order of versions that every serial order has (see registers.h).
 *
 * In a serial order the transactions of one version of a key stand together: who wrote it, then who
 * read it, until the next version. So a path from one of them to one of another version puts all of
 * the first before the write of the second. The edges for that make new paths, which make more
 * edges, until there are no more, or a cycle: then there is no serial order.
 *
 * Source: the saturation of Biswas and Enea, "On the Complexity of Checking Transactional
 * Consistency", OOPSLA 2019.
 */
#include "versions.h"

int32_t saturate_pair(struct engine *engine, struct succession pair)
{
    int32_t key = engine->micro->key[engine->entries[pair.before].micro];
    int32_t after = engine->entries[pair.after].operation;
    for (int32_t e = engine->key_first[key]; e < engine->key_first[key + 1]; e++)
        if (engine->version[e] == pair.before &&
            engine_depend(engine, engine->entries[e].operation, after,
                          e == pair.before ? GRAPH_WW : GRAPH_RW, key) != 0)
            return -1;
    return 0;
}

/* Two neighbours by topological order that are in no other order; all are ordered without any. */
static void find_open(const struct versions *versions, struct succession *open)
{
    for (int32_t i = 0; i + 1 < versions->nodes_n && open->before == NO_VERSION; i++)
        if (!paths_holds(versions->paths, i, i + 1) && !paths_holds(versions->paths, i + 1, i))
            *open = (struct succession){versions->nodes[i], versions->nodes[i + 1]};
}

/* New edges of one key: how many pairs are in order, or -1 without memory. */
static int64_t saturate_key(struct versions *versions, int32_t key, struct succession *open)
{
    struct engine *engine = versions->engine;
    versions_begin(versions, key);
    if (!paths_sort(versions->paths, versions->nodes, versions->nodes_n))
        return -1;
    versions_block(versions, true);
    if (!paths_find(versions->paths, versions->block, versions->members, versions->nodes_n))
        return 0;
    find_open(versions, open);
    int64_t ordered = versions_follow(versions);
    for (int64_t i = 0; ordered >= 0 && i < versions->successions_n; i++) {
        const struct succession *one = &versions->successions[i];
        if (engine_depend(engine, engine->entries[one->before].operation,
                          engine->entries[one->after].operation, GRAPH_WW, key) != 0)
            return -1;
    }
    return ordered < 0 || versions_put_rw(versions) != 0 ? -1 : ordered;
}

/* Edges behind the first `edges`, by the paths that there are: the pairs in order; -1 without
 * memory, -2 when there is a cycle. */
static int64_t saturate_once(struct versions *versions, uint32_t mask, int64_t edges,
                             int64_t vertices, struct succession *open)
{
    struct engine *engine = versions->engine;
    int64_t ordered = 0;
    versions->paths = paths_open(engine, mask);
    if (versions->paths == NULL)
        return -1;
    if (!paths_is_acyclic(versions->paths))
        return -2;
    engine->edges.n = edges;
    engine->vertices = vertices;
    *open = (struct succession){NO_VERSION, NO_VERSION};
    for (int32_t key = 0; key < engine->keys_n; key++) {
        if (engine->outcome->ordered[key] == engine->outcome->pairs[key])
            continue;
        int64_t of_key = saturate_key(versions, key, open);
        if (of_key < 0)
            return -1;
        ordered += of_key;
    }
    return ordered;
}

int32_t saturate_edges(struct engine *engine, uint32_t mask, struct succession *open)
{
    struct versions versions;
    int64_t edges = engine->edges.n, vertices = engine->vertices;
    int64_t before = -1;
    int64_t ordered = versions_open(&versions, engine) ? 0 : -1;
    while (ordered >= 0 && ordered != before) {
        before = ordered;
        ordered = saturate_once(&versions, mask, edges, vertices, open);
        paths_close(versions.paths);
        versions.paths = NULL;
    }
    versions_close(&versions);
    return ordered >= 0 ? 1 : ordered == -2 ? 0 : -1;
}
