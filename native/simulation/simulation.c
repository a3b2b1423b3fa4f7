/* See simulation.h. */
#include "simulation.h"

#include "addresses.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>

struct simulation simulation;

void simulation_mix(struct simulation *s, uint64_t value)
{
    s->hash = (s->hash ^ value) * 0x9E3779B97F4A7C15u;
    s->hash ^= s->hash >> 29;
}

struct output *say(struct simulation *s, enum frame_kind kind)
{
    frame_begin(&s->output, kind);
    put_u64(&s->output, s->now_ns);
    if (kind != FRAME_TRACE)
        s->has_spoken = true;
    return &s->output;
}

void schedule(struct server *server, uint64_t delay_ns, enum event_kind kind, event_call *run,
              event_call *drop, void *subject, uint64_t number)
{
    struct simulation *s = server->simulation;
    events_add(&s->events, (struct event){
                               .time_ns = s->now_ns + delay_ns,
                               .server = (int16_t)server->number,
                               .kind = (uint8_t)kind,
                               .incarnation = server->incarnation,
                               .run = run,
                               .drop = drop,
                               .subject = subject,
                               .number = number,
                           });
}

void simulation_reseed(struct simulation *s, uint64_t seed)
{
    s->seed = seed;
    for (unsigned i = 0; i < SERVERS_MAX; i++) {
        struct server *server = &s->servers[i];
        server->random = random_stream(seed, RANDOM_RAFT, i);
        server->disk.random = random_stream(seed, RANDOM_DISK, i);
        server->client_random = random_stream(seed, RANDOM_CLIENT, i);
        server->system_random = random_stream(seed, RANDOM_SYSTEM, i);
        for (unsigned j = 0; j < SERVERS_MAX; j++)
            network_link(s, i, j)->random = random_stream(seed, RANDOM_LINK, i << 8 | j);
    }
}

const char *simulation_begin(struct simulation *s, uint64_t seed, unsigned count)
{
    s->count = count;
    s->last_raft_id = count;
    s->hash = DIGEST_START;
    s->trace.is_on = s->options.trace;
    for (unsigned i = 0; i < count; i++) {
        struct server *server = &s->servers[i];
        server->simulation = s;
        server->number = i;
        server->raft_id = i + 1;
        s->server_of_id[i + 1] = (uint8_t)i;
        server->clock.rate = 1;
        server->disk.first = server->disk.next_index = 1;
        if (!arena_map(&server->arena, i))
            return "the memory of servers cannot be where it must be: its addresses are taken";
    }
    simulation_reseed(s, seed);
    return NULL;
}

/* Run one event, hold it, or drop it. */
static void take(struct simulation *s, struct event *event)
{
    struct server *server = event->server == EVENT_NOWHERE ? NULL : &s->servers[event->server];
    if (server && (!server->is_running || event->incarnation != server->incarnation)) {
        if (event->drop)
            event->drop(s, event);
        return;
    }
    if (server && server->is_paused) {
        events_hold(&server->held, *event);
        return;
    }
    s->events_run++;
    simulation_mix(s, event->time_ns);
    simulation_mix(s, (uint64_t)event->kind << 16 | (uint16_t)event->server);
    s->running = server;
    stack_fill();
    event->run(s, event);
    if (server && server->is_started)
        library_event_ends(&server->process->raft);
    if (server && server->is_running)
        invariants_look(server);
    if (server && server->is_started && service.ends_unavailable && !server->is_stopping &&
        raft_state(&server->process->raft) == RAFT_UNAVAILABLE)
        server_exit(server, 1);
    s->running = NULL;
}

void simulation_advance(struct simulation *s, uint64_t until_ns)
{
    while (events_next_ns(&s->events) <= until_ns &&
           (!s->has_spoken || events_next_ns(&s->events) <= s->now_ns)) {
        struct event event = events_take(&s->events);
        if (event.time_ns > s->now_ns)
            s->now_ns = event.time_ns;
        take(s, &event);
    }
    if (!s->has_spoken && until_ns > s->now_ns)
        s->now_ns = until_ns;
}

bool simulation_is_idle(const struct simulation *s)
{
    return s->events.count == 0;
}
