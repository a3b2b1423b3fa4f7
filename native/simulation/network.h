/*
 * Links between servers: latency, cuts, impairments, and what went over them.
 *
 * A message is one packet: lost, it is not sent again by the network. Messages of a link keep their
 * order unless an impairment reorders them.
 */
#ifndef DISSEVER_SIMULATION_NETWORK_H
#define DISSEVER_SIMULATION_NETWORK_H

#include "random.h"
#include "server.h"

#include <stdbool.h>
#include <stdint.h>

struct simulation;

/* In the order of the harness's `Impairment`, and of FRAME_IMPAIR. */
struct impairment {
    double loss, burst_packets, delay_ms, jitter_ms, duplicate, reorder, reorder_ms, corrupt;
    double rate_kb_s, queue_ms;
};

struct traffic {
    uint64_t sent, lost, duplicated, reordered, corrupted, delayed, cut;
};

struct link {
    bool is_cut, is_impaired, is_bursting;
    struct impairment impairment;
    struct traffic traffic;
    struct random random;
    uint64_t last_arrival_ns; /* what is sent later arrives later */
    uint64_t free_ns;         /* when a link with a rate has sent what waits */
};

struct network {
    struct link links[SERVERS_MAX][SERVERS_MAX];
};

enum { COPIES_MAX = 2 };

/* What becomes of a packet: how many copies arrive, when, and whether each is corrupt. */
struct fate {
    unsigned copies; /* 0: lost */
    const char *why; /* it was lost: "cut", "loss", "corrupt" */
    uint64_t arrival_ns[COPIES_MAX];
};

struct fate network_send(struct simulation *simulation, unsigned source, unsigned destination,
                         size_t size);

/* FRAME_PROBE: a datagram of ours, subject to all that messages are. */
void network_probe(struct simulation *simulation, unsigned source, unsigned destination);

/* FRAME_REACH: a datagram that cuts alone concern. It counts as a packet only if one drops it. */
void network_reach(struct simulation *simulation, unsigned source, unsigned destination);

struct link *network_link(struct simulation *simulation, unsigned source, unsigned destination);

#endif
