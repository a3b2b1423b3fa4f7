/* The library's `struct raft_io` over a server's disk, clock and links. */
#ifndef DISSEVER_SIMULATION_RAFT_IO_H
#define DISSEVER_SIMULATION_RAFT_IO_H

#include "server.h"

/* Fill in the table for a server. */
void io_fill(struct server *server, struct raft_io *io);

/* A write ended: call what the library wants called. */
void io_written(struct server *server, const struct write *write, int status);

/* One function of the table, in a file of its own. */
int io_send(struct raft_io *io, struct raft_io_send *request, const struct raft_message *message,
            raft_io_send_cb call);

#endif
