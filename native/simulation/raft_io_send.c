/* See raft_io.h: a message on its way, from `raft_io.send` to `recv_cb` of another server. */
#include "raft_io.h"

#include "messages.h"
#include "simulation.h"

enum {
    SENT_US_MIN = 20, /* until a message is in the kernel's hands */
    SENT_US_MAX = 300,
    UNSENT_MS_MAX = 400, /* until a broken connection is noticed */
};

static void lost(struct simulation *s, struct event *event)
{
    struct message *message = event->subject;
    const struct server *server = &s->servers[message->destination];
    trace_lost(s, message->trace_id, server->is_running ? "late" : "down");
    message_free(message);
}

static void arrives(struct simulation *s, struct event *event)
{
    struct message *message = event->subject;
    struct server *server = &s->servers[event->server];
    struct link *link = network_link(s, message->source, message->destination);
    if (link->is_cut) {
        link->traffic.cut++;
        trace_lost(s, message->trace_id, "cut");
    } else if (!server->is_started || server->is_closing) {
        trace_lost(s, message->trace_id, "down");
    } else {
        simulation_mix(s, message_digest(message));
        trace_receive(s, message->trace_id);
        if (!message_deliver(server, message))
            trace_note(s, server, "there is no memory to receive a message");
    }
    message_free(message);
}

static void sent(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    struct raft_io_send *request = event->subject;
    server->pending--;
    if (request->cb) /* Some messages are sent without one. */
        request->cb(request, server->is_closing ? RAFT_CANCELED : (int)event->number);
}

static void post(struct simulation *s, struct message *message, const struct fate *fate)
{
    const struct server *to = &s->servers[message->destination];
    for (unsigned i = 0; i < fate->copies; i++) {
        message->references++;
        events_add(&s->events, (struct event){
                                   .time_ns = fate->arrival_ns[i],
                                   .server = (int16_t)message->destination,
                                   .kind = EVENT_DELIVERY,
                                   .incarnation = to->incarnation,
                                   .run = arrives,
                                   .drop = lost,
                                   .subject = message,
                               });
    }
    if (!fate->copies)
        trace_lost(s, message->trace_id, fate->why);
}

int io_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *raft,
                   raft_io_send_cb call)
{
    struct server *server = io->impl;
    struct simulation *s = server->simulation;
    uint64_t id = raft->server_id;
    if (s->options.mutant == MUTANT_SEND_TO_NOBODY)
        id += RAFT_IDS_MAX;
    if (server->is_closing)
        return RAFT_CANCELED;
    const struct server *to = server_of_id(s, id);
    if (!to) {
        invariant_broken(server, SEND_TO_NOBODY, "sends %s to a server with id %llu, which none ever had",
                         message_name(raft), (unsigned long long)id);
        return RAFT_NOCONNECTION;
    }
    unsigned destination = to->number;
    struct message *message = message_copy(server, destination, raft);
    if (!message)
        return RAFT_INVALID;
    s->messages++;
    request->cb = call;
    server->pending++;
    message->trace_id = trace_send(s, server->number, destination, raft);
    uint64_t ns = random_between(&server->random, SENT_US_MIN * NS_PER_US, SENT_US_MAX * NS_PER_US);
    bool is_broken = !s->servers[destination].is_running ||
                     network_link(s, server->number, destination)->is_cut;
    if (is_broken)
        ns += random_between(&server->random, 0, UNSENT_MS_MAX * NS_PER_MS);
    schedule(server, ns, EVENT_SENT, sent, NULL, request, is_broken ? RAFT_NOCONNECTION : 0);
    struct fate fate = network_send(s, server->number, destination, message_size(message));
    post(s, message, &fate);
    message_free(message);
    return 0;
}
