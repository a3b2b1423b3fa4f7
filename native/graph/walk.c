/*
 * walk.c: shortest closed walks through an edge, by 0-1 breadth-first search.
 *
 * A GRAPH_LINK weighs 0, any other edge 1. Vertices of one distance are looked at in the order in
 * which they were found, and their edges by target, so the walk is determined by the graph.
 */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <string.h>

#include "climb.h"
#include "pages.h"

int32_t walker_open(struct walker *walker, const struct part *part)
{
    size_t states = 2 * (size_t)part->graph.vertices;
    *walker = (struct walker){.part = part};
    walker->seen = pages_zeroed(states * sizeof *walker->seen);
    walker->distance = pages_allocate(states * sizeof *walker->distance);
    walker->parent = pages_allocate(states * sizeof *walker->parent);
    walker->via = pages_allocate(states * sizeof *walker->via);
    /* A state is found at most once in one step more, and once more by a GRAPH_LINK. */
    walker->now = pages_allocate(2 * states * sizeof *walker->now);
    walker->next = pages_allocate(2 * states * sizeof *walker->next);
    bool is_open = walker->seen != NULL && walker->distance != NULL && walker->parent != NULL &&
                   walker->via != NULL && walker->now != NULL && walker->next != NULL;
    return is_open ? 0 : GRAPH_MEMORY;
}

void walker_close(struct walker *walker)
{
    if (walker->part != NULL)
        pages_release(walker->seen,
                      2 * (size_t)walker->part->graph.vertices * sizeof *walker->seen);
    free(walker->distance);
    free(walker->parent);
    free(walker->via);
    free(walker->now);
    free(walker->next);
    *walker = (struct walker){0};
}

/* Forget which states were seen. */
static void forget(struct walker *walker)
{
    if (++walker->stamp == 0) {
        memset(walker->seen, 0, 2 * (size_t)walker->part->graph.vertices * sizeof *walker->seen);
        walker->stamp = 1;
    }
}

/* Whether the state is nearer than it was known to be; then it is noted. */
static bool is_nearer(struct walker *walker, uint32_t state, uint32_t distance)
{
    if (walker->seen[state] == walker->stamp && walker->distance[state] <= distance)
        return false;
    walker->seen[state] = walker->stamp;
    walker->distance[state] = distance;
    return true;
}

/* The state that an edge leads to, or NO_VERTEX where the walk may not take it. */
static uint32_t state_after(const struct walker *walker, uint32_t state, uint32_t edge)
{
    uint32_t kind = walker->part->edges.kind[edge], to = walker->part->edges.to[edge];
    if ((walker->mask & BIT(kind)) == 0)
        return NO_VERTEX;
    if (!walker->is_layered)
        return 2 * to;
    if (kind == GRAPH_LINK)
        return 2 * to + (state & 1);
    if (kind == GRAPH_RW)
        return state & 1 ? NO_VERTEX : 2 * to + 1;
    return 2 * to;
}

int32_t walker_close_walk(struct walker *walker, uint32_t closing, int32_t below)
{
    const struct part *part = walker->part;
    bool is_rw = part->edges.kind[closing] == GRAPH_RW;
    uint32_t start = 2 * part->edges.to[closing] + (walker->is_layered && is_rw);
    uint32_t goal = 2 * part->edges.from[closing];
    uint32_t now_n = 0, next_n = 0;
    forget(walker);
    walker->mask |= BIT(GRAPH_LINK);
    walker->parent[start] = start;
    is_nearer(walker, start, 1);
    walker->now[now_n++] = start;
    for (uint32_t distance = 1; now_n > 0 && (int64_t)distance < below; distance++) {
        for (uint32_t i = 0; i < now_n; i++) {
            uint32_t state = walker->now[i];
            if (state == goal)
                return (int32_t)distance;
            if (walker->distance[state] < distance)
                continue;
            uint32_t end = part->out_first[state / 2 + 1];
            for (uint32_t place = part->out_first[state / 2]; place < end; place++) {
                uint32_t edge = part->out[place];
                uint32_t after = state_after(walker, state, edge);
                bool is_link = part->edges.kind[edge] == GRAPH_LINK;
                walker->steps++;
                if (after == NO_VERTEX || !is_nearer(walker, after, distance + !is_link))
                    continue;
                walker->parent[after] = state;
                walker->via[after] = edge;
                if (is_link)
                    walker->now[now_n++] = after;
                else
                    walker->next[next_n++] = after;
            }
        }
        uint32_t *spare = walker->now;
        walker->now = walker->next;
        walker->next = spare;
        now_n = next_n;
        next_n = 0;
    }
    return 0;
}
