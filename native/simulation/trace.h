/* Lines of simulation.jsonl, said as FRAME_TRACE if the option `trace` asks for them. */
#ifndef DISSEVER_SIMULATION_TRACE_H
#define DISSEVER_SIMULATION_TRACE_H

#include "server.h"

struct simulation;

/* What was last said of each server. */
struct seen {
    bool is_known;
    unsigned role;
    uint64_t term, vote, leader, first, last, stored, commit, applied, snapshot;
};

struct trace {
    bool is_on;
    uint64_t lines, messages;
    struct seen seen[SERVERS_MAX];
};

/* A message with its number; the term of those that have none is 0. */
uint64_t trace_send(struct simulation *simulation, unsigned source, unsigned destination,
                    const struct raft_message *message);
void trace_receive(struct simulation *simulation, uint64_t id);
void trace_lost(struct simulation *simulation, uint64_t id, const char *why);

/* If anything of the server changed. */
void trace_server(struct server *server);
void trace_synced(struct server *server, uint64_t to);
void trace_unsynced(struct server *server, uint64_t lost, uint64_t kept, const char *why);
void trace_snapshot(struct server *server, uint64_t index, const char *how);
void trace_note(struct simulation *simulation, const struct server *server, const char *text);

/* Text that needs no escapes in JSON: what would is a question mark. Cut to `size`. */
void trace_plain(char *to, size_t size, const char *text);

/* A message's kind in words, and what it hashes to. */
const char *message_name(const struct raft_message *message);
uint64_t message_term(const struct raft_message *message);

#endif
