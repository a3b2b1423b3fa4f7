/* Options of a run, as FRAME_BEGIN names them. Times as deployed by dqlite unless one says otherwise. */
#ifndef DISSEVER_SIMULATION_OPTIONS_H
#define DISSEVER_SIMULATION_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SERVERS_MAX = 9, ADDRESS_MAX = 32 };

/* Ways to break a server on purpose (`break=`), so that each invariant is seen to fail. */
enum mutant {
    MUTANT_NONE,
    MUTANT_LOSE_ACKNOWLEDGED, /* the disk says that entries are stored, and forgets them in a crash */
    MUTANT_FORGET_VOTE,       /* the vote is not stored */
    MUTANT_FORGET_TERM,       /* the term is not stored */
    MUTANT_ALTER_ENTRY,       /* an entry is altered on its way to a follower */
    MUTANT_ALTER_SNAPSHOT,    /* a snapshot is altered on its way to a follower */
    MUTANT_ANY_VOTE,          /* every answer to a request for a vote grants it */
    MUTANT_COMMIT_BACK,       /* the commit index that is looked at goes back once */
    MUTANT_FREE_TWICE,        /* a server frees memory twice */
    MUTANT_SEND_TO_NOBODY,    /* a message is addressed to no server */
    MUTANT_CRASH,             /* the service crashes as it applies an element of the set */
};

struct options {
    uint32_t election_ms, heartbeat_ms;
    uint32_t install_snapshot_ms; /* 0: the library's own */
    uint32_t snapshot_threshold, snapshot_trailing;
    bool pre_vote;
    uint32_t fsm_version; /* 1 to 3: snapshots in the loop, finalized, or as asynchronous work */
    uint64_t latency_us_min, latency_us_max; /* of a message, one way */
    double straggler; /* share of messages that take up to 50 times as long */
    uint64_t client_us_min, client_us_max; /* between a client and a node, one way */
    uint64_t disk_us_min, disk_us_max; /* of a write with its sync */
    uint64_t work_us_min, work_us_max; /* of work beside the loop, such as that of a snapshot */
    bool batch; /* what waits is written together, as raft_uv does */
    bool bootstrap_all; /* all servers are voters at first; otherwise the first one alone */
    bool trace; /* say FRAME_TRACE */
    uint32_t log; /* 1: the library's own trace goes to stderr */
    enum mutant mutant;
    char addresses[SERVERS_MAX][ADDRESS_MAX]; /* `address.1`, …; their numbers, unless one says so */
};

struct options options_default(void);

/* NULL, or why it is no such option or value (static text). */
const char *options_set(struct options *options, const char *name, const char *value);

#endif
