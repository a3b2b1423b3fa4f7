/*
 * compare_graph.c: graph.h against the definitions, on small graphs.
 *
 * Usage: compare_graph CASES SEED
 * First, with CASES above zero, all graphs of 3 operations with up to one edge of WW, WR, RW, PROCESS
 * or REALTIME for each ordered pair, and all of 4 operations with up to 4 edges of WW, WR or RW.
 * Then as many random ones as CASES says, of up to 7 operations, with tails, chains of tails,
 * barriers of real time and processes.
 * The definitions look at direct edges between operations alone: what leads over auxiliary vertices
 * is written out, and real time is read off invocations and returns.
 * Every class must be there in every component in which it is, and in no other, each with a walk of
 * the least length. One case in eight has a budget of nothing, and one in eight asks for fewer
 * levels.
 * Prints "cases C cyclic Y classes N1 … N15 repeated R uncertain U longer L mismatches M": R walks
 * visit an operation twice. The first mismatch goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph.h"

#define MAX 7
#define FAR 1000
#define CLASSES (GRAPH_LEVELS * GRAPH_RUNGS)

/* Direct edges between operations, by kind. */
struct direct {
    int n;
    bool has[GRAPH_LINK][MAX][MAX];
};

struct class {
    bool is_there;
    int length, closing;
};

struct tally {
    uint64_t cases, cyclic, classes[CLASSES], repeated, uncertain, longer, mismatches;
};

/* splitmix64 */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int below(uint64_t *seed, int n)
{
    return (int)(random_next(seed) % (uint64_t)n);
}

/* Distances between operations by the kinds of a mask, by Floyd and Warshall. */
static void measure(const struct direct *d, unsigned mask, int distance[MAX][MAX])
{
    for (int u = 0; u < d->n; u++)
        for (int v = 0; v < d->n; v++) {
            distance[u][v] = u == v ? 0 : FAR;
            for (int kind = 0; kind < GRAPH_LINK; kind++)
                if ((mask >> kind & 1) && d->has[kind][u][v])
                    distance[u][v] = 1;
        }
    for (int k = 0; k < d->n; k++)
        for (int u = 0; u < d->n; u++)
            for (int v = 0; v < d->n; v++)
                if (distance[u][k] + distance[k][v] < distance[u][v])
                    distance[u][v] = distance[u][k] + distance[k][v];
}

/* The same of walks without rw after rw, from (u, arrived by rw) to (v, not). */
static void measure_layered(const struct direct *d, unsigned mask, int distance[MAX][MAX])
{
    int all[2 * MAX][2 * MAX];
    for (int s = 0; s < 2 * d->n; s++)
        for (int t = 0; t < 2 * d->n; t++) {
            all[s][t] = s == t ? 0 : FAR;
            for (int kind = 0; kind < GRAPH_LINK; kind++) {
                bool fits = kind == GRAPH_RW ? s % 2 == 0 && t % 2 == 1 : t % 2 == 0;
                if ((mask >> kind & 1) && d->has[kind][s / 2][t / 2] && fits)
                    all[s][t] = 1;
            }
        }
    for (int k = 0; k < 2 * d->n; k++)
        for (int s = 0; s < 2 * d->n; s++)
            for (int t = 0; t < 2 * d->n; t++)
                if (all[s][k] + all[k][t] < all[s][t])
                    all[s][t] = all[s][k] + all[k][t];
    for (int u = 0; u < d->n; u++)
        for (int v = 0; v < d->n; v++)
            distance[u][v] = all[2 * u + 1][2 * v];
}

static const unsigned MASKS[GRAPH_LEVELS] = {GRAPH_MASK_DATA, GRAPH_MASK_PROCESS,
                                             GRAPH_MASK_REALTIME};

/* By level and rung and least operation of a component what there is. */
static void define(const struct direct *d, int top, struct class found[CLASSES][MAX],
                   int least[GRAPH_LEVELS][MAX])
{
    int best[3][MAX][MAX];
    memset(found, 0, sizeof(struct class) * CLASSES * MAX);
    for (int i = 0; i < 3 * MAX * MAX; i++)
        ((int *)best)[i] = GRAPH_RUNGS;
    for (int level = 0; level <= top; level++) {
        int ww[MAX][MAX], data[MAX][MAX], layered[MAX][MAX], all[MAX][MAX];
        measure(d, MASKS[level] & ~6u, ww);
        measure(d, MASKS[level] & ~4u, data);
        measure_layered(d, MASKS[level], layered);
        measure(d, MASKS[level], all);
        for (int v = d->n; v-- > 0;)
            for (int u = d->n; u-- > 0;)
                if (all[u][v] < FAR && all[v][u] < FAR)
                    least[level][v] = u;
        for (int kind = GRAPH_WW; kind <= GRAPH_RW; kind++)
            for (int u = 0; u < d->n; u++)
                for (int v = 0; v < d->n; v++) {
                    int rung = GRAPH_RUNGS, length = FAR;
                    if (!d->has[kind][u][v])
                        continue;
                    if (kind == GRAPH_WW && ww[v][u] < FAR)
                        rung = GRAPH_G0, length = ww[v][u];
                    if (kind == GRAPH_WR && data[v][u] < FAR)
                        rung = GRAPH_G1C, length = data[v][u];
                    if (kind == GRAPH_RW && all[v][u] < FAR)
                        rung = GRAPH_G2, length = all[v][u];
                    if (kind == GRAPH_RW && layered[v][u] < FAR)
                        rung = GRAPH_G_NONADJACENT, length = layered[v][u];
                    if (kind == GRAPH_RW && data[v][u] < FAR)
                        rung = GRAPH_G_SINGLE, length = data[v][u];
                    if (rung >= best[kind][u][v])
                        continue;
                    best[kind][u][v] = rung;
                    struct class *class = &found[level * GRAPH_RUNGS + rung][least[level][u]];
                    if (!class->is_there || length + 1 < class->length)
                        class->length = length + 1;
                    class->is_there = true;
                    class->closing++;
                }
    }
}

/* Whether the kinds of a walk are those of its class, and each step is an edge. */
static bool is_walk(const struct direct *d, const struct graph_cycle *cycle,
                    const struct graph_step *steps)
{
    int count[GRAPH_LINK] = {0}, adjacent = 0, visits[MAX] = {0};
    bool is_simple = true;
    for (int i = 0; i < cycle->length; i++) {
        struct graph_step step = steps[i], next = steps[(i + 1) % cycle->length];
        if (step.from < steps[0].from || step.from >= (uint32_t)d->n ||
            step.to >= (uint32_t)d->n || step.to != next.from || step.kind >= GRAPH_LINK ||
            !d->has[step.kind][step.from][step.to])
            return false;
        count[step.kind]++;
        adjacent += step.kind == GRAPH_RW && next.kind == GRAPH_RW;
        is_simple = is_simple && visits[step.from]++ == 0;
    }
    if (is_simple != (cycle->is_simple != 0))
        return false;
    if (cycle->rung == GRAPH_CYCLE)
        return true;
    if ((cycle->level == GRAPH_DATA && count[GRAPH_PROCESS] + count[GRAPH_REALTIME] > 0) ||
        (cycle->level == GRAPH_WITH_PROCESS &&
         (count[GRAPH_PROCESS] == 0 || count[GRAPH_REALTIME] > 0)) ||
        (cycle->level == GRAPH_WITH_REALTIME && count[GRAPH_REALTIME] == 0))
        return false;
    switch (cycle->rung) {
    case GRAPH_G0:
        return count[GRAPH_WW] > 0 && count[GRAPH_WR] + count[GRAPH_RW] == 0;
    case GRAPH_G1C:
        return count[GRAPH_WR] > 0 && count[GRAPH_RW] == 0;
    case GRAPH_G_SINGLE:
        return count[GRAPH_RW] == 1;
    case GRAPH_G_NONADJACENT:
        return count[GRAPH_RW] > 1 && adjacent == 0;
    default:
        return count[GRAPH_RW] > 1 && adjacent > 0 && is_simple;
    }
}

static bool is_same(const struct direct *d, int top, const struct graph_cycles *cycles,
                    bool is_poor, struct tally *tally)
{
    struct class expected[CLASSES][MAX];
    int least[GRAPH_LEVELS][MAX] = {{0}}, witnesses = 0;
    define(d, top, expected, least);
    for (int class = 0; class < CLASSES; class++) {
        int components = 0;
        for (int v = 0; v < d->n; v++)
            components += expected[class][v].is_there;
        witnesses += components;
        tally->classes[class] += (uint64_t)components;
        if (cycles->counts[class] != components && !is_poor)
            return false;
        int rung = class % GRAPH_RUNGS;
        bool is_rw = rung == GRAPH_G_SINGLE || rung == GRAPH_G_NONADJACENT;
        if (cycles->counts[class] != components && !is_rw)
            return false;
    }
    if (!is_poor && (cycles->n != witnesses || cycles->undetermined != 0))
        return false;
    for (int64_t i = 0; i < cycles->n; i++) {
        const struct graph_cycle *cycle = &cycles->cycles[i];
        int class = cycle->level * GRAPH_RUNGS + cycle->rung;
        if (cycle->component >= (uint32_t)d->n ||
            !is_walk(d, cycle, cycles->walk + cycle->first))
            return false;
        tally->repeated += !cycle->is_simple;
        tally->uncertain += !cycle->is_certain;
        tally->longer += !cycle->is_shortest;
        const struct class *class_there = &expected[class][cycle->component];
        if (!cycle->is_certain || (is_poor && !class_there->is_there))
            continue;
        if (!class_there->is_there || (!is_poor && class_there->closing != cycle->closing) ||
            class_there->length > cycle->length ||
            (cycle->is_shortest && class_there->length != cycle->length && !is_poor))
            return false;
    }
    return true;
}

/* graph_shortest and graph_sort with a mask. */
static bool is_sorted(const struct direct *d, const struct graph *graph,
                      const struct graph_edges *edges, unsigned mask)
{
    int distance[MAX][MAX];
    uint32_t component[64], order[64], place[64], roots[MAX];
    measure(d, mask, distance);
    for (int v = 0; v < d->n; v++)
        roots[v] = (uint32_t)(d->n - 1 - v);
    int64_t n = graph_sort(graph, mask, roots, d->n, component, order);
    for (uint32_t i = 0; i < graph->vertices; i++)
        place[order[i]] = i;
    for (int64_t e = 0; e < edges->n; e++) {
        uint32_t u = edges->from[e], v = edges->to[e];
        if (((mask | 1u << GRAPH_LINK) >> edges->kind[e] & 1) &&
            (component[u] > component[v] || (component[u] < component[v] && place[u] > place[v])))
            return false;
    }
    struct graph_options options = {MAX, 0, 0, 1 << 20};
    struct graph_cycles cycles;
    bool is_right = graph_shortest(graph, edges, mask, &options, &cycles) == 0;
    int found = 0;
    for (int u = 0; u < d->n && is_right; u++) {
        int shortest = FAR;
        bool is_least = true;
        for (int v = 0; v < d->n; v++) {
            bool is_one = distance[u][v] < FAR && distance[v][u] < FAR;
            is_right = is_right && is_one == (component[u] == component[v]);
            is_least = is_least && (!is_one || u <= v);
            for (int w = 0; w < d->n && is_one; w++)
                if (v != w && distance[v][w] == 1 && distance[w][v] + 1 < shortest)
                    shortest = distance[w][v] + 1;
        }
        if (!is_least || shortest >= FAR)
            continue;
        is_right = is_right && found < cycles.n && cycles.cycles[found].length == shortest &&
                   cycles.cycles[found].component == (uint32_t)u &&
                   is_walk(d, &cycles.cycles[found], cycles.walk + cycles.cycles[found].first);
        found++;
    }
    is_right = is_right && found == cycles.n && found == cycles.counts[0] &&
               (n == graph->vertices) == (found == 0);
    graph_cycles_free(&cycles);
    return is_right;
}

static void show(const struct graph_edges *edges, const struct graph *graph,
                 const struct graph_cycles *cycles)
{
    static const char *const NAMES[] = {"ww", "wr", "rw", "p", "rt", "so", "co", "link"};
    fprintf(stderr, "%u operations, %u vertices:", graph->operations, graph->vertices);
    for (int64_t e = 0; e < edges->n; e++)
        fprintf(stderr, " %u-%s-%u", edges->from[e], NAMES[edges->kind[e]], edges->to[e]);
    for (int64_t i = 0; i < cycles->n; i++) {
        const struct graph_cycle *cycle = &cycles->cycles[i];
        fprintf(stderr, "\n level %d rung %d of %u closing %ld:", cycle->level, cycle->rung,
                cycle->component, (long)cycle->closing);
        for (int64_t k = cycle->first; k < cycle->first + cycle->length; k++)
            fprintf(stderr, " %u-%s-%u", cycles->walk[k].from, NAMES[cycles->walk[k].kind],
                    cycles->walk[k].to);
    }
    fprintf(stderr, "\n");
}

/* Compare on one graph; the direct edges are made up to what runs and parallel edges say. */
static void check(struct direct *d, const struct graph_edges *edges, int vertices, unsigned chance,
                  struct tally *tally)
{
    for (int k = 0; k < d->n; k++)
        for (int u = 0; u < d->n; u++)
            for (int v = 0; v < d->n; v++)
                for (int kind = GRAPH_PROCESS; kind <= GRAPH_SESSION; kind += 2)
                    d->has[kind][u][v] |= d->has[kind][u][k] && d->has[kind][k][v];
    struct direct whole = *d;
    for (int u = 0; u < d->n; u++)
        for (int v = 0; v < d->n; v++) {
            d->has[GRAPH_WR][u][v] &= !d->has[GRAPH_WW][u][v];
            d->has[GRAPH_RW][u][v] &= !d->has[GRAPH_WW][u][v] && !d->has[GRAPH_WR][u][v];
        }
    for (int u = 0; u < d->n; u++)
        for (int kind = 0; kind < GRAPH_LINK; kind++)
            if (d->has[kind][u][u])
                return; /* no such graph */
    struct graph graph;
    struct graph_cycles cycles = {0};
    bool is_poor = chance % 8 == 0;
    int top = chance % 8 == 1 ? (int)(chance / 8 % 2) : GRAPH_WITH_REALTIME;
    struct graph_options options = {MAX, top, is_poor ? 0 : 1 << 20, is_poor ? 0 : 1 << 20};
    bool is_right = graph_build(&graph, edges, d->n, vertices) == 0 &&
                    graph_classify(&graph, edges, &options, &cycles) == 0 &&
                    is_same(d, top, &cycles, is_poor, tally);
    tally->cases++;
    tally->cyclic += cycles.components > 0;
    if (is_right)
        is_right = is_sorted(&whole, &graph, edges, chance % 2 ? GRAPH_MASK_ALL : chance / 16 % 256);
    if (!is_right && tally->mismatches++ == 0)
        show(edges, &graph, &cycles);
    graph_cycles_free(&cycles);
    graph_free(&graph);
}

static void put(struct direct *d, struct graph_edges *edges, int u, int v, int kind)
{
    if (u == v || graph_add(edges, (uint32_t)u, (uint32_t)v, (uint8_t)kind, GRAPH_NO_KEY) != 0)
        return;
    if (v < d->n && kind != GRAPH_LINK)
        d->has[kind][u][v] = true;
}

/* Every graph of n operations with an edge of one of `kinds` or none for each pair, up to `max`. */
static void check_all(int n, int kinds, int max, struct tally *tally)
{
    int pairs = n * (n - 1), choice[MAX * MAX] = {0};
    for (unsigned number = 2;; number++) {
        struct direct d = {.n = n};
        struct graph_edges edges = {0};
        int place = 0, used = 0;
        for (int pair = 0; pair < pairs; pair++) {
            int u = pair / (n - 1), v = pair % (n - 1);
            used += choice[pair] > 0;
            if (choice[pair] > 0)
                put(&d, &edges, u, v + (v >= u), choice[pair] - 1);
        }
        check(&d, &edges, n, number, tally);
        graph_edges_free(&edges);
        /* The next choice with at most `max` edges. */
        for (; place < pairs; place++) {
            if (choice[place] == kinds) {
                choice[place] = 0;
                used--;
            } else if (choice[place] > 0 || used < max) {
                choice[place]++;
                break;
            } else {
                continue;
            }
        }
        if (place == pairs)
            return;
    }
}

/* A chain of auxiliary vertices with edges of data into them and links from them. */
static void put_tail(struct direct *d, struct graph_edges *edges, int *vertices, uint64_t *seed)
{
    int length = 1 + below(seed, 3), first = *vertices;
    bool leads[MAX] = {false};
    *vertices += length;
    for (int aux = first + length; aux-- > first;) { /* what a vertex leads to grows backwards */
        if (aux + 1 < first + length)
            put(d, edges, aux, aux + 1, GRAPH_LINK);
        for (int n = below(seed, 3); n > 0; n--) {
            int v = below(seed, d->n);
            leads[v] = true;
            put(d, edges, aux, v, GRAPH_LINK);
        }
        for (int n = below(seed, 3); n > 0; n--) {
            int u = below(seed, d->n), kind = below(seed, 3);
            if (leads[u])
                continue;
            put(d, edges, u, aux, kind);
            for (int v = 0; v < d->n; v++)
                d->has[kind][u][v] |= leads[v];
        }
    }
}

/* Invocations and returns; real time is a barrier for each return. */
static void put_times(struct direct *d, struct graph_edges *edges, int *vertices, uint64_t *seed)
{
    int inv[MAX], ret[MAX], barrier[MAX], last = -1;
    for (int v = 0; v < d->n; v++) {
        inv[v] = 2 * below(seed, 2 * MAX);
        ret[v] = inv[v] + 1 + 2 * below(seed, MAX);
    }
    for (int now = 0; now < 8 * MAX; now++)
        for (int v = 0; v < d->n; v++) {
            if (ret[v] == now) {
                barrier[v] = (*vertices)++;
                put(d, edges, v, barrier[v], GRAPH_REALTIME);
                if (last >= 0)
                    put(d, edges, last, barrier[v], GRAPH_LINK);
                last = barrier[v];
            }
            if (inv[v] == now && last >= 0)
                put(d, edges, last, v, GRAPH_LINK);
        }
    for (int u = 0; u < d->n; u++)
        for (int v = 0; v < d->n; v++)
            d->has[GRAPH_REALTIME][u][v] |= ret[u] < inv[v];
}

static void check_random(uint64_t *seed, struct tally *tally)
{
    struct direct d = {.n = 2 + below(seed, MAX - 1)};
    struct graph_edges edges = {0};
    int vertices = d.n, kinds = below(seed, 4);
    static const int DRAWN[4][4] = {
        {GRAPH_WW, GRAPH_WR, GRAPH_RW, GRAPH_RW},
        {GRAPH_WR, GRAPH_RW, GRAPH_RW, GRAPH_RW},
        {GRAPH_WW, GRAPH_WW, GRAPH_WR, GRAPH_RW},
        {GRAPH_WR, GRAPH_RW, GRAPH_SESSION, GRAPH_COMMIT},
    };
    for (int n = below(seed, 2 * d.n + 2); n > 0; n--) {
        int u = below(seed, d.n), v = below(seed, d.n);
        put(&d, &edges, u, v, DRAWN[kinds][below(seed, 4)]);
    }
    for (int n = below(seed, 3); n > 0; n--)
        put_tail(&d, &edges, &vertices, seed);
    for (int v = 1; v < d.n && below(seed, 2); v++)
        if (below(seed, 2))
            put(&d, &edges, below(seed, v), v, GRAPH_PROCESS);
    if (below(seed, 2))
        put_times(&d, &edges, &vertices, seed);
    check(&d, &edges, vertices, (unsigned)below(seed, 1 << 16), tally);
    graph_edges_free(&edges);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: compare_graph CASES SEED\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[2], NULL, 10);
    struct tally tally = {0};
    long long cases = strtoll(argv[1], NULL, 10);
    if (cases > 0) {
        check_all(3, 5, 6, &tally);
        check_all(4, 3, 4, &tally);
    }
    for (cases = llabs(cases); cases > 0; cases--)
        check_random(&seed, &tally);
    printf("cases %lu cyclic %lu classes", (unsigned long)tally.cases, (unsigned long)tally.cyclic);
    for (int class = 0; class < CLASSES; class++)
        printf(" %lu", (unsigned long)tally.classes[class]);
    printf(" repeated %lu uncertain %lu longer %lu mismatches %lu\n",
           (unsigned long)tally.repeated, (unsigned long)tally.uncertain,
           (unsigned long)tally.longer, (unsigned long)tally.mismatches);
    return tally.mismatches > 0;
}
