/*
 * reasons.c: a commit order from the edges, or a closed walk and the reason of each of its steps.
 *
 * Reasons are looked for when there is a walk, in the reads themselves, by the rule of the level.
 * So no edge carries any, and a step that no read explains would be a mistake of ours.
 */
#define _DEFAULT_SOURCE
#include <assert.h>
#include <stdlib.h>

#include "observed.h"
#include "pages.h"

#define SHORTEST_STEPS UINT64_C(200000000)
#define UNREACHED UINT32_MAX

/* The initial values, then operations by completion. */
static uint32_t *roots_of(const struct weak *weak)
{
    int32_t *roots = malloc(((size_t)weak->n + 1) * sizeof *roots);
    if (roots == NULL || !weak_completions(weak, roots + 1)) {
        free(roots);
        return NULL;
    }
    roots[0] = weak->n;
    return (uint32_t *)roots;
}

static int32_t keep_order(const struct weak *weak, const uint32_t *order)
{
    struct weak_result *result = weak->result;
    result->order = malloc(((size_t)weak->n + 1) * sizeof *result->order);
    if (result->order == NULL)
        return WEAK_MEMORY;
    for (int64_t v = 0; v < weak_vertices(weak); v++)
        if (order[v] < (uint32_t)weak->n && weak_counts(weak, (int32_t)order[v]))
            result->order[result->order_n++] = (int32_t)order[v];
    return WEAK_VALID;
}

/* Where `reader` reads from `source`, of a key or of any (NONE), before `end`; or NONE. */
static int64_t read_of(const struct weak *weak, int32_t reader, int32_t source, int32_t key,
                       int64_t end)
{
    for (int64_t at = weak->micro->first[reader]; at < end; at++)
        if (weak->source[at] == source && (key == NONE || weak->micro->key[at] == key))
            return at;
    return NONE;
}

static bool is_before_in_session(const struct weak *weak, int32_t before, int32_t after)
{
    int32_t first = weak->line_place[before], last = weak->line_place[after];
    if (weak->options->no_sessions || first == NONE || last == NONE || first >= last)
        return false;
    for (int32_t low = 0, high = weak->sessions_n; low < high;) {
        int32_t middle = low + (high - low) / 2; /* the session that `first` is in */
        if (weak->session_first[middle + 1] <= first)
            low = middle + 1;
        else if (weak->session_first[middle] > first)
            high = middle;
        else
            return last < weak->session_first[middle + 1];
    }
    return false;
}

/* Steps of sessions and reads from one operation to all others, by the fewest transactions. */
struct reach {
    struct weak *weak;
    struct graph graph;
    uint32_t *order;
    uint32_t *steps; /* vertex -> steps; UNREACHED */
    uint32_t *by;    /* vertex -> the arc that it was reached by */
};

static int32_t reach_open(struct reach *reach, struct weak *weak)
{
    int64_t vertices = weak_vertices(weak);
    size_t bytes = (size_t)vertices * sizeof(uint32_t);
    *reach = (struct reach){.weak = weak,
                            .order = pages_allocate(bytes),
                            .steps = pages_allocate(bytes),
                            .by = pages_allocate(bytes)};
    uint32_t mask = 1U << GRAPH_SESSION | 1U << GRAPH_WR | 1U << GRAPH_LINK;
    if (reach->order == NULL || reach->steps == NULL || reach->by == NULL ||
        graph_build(&reach->graph, &weak->edges, weak->n + 1, vertices) != 0 ||
        graph_sort(&reach->graph, mask, NULL, 0, NULL, reach->order) < 0)
        return WEAK_MEMORY;
    return WEAK_VALID;
}

static void reach_close(struct reach *reach)
{
    graph_free(&reach->graph);
    free(reach->order);
    free(reach->steps);
    free(reach->by);
}

static void reach_from(const struct reach *reach, int32_t operation)
{
    int64_t vertices = weak_vertices(reach->weak);
    for (int64_t v = 0; v < vertices; v++)
        reach->steps[v] = UNREACHED;
    for (int64_t place = 0; place < vertices; place++) {
        uint32_t v = reach->order[place];
        if (v == (uint32_t)operation) {
            reach->steps[v] = 0;
            continue;
        }
        for (uint32_t a = reach->graph.first[v]; a < reach->graph.first[v + 1]; a++) {
            uint32_t arc = reach->graph.arc[a], kind = arc & 7, before = reach->steps[arc >> 3];
            if (before == UNREACHED || (arc >> 3) == (uint32_t)reach->weak->n ||
                (kind != GRAPH_LINK && kind != GRAPH_WR && kind != GRAPH_SESSION))
                continue;
            uint32_t steps = before + (kind != GRAPH_LINK);
            if (steps < reach->steps[v]) {
                reach->steps[v] = steps;
                reach->by[v] = arc;
            }
        }
    }
}

static bool add_why(struct weak_result *result, struct weak_step step)
{
    int32_t n = result->whys_n;
    if ((n & (n + 1)) == 0) { /* full: 0, 1, 3, 7, … */
        struct weak_step *grown = realloc(result->whys, (size_t)(2 * n + 1) * sizeof *grown);
        if (grown == NULL)
            return false;
        result->whys = grown;
    }
    result->whys[result->whys_n++] = step;
    return true;
}

static struct weak_step session_step(int32_t source, int32_t target)
{
    return (struct weak_step){source, target, WEAK_SESSION, NONE, WEAK_NOWHERE, 0, 0};
}

static struct weak_step read_step(const struct weak *weak, int32_t target, int64_t at)
{
    return (struct weak_step){weak->source[at], target, WEAK_WR, weak->micro->key[at], at, 0, 0};
}

/* The steps by which an operation was reached, the first one first. */
static bool add_path(const struct reach *reach, int32_t source, int32_t reader)
{
    const struct weak *weak = reach->weak;
    int32_t first = weak->result->whys_n;
    for (int32_t target = reader; target != source;) {
        uint32_t arc = reach->by[target];
        while ((arc & 7) == GRAPH_LINK)
            arc = reach->by[arc >> 3];
        int32_t before = (int32_t)(arc >> 3);
        bool is_read = (arc & 7) == GRAPH_WR;
        int64_t at = is_read ? read_of(weak, target, before, NONE, weak->micro->first[target + 1])
                             : NONE;
        if (!add_why(weak->result,
                     is_read ? read_step(weak, target, at) : session_step(before, target)))
            return false;
        target = before;
    }
    for (int32_t last = weak->result->whys_n - 1; first < last; first++, last--) {
        struct weak_step kept = weak->result->whys[first];
        weak->result->whys[first] = weak->result->whys[last];
        weak->result->whys[last] = kept;
    }
    return true;
}

/* Whether `source` is visible to the read at, by one step. That step, if so. */
static bool is_visible(const struct weak *weak, int32_t source, int64_t at, struct weak_step *why)
{
    int32_t reader = weak->owner[at], level = weak->options->level;
    int64_t end = level == WEAK_READ_COMMITTED ? at : weak->micro->first[reader + 1];
    if (level != WEAK_READ_COMMITTED && is_before_in_session(weak, source, reader)) {
        *why = session_step(source, reader);
        return true;
    }
    int64_t seen = read_of(weak, reader, source, NONE, end);
    if (seen != NONE)
        *why = read_step(weak, reader, seen);
    return seen != NONE;
}

/* Find the read that demands a step, and why. */
static bool explain_commit(const struct weak *weak, const struct reach *reach,
                           struct weak_step *step, int32_t source, int32_t target)
{
    struct weak_step why = {0};
    uint32_t fewest = UNREACHED;
    if (reach != NULL)
        reach_from(reach, source);
    for (int64_t at = 0; at < weak->micro->n; at++) {
        int32_t reader = weak->owner[at];
        if (weak->source[at] != target || weak->micro->key[at] != step->key || reader == source)
            continue;
        if (reach != NULL && reach->steps[reader] < fewest) {
            fewest = reach->steps[reader];
            step->at = at;
        } else if (reach == NULL && is_visible(weak, source, at, &why)) {
            step->at = at;
            break;
        }
    }
    assert(step->at != WEAK_NOWHERE);
    step->why = weak->result->whys_n;
    bool is_fine = reach != NULL ? add_path(reach, source, weak->owner[step->at])
                                 : add_why(weak->result, why);
    step->why_length = weak->result->whys_n - step->why;
    return is_fine;
}

static int64_t longest_read(const struct weak *weak, int32_t key)
{
    const struct micro *micro = weak->micro;
    int64_t longest = NONE;
    for (int64_t at = 0; at < micro->n; at++)
        if (micro->key[at] == key && micro->kind[at] == MICRO_READ &&
            micro->list[at] != MICRO_NONE && weak_is_ok(weak, weak->owner[at]) &&
            (longest == NONE || micro->length[at] > micro->length[longest]))
            longest = at;
    return longest;
}

static bool explain(const struct weak *weak, const struct reach *reach,
                    const struct graph_step *found, struct weak_step *step)
{
    static const int32_t kinds[] = {[GRAPH_SESSION] = WEAK_SESSION,
                                    [GRAPH_WR] = WEAK_WR,
                                    [GRAPH_WW] = WEAK_WW,
                                    [GRAPH_COMMIT] = WEAK_COMMIT};
    int32_t source = (int32_t)found->from, target = (int32_t)found->to;
    *step = (struct weak_step){.source = source == weak->n ? WEAK_INITIAL : source,
                               .target = target == weak->n ? WEAK_INITIAL : target,
                               .kind = kinds[found->kind],
                               .key = found->key,
                               .at = WEAK_NOWHERE};
    if (step->kind == WEAK_WR)
        step->at = read_of(weak, target, source, step->key, weak->micro->first[target + 1]);
    else if (step->kind == WEAK_WW)
        step->at = longest_read(weak, step->key);
    return step->kind != WEAK_COMMIT || explain_commit(weak, reach, step, source, target);
}

static int32_t keep_walk(struct weak *weak, const struct graph_cycles *cycles)
{
    struct weak_result *result = weak->result;
    const struct graph_cycle *cycle = &cycles->cycles[0];
    struct reach reach = {0};
    bool is_causal = weak->options->level == WEAK_CAUSAL;
    int32_t verdict = is_causal ? reach_open(&reach, weak) : WEAK_VALID;
    result->walk = malloc((size_t)cycle->length * sizeof *result->walk);
    if (result->walk == NULL)
        verdict = WEAK_MEMORY;
    for (int32_t i = 0; verdict == WEAK_VALID && i < cycle->length; i++, result->walk_n++)
        if (!explain(weak, is_causal ? &reach : NULL, &cycles->walk[cycle->first + i],
                     &result->walk[i]))
            verdict = WEAK_MEMORY;
    reach_close(&reach);
    return verdict == WEAK_VALID ? WEAK_INVALID : verdict;
}

int32_t weak_order_early(struct weak *weak)
{
    uint32_t *roots = roots_of(weak);
    uint32_t *order = pages_allocate((size_t)weak_vertices(weak) * sizeof *order);
    int32_t verdict =
        roots != NULL && order != NULL ? weak_guess(weak, roots, order) : WEAK_MEMORY;
    if (weak->is_ordered)
        verdict = keep_order(weak, order);
    free(roots);
    free(order);
    return verdict;
}

int32_t weak_order(struct weak *weak)
{
    struct graph graph = {0};
    struct graph_cycles cycles = {0};
    struct graph_options options = {.cycles_max = 1, .steps_max = SHORTEST_STEPS};
    int64_t vertices = weak_vertices(weak);
    int32_t verdict = WEAK_MEMORY;
    weak->result->edges_n = weak->edges.n;
    for (int32_t i = 0; i < weak->n; i++)
        weak->result->transactions += weak_counts(weak, i);
    if (weak->is_ordered)
        return WEAK_VALID;
    uint32_t *roots = roots_of(weak);
    uint32_t *order = pages_allocate((size_t)vertices * sizeof *order);
    if (roots != NULL && order != NULL &&
        graph_build(&graph, &weak->edges, weak->n + 1, vertices) == 0) {
        int64_t components =
            graph_sort(&graph, GRAPH_MASK_ALL, roots, weak->n + 1, NULL, order);
        if (components == vertices)
            verdict = keep_order(weak, order);
        else if (components >= 0 && graph_shortest(&graph, &weak->edges, GRAPH_MASK_ALL, &options,
                                                   &cycles) == 0)
            verdict = cycles.n > 0 ? keep_walk(weak, &cycles) : WEAK_INVALID;
    }
    graph_cycles_free(&cycles);
    graph_free(&graph);
    free(roots);
    free(order);
    return verdict;
}
