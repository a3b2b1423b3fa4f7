/* See network.h. */
#include "network.h"

#include "simulation.h"

#include <string.h>

enum { STRAGGLER_FACTOR = 50, PROBE_BYTES = 1000 };

struct link *network_link(struct simulation *s, unsigned source, unsigned destination)
{
    return &s->network.links[source][destination];
}

/* Losses come in bursts of a mean length (Gilbert's model), with the same share of all packets. */
static bool is_lost(struct link *link)
{
    const struct impairment *impairment = &link->impairment;
    double burst = impairment->burst_packets > 1 ? impairment->burst_packets : 1;
    if (impairment->loss >= 1)
        return true;
    if (impairment->loss <= 0)
        return false;
    if (burst == 1)
        return random_chance(&link->random, impairment->loss);
    double begins = impairment->loss / (burst * (1 - impairment->loss));
    link->is_bursting = link->is_bursting ? !random_chance(&link->random, 1 / burst)
                                          : random_chance(&link->random, begins);
    return link->is_bursting;
}

static uint64_t ns_of_ms(double ms)
{
    return ms > 0 ? (uint64_t)(ms * 1e6) : 0;
}

/* When the last byte leaves a link with a rate; false: the queue is too long. */
static bool leaves(struct link *link, uint64_t now_ns, size_t size, uint64_t *at_ns)
{
    *at_ns = now_ns;
    if (link->impairment.rate_kb_s <= 0)
        return true;
    uint64_t begins_ns = link->free_ns > now_ns ? link->free_ns : now_ns;
    if (begins_ns - now_ns > ns_of_ms(link->impairment.queue_ms))
        return false;
    link->free_ns = begins_ns + (uint64_t)((double)size * 1e6 / link->impairment.rate_kb_s);
    *at_ns = link->free_ns;
    link->traffic.delayed++;
    return true;
}

static uint64_t latency_ns(const struct simulation *s, struct link *link)
{
    uint64_t ns = random_between(&link->random, s->options.latency_us_min * NS_PER_US,
                                 s->options.latency_us_max * NS_PER_US);
    if (random_chance(&link->random, s->options.straggler))
        ns *= random_between(&link->random, 2, STRAGGLER_FACTOR);
    return ns;
}

/* When a copy that leaves at `leaves_ns` arrives. */
static uint64_t arrival_ns(const struct simulation *s, struct link *link, uint64_t leaves_ns)
{
    uint64_t arrives_ns = leaves_ns + latency_ns(s, link);
    if (!link->is_impaired) {
        arrives_ns = arrives_ns > link->last_arrival_ns ? arrives_ns : link->last_arrival_ns;
        return link->last_arrival_ns = arrives_ns;
    }
    const struct impairment *impairment = &link->impairment;
    if (impairment->delay_ms > 0 || impairment->jitter_ms > 0) {
        uint64_t jitter_ns = ns_of_ms(impairment->jitter_ms), delay_ns = ns_of_ms(impairment->delay_ms);
        uint64_t low_ns = delay_ns > jitter_ns ? delay_ns - jitter_ns : 0;
        arrives_ns += random_between(&link->random, low_ns, delay_ns + jitter_ns);
        link->traffic.delayed += impairment->rate_kb_s <= 0; /* Otherwise it was counted there. */
    }
    if (random_chance(&link->random, impairment->reorder)) {
        link->traffic.reordered++;
        return arrives_ns + ns_of_ms(impairment->reorder_ms);
    }
    arrives_ns = arrives_ns > link->last_arrival_ns ? arrives_ns : link->last_arrival_ns;
    return link->last_arrival_ns = arrives_ns;
}

struct fate network_send(struct simulation *s, unsigned source, unsigned destination, size_t size)
{
    struct link *link = network_link(s, source, destination);
    link->traffic.sent++;
    if (link->is_cut) {
        link->traffic.cut++;
        return (struct fate){.why = "cut"};
    }
    uint64_t leaves_ns = s->now_ns;
    if (link->is_impaired && (is_lost(link) || !leaves(link, s->now_ns, size, &leaves_ns))) {
        link->traffic.lost++;
        return (struct fate){.why = "loss"};
    }
    struct fate fate = {.why = "corrupt"};
    unsigned copies = 1;
    if (link->is_impaired && random_chance(&link->random, link->impairment.duplicate)) {
        link->traffic.duplicated++;
        copies = 2;
    }
    for (unsigned i = 0; i < copies; i++) {
        uint64_t arrives_ns = arrival_ns(s, link, leaves_ns);
        if (link->is_impaired && random_chance(&link->random, link->impairment.corrupt))
            link->traffic.corrupted++;
        else
            fate.arrival_ns[fate.copies++] = arrives_ns;
    }
    return fate;
}

static void probe_arrives(struct simulation *s, struct event *event)
{
    unsigned source = (unsigned)(event->number >> 56), destination = event->number >> 48 & 0xff;
    struct link *link = network_link(s, source, destination);
    if (link->is_cut) {
        link->traffic.cut++;
        return;
    }
    struct output *output = say(s, FRAME_ARRIVED);
    put_u8(output, source);
    put_u8(output, destination);
    put_u64(output, event->number & 0xffffffffffffu);
    frame_end(output);
}

static void add_probe(struct simulation *s, unsigned source, unsigned destination,
                      uint64_t arrives_ns)
{
    uint64_t number = (uint64_t)source << 56 | (uint64_t)destination << 48 | s->now_ns;
    events_add(&s->events, (struct event){.time_ns = arrives_ns,
                                          .server = EVENT_NOWHERE,
                                          .kind = EVENT_PROBE,
                                          .run = probe_arrives,
                                          .number = number});
}

void network_probe(struct simulation *s, unsigned source, unsigned destination)
{
    struct fate fate = network_send(s, source, destination, PROBE_BYTES);
    for (unsigned i = 0; i < fate.copies; i++)
        add_probe(s, source, destination, fate.arrival_ns[i]);
}

void network_reach(struct simulation *s, unsigned source, unsigned destination)
{
    struct link *link = network_link(s, source, destination);
    if (link->is_cut)
        link->traffic.cut++;
    else
        add_probe(s, source, destination, s->now_ns + latency_ns(s, link));
}
