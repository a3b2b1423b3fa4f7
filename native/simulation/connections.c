/* See connections.h. */
#include "connections.h"

#include "service.h"
#include "simulation.h"

#include <stdlib.h>
#include <string.h>

static struct connection *find(struct simulation *s, uint32_t number)
{
    return number && number <= s->connections.count ? &s->connections.all[number - 1] : NULL;
}

static uint64_t after(struct simulation *s, struct server *server, uint64_t *last_ns)
{
    uint64_t latency_ns = random_between(&server->client_random, s->options.client_us_min * NS_PER_US,
                                         s->options.client_us_max * NS_PER_US);
    uint64_t at_ns = s->now_ns + latency_ns;
    *last_ns = at_ns > *last_ns ? at_ns : *last_ns;
    return *last_ns;
}

static void tell_closed(struct simulation *s, struct event *event)
{
    struct output *output = say(s, FRAME_CLOSED);
    put_u32(output, (uint32_t)(event->number >> 8));
    put_u8(output, event->number & 0xff);
    frame_end(output);
}

static void close_for_client(struct simulation *s, uint32_t number, enum close_reason reason)
{
    struct connection *connection = find(s, number);
    uint64_t at_ns = after(s, &s->servers[connection->server], &connection->to_client_ns);
    connection->is_closed = true;
    if (connection->has_hung_up)
        return;
    events_add(&s->events, (struct event){.time_ns = at_ns,
                                          .server = EVENT_NOWHERE,
                                          .kind = EVENT_CLIENT,
                                          .run = tell_closed,
                                          .number = (uint64_t)number << 8 | reason});
}

/* What a client does reaches the node: an event there, held while it is paused. */
static void to_server(struct simulation *s, uint32_t number, event_call *run, event_call *drop,
                      struct blob *blob)
{
    struct connection *connection = find(s, number);
    struct server *server = &s->servers[connection->server];
    struct event event = {
        .time_ns = after(s, server, &connection->to_server_ns),
        .server = (int16_t)connection->server,
        .kind = EVENT_CLIENT,
        .incarnation = connection->incarnation,
        .run = run,
        .drop = drop,
        .subject = blob,
        .number = number,
    };
    events_add(&s->events, event);
}

static void accepted(struct simulation *s, struct event *event)
{
    struct connection *connection = find(s, (uint32_t)event->number);
    if (connection->is_closed)
        return;
    connection->is_accepted = true;
    service.accept(&s->servers[event->server], (uint32_t)event->number);
}

static void tell_opened(struct simulation *s, struct event *event)
{
    uint32_t number = (uint32_t)event->number;
    struct connection *connection = find(s, number);
    struct server *server = &s->servers[connection->server];
    if (connection->has_hung_up)
        return;
    if (!server->is_running || !server->is_started) {
        close_for_client(s, number, CLOSED_REFUSED);
        return;
    }
    /* The kernel answers for a process that is paused; the process itself accepts it later. */
    connection->is_opened = true;
    connection->incarnation = server->incarnation;
    struct output *output = say(s, FRAME_OPENED);
    put_u32(output, number);
    frame_end(output);
    to_server(s, number, accepted, NULL, NULL);
}

bool connection_open(struct simulation *s, uint32_t number, unsigned server)
{
    if (number != s->connections.count + 1 || number > CONNECTIONS_MAX)
        return false;
    if (!(s->connections.count & (s->connections.count + 1)))
        s->connections.all = host_resize(
            s->connections.all, 2 * (s->connections.count + 1) * sizeof *s->connections.all);
    struct connection *connection = &s->connections.all[s->connections.count++];
    *connection = (struct connection){.server = (uint8_t)server};
    uint64_t at_ns = after(s, &s->servers[server], &connection->to_server_ns);
    events_add(&s->events, (struct event){.time_ns = at_ns,
                                          .server = EVENT_NOWHERE,
                                          .kind = EVENT_CLIENT,
                                          .run = tell_opened,
                                          .number = number});
    return true;
}

static void free_bytes(struct simulation *s, struct event *event)
{
    (void)s;
    blob_free(event->subject);
}

static void bytes_arrive(struct simulation *s, struct event *event)
{
    struct blob *blob = event->subject;
    uint32_t number = (uint32_t)event->number;
    simulation_mix(s, digest_words(DIGEST_START, blob->data, blob->size));
    const struct connection *connection = find(s, number);
    if (connection->is_accepted && !connection->is_closed)
        service.receive(&s->servers[event->server], number, blob->data, blob->size);
    blob_free(blob);
}

bool connection_receive(struct simulation *s, uint32_t number, const void *data, size_t size)
{
    struct connection *connection = find(s, number);
    if (!connection || !connection->is_opened || connection->has_hung_up)
        return false;
    if (connection->is_closed)
        return true; /* The client has not heard of it yet. */
    to_server(s, number, bytes_arrive, free_bytes, blob_copy(data, size));
    return true;
}

static void hung_up(struct simulation *s, struct event *event)
{
    struct connection *connection = find(s, (uint32_t)event->number);
    if (!connection->is_accepted || connection->is_closed)
        return;
    connection->is_closed = true;
    service.hang_up(&s->servers[event->server], (uint32_t)event->number);
}

bool connection_hang_up(struct simulation *s, uint32_t number)
{
    struct connection *connection = find(s, number);
    if (!connection)
        return false;
    connection->has_hung_up = true;
    if (connection->is_opened && !connection->is_closed)
        to_server(s, number, hung_up, NULL, NULL);
    return true;
}

static void tell_received(struct simulation *s, struct event *event)
{
    struct blob *blob = event->subject;
    if (!find(s, (uint32_t)event->number)->has_hung_up) {
        struct output *output = say(s, FRAME_RECEIVED);
        put_u32(output, (uint32_t)event->number);
        put_blob(output, blob->data, blob->size);
        frame_end(output);
    }
    simulation_mix(s, digest_words(DIGEST_START, blob->data, blob->size));
    blob_free(blob);
}

void connection_send(struct server *server, uint32_t number, const void *bytes, size_t size)
{
    struct simulation *s = server->simulation;
    struct connection *connection = find(s, number);
    if (!connection || !connection->is_accepted || connection->is_closed || connection->has_hung_up)
        return;
    uint64_t at_ns = after(s, server, &connection->to_client_ns);
    events_add(&s->events, (struct event){.time_ns = at_ns,
                                          .server = EVENT_NOWHERE,
                                          .kind = EVENT_CLIENT,
                                          .run = tell_received,
                                          .drop = free_bytes,
                                          .subject = blob_copy(bytes, size),
                                          .number = number});
}

void connection_close(struct server *server, uint32_t number)
{
    struct connection *connection = find(server->simulation, number);
    if (connection && !connection->is_closed)
        close_for_client(server->simulation, number, CLOSED_BY_NODE);
}

void connections_reset(struct server *server)
{
    struct simulation *s = server->simulation;
    for (size_t i = 0; i < s->connections.count; i++) {
        struct connection *connection = &s->connections.all[i];
        if (connection->server == server->number && connection->incarnation == server->incarnation &&
            connection->is_opened && !connection->is_closed)
            close_for_client(s, (uint32_t)i + 1, CLOSED_RESET);
    }
}
