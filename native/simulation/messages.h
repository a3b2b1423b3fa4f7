/* Messages of raft on their way: deep copies, outside of any server's memory. */
#ifndef DISSEVER_SIMULATION_MESSAGES_H
#define DISSEVER_SIMULATION_MESSAGES_H

#include "server.h"

struct message {
    uint32_t references; /* copies on the way, and whoever sends it */
    unsigned source, destination;
    uint64_t source_id; /* the raft id that its source had */
    uint64_t trace_id;
    struct raft_message raft; /* its pointers are not used */
    struct entry *entries;
    size_t count;
    struct snapshot *snapshot;
};

/* A copy of what a server sends; NULL if its kind is not known. One reference. */
struct message *message_copy(const struct server *source, unsigned destination,
                             const struct raft_message *raft);
void message_free(struct message *message);

/* How many bytes it takes on a link. */
size_t message_size(const struct message *message);

/* Give it to a server that runs, in memory of its own. False: it has no memory for that. */
bool message_deliver(struct server *server, const struct message *message);

/* For the hash of the run. */
uint64_t message_digest(const struct message *message);

/* Between the library's entries and configurations and ours. The former allocate from the arena of
 * the server that runs, and return 0 or RAFT_NOMEM; the latter copy. */
int entries_to_raft(const struct entry *entries, size_t count, struct raft_entry **raft);
struct entry *entries_from_raft(const struct raft_entry *raft, size_t count);
int configuration_to_raft(struct simulation *simulation, const struct blob *blob,
                          struct raft_configuration *raft);
struct blob *configuration_from_raft(const struct raft_configuration *raft);

#endif
