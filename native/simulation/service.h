/*
 * What serves clients on a server: the seam between the servers of raft and what runs on them.
 *
 * There is one service a simulator (machine.c: registers and a set; dqlite's gateway in files of its
 * own). It runs only in calls of this table and of events that it asked for, never after its
 * process has ended: a crash drops its arena and its events, and `crash` is told to drop the rest.
 */
#ifndef DISSEVER_SIMULATION_SERVICE_H
#define DISSEVER_SIMULATION_SERVICE_H

#include "server.h"

struct service {
    const char *name;

    /* Its process ends with status 1 when raft has become unavailable, as an application does that
     * looks at the state. Otherwise it stays, and raft does nothing any more. */
    bool ends_unavailable;

    /* Before raft_init: set `server->state` (memory of the arena) and fill `server->fsm`. The
     * server wraps apply, snapshot and restore to look at what goes through. 0, or a code of raft
     * with which the process ends. */
    int (*boot)(struct server *server);

    /* After raft_init, with its times set, before it is bootstrapped and started. May be NULL. */
    int (*ready)(struct server *server);

    /* A client has connected; its bytes, in order; it has closed. The service may answer by
     * connection_send and connection_close, now or later, as long as it knows the number. */
    void (*accept)(struct server *server, uint32_t connection);
    void (*receive)(struct server *server, uint32_t connection, const uint8_t *bytes, size_t size);
    void (*hang_up)(struct server *server, uint32_t connection);

    /* The server was asked to end (as by SIGTERM): close what is open, and call server_close. */
    void (*stop)(struct server *server);

    /* The process ended, however: free what is outside of the arena, whose memory is still there
     * and goes after this call. `running` is nobody. May be NULL. */
    void (*crash)(struct server *server);

    /* A number for all that has been applied, the same for the same state; 0: not known. It is
     * compared at each applied index, and after a snapshot is restored. May be NULL. */
    uint64_t (*digest)(struct server *server);

    /* An entry's command in words for the trace, at most `size` bytes. May be NULL. */
    void (*describe)(const uint8_t *bytes, size_t count, char *text, size_t size);
};

/* The service of this build. */
extern const struct service service;

#endif
