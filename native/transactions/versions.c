/*
 * versions.c: which version of a register follows which (see registers.h).
 *
 * A transaction that reads a version and then writes puts both in order; nil comes first. Where
 * that leaves the order of a key open, so does each path of ww and wr between two of its writers:
 * were the versions in the other order, the path would close a G1c. So every edge here is certain
 * from read committed on. Paths are found 512 writers at a time, over the part of a topological
 * order between the first of those and the last writer of their keys, until a budget of vectors is
 * spent.
 *
 * A pair that a transaction or a path shows to be ordered has that path for an edge already. What
 * is put are the rw edges, from the readers of a version to the writers of those directly after it.
 */
#include <stdlib.h>
#include <string.h>

#include "versions.h"

#define SHOWN_MASK ((1u << GRAPH_WW) | (1u << GRAPH_WR) | (1u << GRAPH_LINK))

static int32_t operation_of(const struct versions *versions, int32_t e)
{
    return versions->engine->entries[e].operation;
}

static int32_t add(struct versions *versions, int32_t before, int32_t after)
{
    if (versions->successions_n == versions->successions_capacity) {
        int64_t capacity = 2 * versions->successions_capacity + 64;
        void *more = realloc(versions->successions,
                             (size_t)capacity * sizeof *versions->successions);
        if (more == NULL)
            return -1;
        versions->successions = more;
        versions->successions_capacity = capacity;
    }
    versions->successions[versions->successions_n++] = (struct succession){before, after};
    return 0;
}

/*
 * The depth of each version by what transactions read before they wrote, walking from each one to
 * the first that is known. Returns a version on a cycle, or NO_VERSION.
 */
static int32_t measure_depths(struct versions *versions)
{
    const int32_t *parent = versions->engine->parent;
    int32_t *depth = versions->depth;
    for (int32_t i = 0; i < versions->nodes_n; i++)
        depth[versions->nodes[i] - versions->first] = -1;
    for (int32_t i = 0; i < versions->nodes_n; i++) {
        int32_t steps = 0;
        int32_t top = versions->nodes[i];
        for (; top >= 0 && depth[top - versions->first] < 0; top = parent[top])
            if (++steps > versions->nodes_n)
                return top;
        int32_t known = top < 0 ? 0 : depth[top - versions->first] + 1;
        for (int32_t at = versions->nodes[i]; at != top; at = parent[at])
            depth[at - versions->first] = known + --steps;
    }
    return NO_VERSION;
}

/* Versions in a cycle are in no order at all: what transactions read before they wrote is nothing
 * to go by. */
static int32_t discard_parents(struct versions *versions, int32_t at)
{
    struct engine *engine = versions->engine;
    int32_t *parent = versions->engine->parent;
    int32_t value = engine->micro->value[engine->entries[at].micro];
    if (engine_report(engine, TRANSACTIONS_CYCLIC_VERSIONS, engine->entries[parent[at]],
                      engine->entries[at], versions->key, value) != 0)
        return -1;
    for (int32_t i = 0; i < versions->nodes_n; i++)
        parent[versions->nodes[i]] = NO_VERSION;
    return measure_depths(versions) == NO_VERSION ? 0 : -1;
}

static int64_t pairs_of(int64_t n)
{
    return n * (n - 1) / 2;
}

/* What reads before writes show: one predecessor each at most. Returns whether that is all. */
static bool follow_parents(struct versions *versions)
{
    int64_t pairs = pairs_of(versions->nodes_n);
    int64_t ordered = 0;
    for (int32_t i = 0; i < versions->nodes_n; i++)
        ordered += versions->depth[versions->nodes[i] - versions->first];
    versions->engine->outcome->pairs[versions->key] = pairs;
    versions->engine->outcome->ordered[versions->key] = ordered;
    return ordered == pairs;
}

static int32_t succeed_parents(struct versions *versions)
{
    for (int32_t i = 0; i < versions->nodes_n; i++) {
        int32_t e = versions->nodes[i];
        int32_t parent = versions->engine->parent[e];
        if (add(versions, parent >= 0 ? parent : INITIAL_VERSION, e) != 0)
            return -1;
    }
    return 0;
}

int64_t versions_follow(struct versions *versions)
{
    struct paths *paths = versions->paths;
    int32_t n = versions->nodes_n;
    int64_t ordered = 0;
    for (int32_t i = 0; i < n; i++) {
        paths_clear(paths);
        for (int32_t j = 0; j < n; j++) {
            if (i == j || !paths_holds(paths, i, j))
                continue;
            ordered++;
            versions->depth[versions->nodes[j] - versions->first] = 1;
            if (!paths_is_covered(paths, j) &&
                add(versions, versions->nodes[i], versions->nodes[j]) != 0)
                return -1;
            paths_cover(paths, j);
        }
    }
    return ordered;
}

/* What paths show. Those behind no other one come after nil. */
static int32_t succeed_paths(struct versions *versions)
{
    for (int32_t i = 0; i < versions->nodes_n; i++)
        versions->depth[versions->nodes[i] - versions->first] = 0;
    int64_t ordered = versions_follow(versions);
    for (int32_t i = 0; ordered >= 0 && i < versions->nodes_n; i++)
        if (versions->depth[versions->nodes[i] - versions->first] == 0 &&
            add(versions, INITIAL_VERSION, versions->nodes[i]) != 0)
            return -1;
    versions->engine->outcome->ordered[versions->key] = ordered;
    return ordered < 0 ? -1 : 0;
}

/* The place of a version among those of the key. */
static int32_t place_of(const struct versions *versions, int32_t version)
{
    return version == INITIAL_VERSION ? versions->end - versions->first
                                      : version - versions->first;
}

static void group_readers(struct versions *versions)
{
    const int32_t *version = versions->engine->version;
    int32_t places = versions->end - versions->first + 1;
    memset(versions->start, 0, ((size_t)places + 1) * sizeof *versions->start);
    for (int32_t e = versions->first; e < versions->end; e++)
        if (version[e] != NO_VERSION && version[e] != e)
            versions->start[place_of(versions, version[e]) + 1]++;
    for (int32_t place = 0; place < places; place++)
        versions->start[place + 1] += versions->start[place];
    for (int32_t e = versions->first; e < versions->end; e++)
        if (version[e] != NO_VERSION && version[e] != e)
            versions->readers[versions->start[place_of(versions, version[e])]++] =
                operation_of(versions, e);
    for (int32_t place = places; place > 0; place--)
        versions->start[place] = versions->start[place - 1];
    versions->start[0] = 0;
}

void versions_block(struct versions *versions, bool has_readers)
{
    int32_t next = 0;
    if (has_readers)
        group_readers(versions);
    for (int32_t i = 0; i < versions->nodes_n; i++) {
        int32_t place = versions->nodes[i] - versions->first;
        versions->block[i] = next;
        versions->members[next++] = operation_of(versions, versions->nodes[i]);
        for (int32_t r = versions->start[place]; has_readers && r < versions->start[place + 1]; r++)
            versions->members[next++] = versions->readers[r];
    }
    versions->block[versions->nodes_n] = next;
}

static int compare_successions(const void *a, const void *b)
{
    const struct succession *first = a, *second = b;
    if (first->before != second->before)
        return first->before < second->before ? -1 : 1;
    return (first->after > second->after) - (first->after < second->after);
}

int32_t versions_put_rw(struct versions *versions)
{
    struct succession *all = versions->successions;
    int64_t n = versions->successions_n;
    group_readers(versions);
    if (n > 0)
        qsort(all, (size_t)n, sizeof *all, compare_successions);
    for (int64_t i = 0; i < n;) {
        int32_t place = place_of(versions, all[i].before);
        int32_t *readers = versions->readers + versions->start[place];
        int32_t before = all[i].before;
        int32_t targets = 0, sources = 0;
        for (int32_t r = 0; r < versions->start[place + 1] - versions->start[place]; r++)
            if (sources == 0 || readers[sources - 1] != readers[r])
                readers[sources++] = readers[r];
        for (; i < n && all[i].before == before; i++)
            versions->targets[targets++] = operation_of(versions, all[i].after);
        if (engine_fan(versions->engine, readers, sources, versions->targets, targets,
                       versions->key) != 0)
            return -1;
    }
    return 0;
}

void versions_begin(struct versions *versions, int32_t key)
{
    versions->key = key;
    versions->first = versions->engine->key_first[key];
    versions->end = versions->engine->key_first[key + 1];
    versions->successions_n = 0;
    versions->nodes_n = 0;
    for (int32_t e = versions->first; e < versions->end; e++)
        if (versions->engine->version[e] == e && versions->engine->counts[operation_of(versions, e)])
            versions->nodes[versions->nodes_n++] = e;
}

/* Whether all paths between the writers are known. */
static bool find_paths(struct versions *versions)
{
    if (!paths_is_acyclic(versions->paths) ||
        !paths_sort(versions->paths, versions->nodes, versions->nodes_n))
        return false;
    versions_block(versions, false);
    return paths_find(versions->paths, versions->block, versions->members, versions->nodes_n);
}

static int32_t order_key(struct versions *versions, int32_t key)
{
    versions_begin(versions, key);
    int32_t cyclic = measure_depths(versions);
    if (cyclic != NO_VERSION && discard_parents(versions, cyclic) != 0)
        return -1;
    bool is_shown = follow_parents(versions) || !find_paths(versions);
    if ((is_shown ? succeed_parents(versions) : succeed_paths(versions)) != 0)
        return -1;
    return versions_put_rw(versions);
}

bool versions_open(struct versions *versions, struct engine *engine)
{
    int32_t most = 0;
    for (int32_t key = 0; key < engine->keys_n; key++)
        if (engine->key_first[key + 1] - engine->key_first[key] > most)
            most = engine->key_first[key + 1] - engine->key_first[key];
    *versions = (struct versions){.engine = engine, .entries_max = most};
    versions->depth = engine_zeros(engine, most, sizeof *versions->depth);
    versions->start = engine_zeros(engine, versions->entries_max + 2, sizeof *versions->start);
    versions->readers = engine_zeros(engine, most, sizeof *versions->readers);
    versions->targets = engine_zeros(engine, most, sizeof *versions->targets);
    versions->nodes = engine_zeros(engine, most, sizeof *versions->nodes);
    versions->block = engine_zeros(engine, versions->entries_max + 1, sizeof *versions->block);
    versions->members = engine_zeros(engine, most, sizeof *versions->members);
    return versions->depth != NULL && versions->start != NULL && versions->readers != NULL &&
           versions->targets != NULL && versions->nodes != NULL && versions->block != NULL &&
           versions->members != NULL;
}

void versions_close(struct versions *versions)
{
    struct engine *engine = versions->engine;
    int64_t most = versions->entries_max;
    engine_release(engine, versions->depth, most, sizeof *versions->depth);
    engine_release(engine, versions->start, most + 2, sizeof *versions->start);
    engine_release(engine, versions->readers, most, sizeof *versions->readers);
    engine_release(engine, versions->targets, most, sizeof *versions->targets);
    engine_release(engine, versions->nodes, most, sizeof *versions->nodes);
    engine_release(engine, versions->block, most + 1, sizeof *versions->block);
    engine_release(engine, versions->members, most, sizeof *versions->members);
    free(versions->successions);
    paths_close(versions->paths);
}

int32_t versions_infer(struct engine *engine)
{
    struct versions versions;
    int32_t status = versions_open(&versions, engine) ? 0 : -1;
    if (status == 0) {
        versions.paths = paths_open(engine, SHOWN_MASK);
        status = versions.paths == NULL ? -1 : 0;
    }
    for (int32_t key = 0; status == 0 && key < engine->keys_n; key++)
        status = order_key(&versions, key);
    versions_close(&versions);
    return status;
}
