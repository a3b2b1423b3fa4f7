/*
 * What must hold at each moment, looked at after each event (Ongaro's thesis, figure 3.2, and what
 * the library promises of its own state). A violation is said once per name and server.
 */
#ifndef DISSEVER_SIMULATION_INVARIANTS_H
#define DISSEVER_SIMULATION_INVARIANTS_H

#include "disk.h"
#include "server.h"

struct simulation;

/* What is known of an index, from all servers. */
struct committed {
    uint64_t term;    /* of the entry that was committed there; 0: none was yet */
    uint64_t in_term; /* of the server that committed it first: the term in which it was committed */
    uint64_t digest;  /* of the command that was applied there */
    uint64_t state;   /* of the service's digest after it; 0: not known */
    bool is_applied, has_state;
};

/* Which entries were ever stored: an open hash table by index and term. */
struct stored {
    uint64_t index, term, digest, previous_term; /* previous_term: 0 is not known */
};

struct leader_of_term {
    uint64_t term;
    unsigned server;
};

struct invariants {
    struct committed *committed; /* by index */
    size_t committed_capacity;
    uint64_t max_commit;
    struct stored *stored;
    size_t stored_count, stored_capacity;
    struct leader_of_term *leaders;
    size_t leader_count, leader_capacity;
    uint64_t elections, violations;
    uint64_t said[SERVERS_MAX]; /* bits of names */
    bool has_wiped[SERVERS_MAX]; /* a disk was lost: it no longer counts for durability */
};

enum invariant {
    ELECTION_SAFETY,
    LEADER_COMPLETENESS,
    LOG_MATCHING,
    STATE_MACHINE_SAFETY,
    DURABILITY,
    COMMIT_GOES_BACK,
    TERM_NOT_STORED,
    VOTE_NOT_STORED,
    STORED_INDEX,
    SNAPSHOT_DIFFERS,
    MEMORY_SAFETY,
    SEND_TO_NOBODY,
    INVARIANTS
};

/* After an event of that server. */
void invariants_look(struct server *server);

/* It applies a command at an index; after that, the service's state has a digest. */
void invariants_applies(struct server *server, uint64_t index, const uint8_t *bytes, size_t size);
void invariants_applied(struct server *server, uint64_t index, uint64_t digest);

/* It restored a snapshot of that index. */
void invariants_restored(struct server *server, uint64_t index, uint64_t digest);

/* Entries became durable on it, at `index` and after. */
void invariants_stored(struct server *server, uint64_t index, const struct entry *entries,
                       size_t count);

/* Say a violation; the second: with what all logs hold at that index. */
void invariant_broken(struct server *server, enum invariant invariant, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void invariant_broken_at(struct server *server, enum invariant invariant, uint64_t index,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
