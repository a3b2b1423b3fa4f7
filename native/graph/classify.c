/*
 * classify.c: which class each edge closes at, and a witness of each class in each component.
 *
 * All levels and rungs are decided for all edges at once, from the components of five graphs: of all
 * edges of the level, without rw, without rw and wr, of the product (a vertex, and whether it was
 * arrived at by rw), and of reachability for those edges that the product leaves open.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "climb.h"
#include "pages.h"

#define NONE 6         /* of a rung: closes at none */
#define UNCERTAIN 0x80 /* on the rung of G-nonadjacent: it may be G-single */

struct climb {
    const struct part *part;
    const struct graph_options *options;
    struct graph_cycles *cycles;
    struct walker walker;
    uint32_t mask;       /* of the level at hand */
    uint32_t *all;       /* by vertex its component of all edges of the level, */
    uint32_t *no_rw;     /* without rw, */
    uint32_t *only_ww;   /* without rw and wr, */
    uint32_t *product;   /* and by state that of the product */
    uint32_t *order;     /* by components without rw */
    uint32_t *least;     /* by component of all, its least vertex */
    uint32_t *start;     /* by component of all, plus two: where its edges begin in chosen */
    uint32_t *chosen;    /* edges of one rung by component */
    uint8_t *has_rw;     /* by component of all: G-single or G-nonadjacent was named on this level */
    uint8_t *best;       /* by edge the least rung that it closes at on this level or a lower one */
    uint8_t *rung;       /* by edge the rung that is new on this level */
    uint32_t *entered;
};

/* The product graph by the edges of a mask: state 2 v, and 2 v + 1 where v was arrived at by rw. */
static int32_t build_product(struct graph *product, const struct graph *graph, uint32_t mask)
{
    uint32_t n = graph->vertices;
    *product = (struct graph){2 * graph->operations, 2 * n, 0, NULL, NULL};
    product->first = pages_allocate((2 * (size_t)n + 1) * sizeof *product->first);
    product->arc = pages_allocate(2 * (size_t)graph->edges * sizeof *product->arc);
    if (product->first == NULL || product->arc == NULL)
        return GRAPH_MEMORY;
    uint32_t arcs = 0;
    for (uint32_t state = 0; state < 2 * n; state++) {
        product->first[state] = arcs;
        for (uint32_t i = graph->first[state / 2]; i < graph->first[state / 2 + 1]; i++) {
            uint32_t u = 2 * arc_source(graph->arc[i]), kind = arc_kind(graph->arc[i]);
            if ((mask & BIT(kind)) == 0)
                continue;
            if (kind == GRAPH_LINK) {
                product->arc[arcs++] = arc_of(u + state % 2, kind);
            } else if (kind == GRAPH_RW) {
                if (state % 2 == 1)
                    product->arc[arcs++] = arc_of(u, kind);
            } else if (state % 2 == 0) {
                product->arc[arcs++] = arc_of(u, kind);
                product->arc[arcs++] = arc_of(u + 1, kind);
            }
        }
    }
    product->first[2 * n] = arcs;
    product->edges = arcs;
    return 0;
}

/* The components of the level. Returns how many of all, or an error. */
static int64_t find_components(struct climb *c)
{
    const struct graph *graph = &c->part->graph;
    uint32_t no_rw = c->mask & ~BIT(GRAPH_RW), only_ww = no_rw & ~BIT(GRAPH_WR);
    int64_t components = graph_sort(graph, c->mask, NULL, 0, c->all, NULL);
    if (components < 0 || components == graph->vertices)
        return components;
    if (graph_sort(graph, no_rw, NULL, 0, c->no_rw, c->order) < 0 ||
        graph_sort(graph, only_ww, NULL, 0, c->only_ww, NULL) < 0)
        return GRAPH_MEMORY;
    struct graph product;
    bool is_sorted = build_product(&product, graph, c->mask) == 0 &&
                     graph_sort(&product, GRAPH_MASK_ALL, NULL, 0, c->product, NULL) >= 0;
    graph_free(&product);
    return is_sorted ? components : GRAPH_MEMORY;
}

/* What an edge closes at by its components alone; G-nonadjacent may still be G-single. */
static uint8_t rung_of(const struct climb *c, uint32_t edge)
{
    const struct graph_edges *edges = &c->part->edges;
    uint32_t u = edges->from[edge], v = edges->to[edge], kind = edges->kind[edge];
    if ((c->mask & BIT(kind)) == 0 || c->all[u] != c->all[v])
        return NONE;
    if (kind == GRAPH_WW)
        return c->only_ww[u] == c->only_ww[v] ? GRAPH_G0 : NONE;
    if (kind == GRAPH_WR)
        return c->no_rw[u] == c->no_rw[v] ? GRAPH_G1C : NONE;
    if (kind != GRAPH_RW)
        return NONE;
    if (c->no_rw[u] == c->no_rw[v])
        return GRAPH_G_SINGLE;
    return c->product[2 * u] == c->product[2 * v + 1] ? GRAPH_G_NONADJACENT : GRAPH_G2;
}

static int by_source(const void *a, const void *b)
{
    const struct reach_query *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return x->edge < y->edge ? -1 : x->edge > y->edge;
}

/* Tell G-single from G-nonadjacent. */
static int32_t tell_single(struct climb *c)
{
    const struct graph_edges *edges = &c->part->edges;
    int64_t n = 0;
    for (int64_t e = 0; e < edges->n; e++)
        n += c->rung[e] == GRAPH_G_NONADJACENT;
    struct reach_query *queries = pages_allocate((size_t)n * sizeof *queries);
    if (queries == NULL)
        return GRAPH_MEMORY;
    n = 0;
    for (uint32_t e = 0; e < edges->n; e++) {
        uint32_t source = c->no_rw[edges->to[e]], target = c->no_rw[edges->from[e]];
        /* Components are in topological order: an earlier one is never reached. */
        if (c->rung[e] == GRAPH_G_NONADJACENT && c->best[e] > GRAPH_G_SINGLE && source < target)
            queries[n++] = (struct reach_query){e, source, target, 0};
    }
    qsort(queries, (size_t)n, sizeof *queries, by_source);
    int32_t error = reach_answer(&c->part->graph, c->mask & ~BIT(GRAPH_RW), c->no_rw, c->order,
                                 queries, n, c->options->vectors_max, &c->cycles->vectors);
    for (int64_t q = 0; q < n; q++) {
        if (queries[q].answer == 1)
            c->rung[queries[q].edge] = GRAPH_G_SINGLE;
        if (queries[q].answer == -1)
            c->rung[queries[q].edge] = GRAPH_G_NONADJACENT | UNCERTAIN;
        c->cycles->undetermined += queries[q].answer == -1;
    }
    free(queries);
    return error;
}

/* Set the rung of each edge where it is new on this level. */
static int32_t find_rungs(struct climb *c)
{
    int64_t n = c->part->edges.n;
    for (uint32_t e = 0; e < n; e++)
        c->rung[e] = rung_of(c, e);
    int32_t error = tell_single(c);
    for (int64_t e = 0; e < n; e++) {
        uint8_t rung = c->rung[e] & (uint8_t)~UNCERTAIN;
        bool is_certain = (c->rung[e] & UNCERTAIN) == 0;
        if (rung >= c->best[e])
            c->rung[e] = NONE;
        if (!is_certain) /* what may be G-single already is not named so on a higher level */
            c->best[e] = GRAPH_G_SINGLE;
        else if (rung < c->best[e])
            c->best[e] = rung;
    }
    return error;
}

/* A shortest walk of a class through one of n edges that close at it. */
static int32_t witness(struct climb *c, const uint32_t *edges, uint32_t n, struct graph_cycle cycle)
{
    struct walker *walker = &c->walker;
    uint32_t best = edges[0];
    bool is_product = cycle.rung == GRAPH_G_NONADJACENT;
    walker->mask = c->mask;
    if (cycle.rung < GRAPH_G_NONADJACENT)
        walker->mask &= ~BIT(GRAPH_RW);
    if (cycle.rung == GRAPH_G0)
        walker->mask &= ~BIT(GRAPH_WR);
    walker->is_layered = is_product;
    int32_t least = is_product && cycle.is_certain ? 4 : 2;
    int32_t length = walker_close_walk(walker, best, INT32_MAX);
    cycle.is_shortest = 1;
    for (uint32_t i = 1; i < n && length > least; i++) {
        if (walker->steps > c->options->steps_max) {
            cycle.is_shortest = 0;
            break;
        }
        int32_t shorter = walker_close_walk(walker, edges[i], length);
        if (shorter > 0) {
            length = shorter;
            best = edges[i];
        }
    }
    walker_close_walk(walker, best, INT32_MAX); /* its way back again, after the others */
    cycle.length = length;
    return report_walk(walker, best, cycle, c->cycles, &c->entered);
}

/* The edges of a rung by component, the sure ones before the others. Returns how many. */
static uint32_t choose(struct climb *c, uint8_t rung, int64_t components)
{
    const struct part *part = c->part;
    uint32_t n = 0;
    memset(c->start, 0, ((size_t)components + 2) * sizeof *c->start);
    for (int64_t e = 0; e < part->edges.n; e++) {
        bool is_one = c->rung[e] == rung;
        c->start[c->all[part->edges.from[e]] + 2] += is_one;
        n += is_one;
    }
    if (n == 0)
        return 0;
    for (int64_t each = 2; each < components + 2; each++)
        c->start[each] += c->start[each - 1];
    for (uint32_t place = 0; place < part->edges.n; place++)
        if (c->rung[part->out[place]] == rung)
            c->chosen[c->start[c->all[part->edges.from[part->out[place]]] + 1]++] = part->out[place];
    return n;
}

/* Count the components with a class, and make its witnesses. */
static int32_t report_rung(struct climb *c, int32_t level, uint8_t rung, int64_t components)
{
    bool is_certain = (rung & UNCERTAIN) == 0;
    int32_t name = rung & ~UNCERTAIN;
    int64_t *count = &c->cycles->counts[name == GRAPH_CYCLE ? 0 : level * GRAPH_RUNGS + name];
    int64_t reported = 0;
    if (choose(c, rung, components) == 0)
        return 0;
    for (uint32_t v = 0; v < c->part->graph.vertices; v++) {
        uint32_t component = c->all[v];
        uint32_t begin = c->start[component], n = c->start[component + 1] - begin;
        if (c->least[component] != v || n == 0 || (!is_certain && c->has_rw[component]))
            continue;
        c->has_rw[component] |= name == GRAPH_G_SINGLE || name == GRAPH_G_NONADJACENT;
        (*count)++;
        if (reported++ >= c->options->cycles_max)
            continue;
        struct graph_cycle cycle = {.rung = name,
                                    .level = level,
                                    .component = c->part->global[v],
                                    .closing = n,
                                    .is_certain = is_certain};
        int32_t error = witness(c, &c->chosen[begin], n, cycle);
        if (error != 0)
            return error;
    }
    return 0;
}

static void find_least(struct climb *c)
{
    for (uint32_t v = c->part->graph.vertices; v-- > 0;)
        c->least[c->all[v]] = v;
}

static int32_t climb_level(struct climb *c, int32_t level)
{
    static const uint8_t RUNGS[] = {GRAPH_G0,       GRAPH_G1C,
                                    GRAPH_G_SINGLE, GRAPH_G_NONADJACENT,
                                    GRAPH_G2,       GRAPH_G_NONADJACENT | UNCERTAIN};
    int64_t components = find_components(c);
    if (components < 0 || components == c->part->graph.vertices)
        return components < 0 ? (int32_t)components : 0;
    find_least(c);
    memset(c->has_rw, 0, (size_t)components);
    int32_t error = find_rungs(c);
    for (size_t i = 0; i < sizeof RUNGS && error == 0; i++)
        error = report_rung(c, level, RUNGS[i], components);
    return error;
}

static int32_t climb_open(struct climb *c, const struct part *part)
{
    size_t vertices = part->graph.vertices, bytes = vertices * sizeof(uint32_t);
    size_t edges = (size_t)part->edges.n;
    c->part = part;
    uint32_t **words[] = {&c->all, &c->no_rw, &c->only_ww, &c->order, &c->least};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if ((*words[i] = pages_allocate(bytes)) == NULL)
            return GRAPH_MEMORY;
    c->product = pages_allocate(2 * bytes);
    c->start = pages_allocate(bytes + 2 * sizeof *c->start);
    c->chosen = pages_allocate(edges * sizeof *c->chosen);
    c->has_rw = pages_allocate(vertices);
    c->best = pages_allocate(edges);
    c->rung = pages_allocate(edges);
    if (c->product == NULL || c->start == NULL || c->chosen == NULL || c->has_rw == NULL ||
        c->best == NULL || c->rung == NULL)
        return GRAPH_MEMORY;
    memset(c->has_rw, 0, vertices);
    memset(c->best, NONE, edges);
    return walker_open(&c->walker, part);
}

static void climb_close(struct climb *c)
{
    walker_close(&c->walker);
    free(c->all);
    free(c->no_rw);
    free(c->only_ww);
    free(c->product);
    free(c->order);
    free(c->least);
    free(c->start);
    free(c->chosen);
    free(c->has_rw);
    free(c->best);
    free(c->rung);
    free(c->entered);
}

/* How many components the whole part has, and the largest. */
static int32_t measure(struct climb *c, uint32_t mask)
{
    int64_t components = graph_sort(&c->part->graph, mask, NULL, 0, c->all, NULL);
    if (components < 0)
        return (int32_t)components;
    memset(c->start, 0, (size_t)components * sizeof *c->start);
    for (uint32_t v = 0; v < c->part->graph.vertices; v++) {
        int64_t size = c->part->global[v] == NO_VERTEX ? 0 : ++c->start[c->all[v]];
        c->cycles->components += size == 2;
        c->cycles->largest = size > c->cycles->largest ? size : c->cycles->largest;
    }
    return 0;
}

static const uint32_t LEVEL_MASKS[GRAPH_LEVELS] = {GRAPH_MASK_DATA, GRAPH_MASK_PROCESS,
                                                   GRAPH_MASK_REALTIME};

int32_t graph_classify(const struct graph *graph, const struct graph_edges *edges,
                       const struct graph_options *options, struct graph_cycles *cycles)
{
    int32_t top = options->level < GRAPH_DATA ? GRAPH_DATA : options->level;
    top = top > GRAPH_WITH_REALTIME ? GRAPH_WITH_REALTIME : top;
    uint32_t mask = LEVEL_MASKS[top];
    *cycles = (struct graph_cycles){0};
    struct part part;
    struct climb c = {.options = options, .cycles = cycles};
    int32_t error = part_cut(&part, graph, mask);
    if (error != 0 || part.graph.vertices == 0)
        goto done;
    error = climb_open(&c, &part);
    if (error == 0)
        error = measure(&c, mask);
    for (int32_t level = 0; level <= top && error == 0; level++) {
        c.mask = LEVEL_MASKS[level] | BIT(GRAPH_LINK);
        error = climb_level(&c, level);
    }
    if (error == 0)
        error = report_finish(graph, edges, cycles, c.entered);
    cycles->steps = c.walker.steps;
done:
    climb_close(&c);
    part_free(&part);
    return error;
}

int32_t graph_shortest(const struct graph *graph, const struct graph_edges *edges, uint32_t mask,
                       const struct graph_options *options, struct graph_cycles *cycles)
{
    *cycles = (struct graph_cycles){0};
    struct part part;
    struct climb c = {.options = options, .cycles = cycles, .mask = mask | BIT(GRAPH_LINK)};
    int32_t error = part_cut(&part, graph, mask);
    if (error != 0 || part.graph.vertices == 0)
        goto done;
    error = climb_open(&c, &part);
    if (error == 0)
        error = measure(&c, mask);
    for (int64_t e = 0; e < part.edges.n && error == 0; e++)
        c.rung[e] = part.edges.kind[e] == GRAPH_LINK ? NONE : GRAPH_CYCLE;
    if (error == 0) {
        find_least(&c);
        error = report_rung(&c, 0, GRAPH_CYCLE, part.graph.vertices);
    }
    if (error == 0)
        error = report_finish(graph, edges, cycles, c.entered);
    cycles->steps = c.walker.steps;
done:
    climb_close(&c);
    part_free(&part);
    return error;
}
