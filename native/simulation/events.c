/* See events.h. */
#include "events.h"

#include "memory.h"

#include <stdbool.h>
#include <stdlib.h>

static bool is_before(const struct event *a, const struct event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->sequence < b->sequence;
}

static void make_room(struct events *events)
{
    if (events->count < events->capacity)
        return;
    events->capacity = events->capacity ? 2 * events->capacity : 256;
    events->heap = host_resize(events->heap, events->capacity * sizeof *events->heap);
}

void events_hold(struct events *held, struct event event)
{
    make_room(held);
    held->heap[held->count++] = event;
}

void events_add(struct events *events, struct event event)
{
    event.sequence = events->next_sequence++;
    make_room(events);
    size_t at = events->count++;
    for (; at && is_before(&event, &events->heap[(at - 1) / 2]); at = (at - 1) / 2)
        events->heap[at] = events->heap[(at - 1) / 2];
    events->heap[at] = event;
}

uint64_t events_next_ns(const struct events *events)
{
    return events->count ? events->heap[0].time_ns : UINT64_MAX;
}

struct event events_take(struct events *events)
{
    struct event first = events->heap[0], last = events->heap[--events->count];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < events->count; at = child) {
        if (child + 1 < events->count &&
            is_before(&events->heap[child + 1], &events->heap[child]))
            child++;
        if (!is_before(&events->heap[child], &last))
            break;
        events->heap[at] = events->heap[child];
    }
    if (events->count)
        events->heap[at] = last;
    return first;
}
