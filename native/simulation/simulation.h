/*
 * All there is: virtual time, servers, links, clients, and what has been said of them.
 *
 * One thread, one run a process. Everything happens in events, in order of their times, so that a
 * run is a function of its options, its seed and the harness's frames.
 */
#ifndef DISSEVER_SIMULATION_SIMULATION_H
#define DISSEVER_SIMULATION_SIMULATION_H

#include "connections.h"
#include "digest.h"
#include "events.h"
#include "invariants.h"
#include "network.h"
#include "options.h"
#include "output.h"
#include "server.h"
#include "trace.h"

#define NS_PER_US ((uint64_t)1000)
#define NS_PER_MS ((uint64_t)1000000)
#define NS_PER_S ((uint64_t)1000000000)

enum { RAFT_IDS_MAX = 255 };

struct simulation {
    uint64_t now_ns, seed;
    struct options options;
    struct events events;
    struct server servers[SERVERS_MAX];
    unsigned count;
    uint8_t server_of_id[RAFT_IDS_MAX + 1]; /* by raft id: its number */
    uint64_t last_raft_id;
    struct server *running; /* whose code runs; NULL: none */
    struct network network;
    struct connections connections;
    struct invariants invariants;
    struct trace trace;
    struct output output;
    bool has_spoken; /* something was said that FRAME_ADVANCE stops for */
    uint64_t hash;   /* of all that happened */
    uint64_t events_run, messages, crashes, faults_of_disks, snapshots_taken, snapshots_installed;
};

/* Of this process. */
extern struct simulation simulation;

/* With options in place: make the servers, none of which runs. NULL, or why not. */
const char *simulation_begin(struct simulation *simulation, uint64_t seed, unsigned count);

/* Draw from another seed from now on. */
void simulation_reseed(struct simulation *simulation, uint64_t seed);

/* Run events until `until_ns`, or to the end of the first moment at which something was said. */
void simulation_advance(struct simulation *simulation, uint64_t until_ns);

/* Is nothing left to happen? */
bool simulation_is_idle(const struct simulation *simulation);

/* A frame about now that ends FRAME_ADVANCE: frame_begin with its time, and has_spoken. */
struct output *say(struct simulation *simulation, enum frame_kind kind);

/* Mix a number into the hash of the run. */
void simulation_mix(struct simulation *simulation, uint64_t value);

/* Schedule on a server (of its present incarnation), in `delay_ns` of real time. */
void schedule(struct server *server, uint64_t delay_ns, enum event_kind kind, event_call *run,
              event_call *drop, void *subject, uint64_t number);

#endif
