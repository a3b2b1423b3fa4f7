/*
 * What will happen: a heap of events, in order of time, and of being scheduled where times are equal.
 */
#ifndef DISSEVER_SIMULATION_EVENTS_H
#define DISSEVER_SIMULATION_EVENTS_H

#include <stddef.h>
#include <stdint.h>

struct simulation;
struct event;

typedef void event_call(struct simulation *simulation, struct event *event);

enum { EVENT_NOWHERE = -1 };

/*
 * `run` is called when the time has come; `drop` (may be NULL) instead, when it never will, to free
 * `subject`. An event on a server is held while that server is paused, in order, and dropped when
 * its incarnation has ended.
 */
struct event {
    uint64_t time_ns;
    uint64_t sequence;
    int16_t server; /* or EVENT_NOWHERE */
    uint8_t kind;   /* for the hash of the run: enum event_kind */
    uint32_t incarnation; /* of the server; 0: whichever runs then */
    event_call *run;
    event_call *drop;
    void *subject;
    uint64_t number;
};

enum event_kind {
    EVENT_TICK = 1,
    EVENT_SENT,
    EVENT_DELIVERY,
    EVENT_DISK,
    EVENT_SNAPSHOT_READ,
    EVENT_WORK,
    EVENT_TIMER,
    EVENT_CLOSED,
    EVENT_STOP,
    EVENT_CLIENT,
    EVENT_CALL,
    EVENT_PROBE,
    EVENT_CHANGED,
};

struct events {
    struct event *heap;
    size_t count, capacity;
    uint64_t next_sequence;
};

/* Fills in `sequence`. Events of one time happen in the order of these calls. */
void events_add(struct events *events, struct event event);

/* The first event's time, or UINT64_MAX. */
uint64_t events_next_ns(const struct events *events);

/* Removes the first event; there must be one. */
struct event events_take(struct events *events);

/* The same by hand, for lists of events that wait outside of the heap: grows `*list` by one. */
void events_hold(struct events *held, struct event event);

#endif
