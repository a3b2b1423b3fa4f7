/*
 * Streams of random numbers (splitmix64), one for each purpose and place.
 *
 * A stream is a function of seed, purpose and place alone: what one part of a run draws never moves
 * what another one draws.
 */
#ifndef DISSEVER_SIMULATION_RANDOM_H
#define DISSEVER_SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

enum random_purpose {
    RANDOM_LINK = 1,   /* latency and impairments of a link */
    RANDOM_DISK,       /* durations of a disk, and what a crash leaves of it */
    RANDOM_RAFT,       /* `raft_io.random` of a server, and the phase of its ticks */
    RANDOM_CLIENT,     /* latency between clients and a server */
    RANDOM_SYSTEM,     /* getrandom(2) of a server, and other generators of its process */
};

struct random {
    uint64_t state;
};

/* `place`: a server, or source * 256 + destination of a link. */
struct random random_stream(uint64_t seed, enum random_purpose purpose, uint64_t place);

uint64_t random_next(struct random *random);

/* From `low` to `high`, both included; `low` if there is nothing between them. */
uint64_t random_between(struct random *random, uint64_t low, uint64_t high);

/* True with that probability. Always draws. */
bool random_chance(struct random *random, double probability);

#endif
