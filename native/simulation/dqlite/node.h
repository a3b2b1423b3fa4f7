/*
 * A node of dqlite in a server of the simulation: what `struct dqlite_node` of src/server.c holds,
 * without its threads and its event loop.
 *
 * Everything of dqlite's is its own code, as in the archive: gateway, connections, state machine,
 * VFS and SQLite. What stands in for libuv is transport.c.
 */
#ifndef DISSEVER_SIMULATION_DQLITE_NODE_H
#define DISSEVER_SIMULATION_DQLITE_NODE_H

#include <sqlite3.h>

#include "conn.h" /* of dqlite */
#include "config.h"
#include "registry.h"

#include "../server.h"
#include "pages.h"

struct link;

/* In the arena of its server. */
struct node {
    struct server *server;
    struct config config;
    struct sqlite3_vfs vfs;
    struct registry registry;
    queue connections; /* of struct conn */
    struct link *links; /* outside of the arena */
    struct pages pages; /* the same */
    int (*apply)(struct raft_fsm *fsm, const struct raft_buffer *buffer); /* of the state machine */
    int (*restore)(struct raft_fsm *fsm, struct raft_buffer *buffer);
};

/* Serve a client that has connected. False: there is no memory for it. */
bool link_open(struct node *node, uint32_t connection);

/* Bytes of the client; its end. Nothing happens if the node has closed the connection. */
void link_receive(struct node *node, uint32_t connection, const uint8_t *bytes, size_t size);
void link_end(struct node *node, uint32_t connection);

/* The process ended: free what is outside of its arena. */
void links_free(struct node *node);

/* Before any node: SQLite takes its memory from the arena of the server that runs, and draws from
 * the seed of the simulation. */
void sqlite_begin(void);

#endif
