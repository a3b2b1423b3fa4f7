/* See messages.h. */
#include "messages.h"

#include "addresses.h"
#include "simulation.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 64, ENTRY_HEADER_BYTES = 16, ALIGNMENT = 8 };

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* --- Entries and configurations --- */

int entries_to_raft(const struct entry *entries, size_t count, struct raft_entry **raft)
{
    *raft = NULL;
    if (!count)
        return 0;
    size_t total = ALIGNMENT;
    for (size_t i = 0; i < count; i++)
        total += aligned(entries[i].data->size);
    struct raft_entry *made = raft_calloc(count, sizeof *made);
    if (!made)
        return RAFT_NOMEM;
    uint8_t *batch = raft_malloc(total);
    if (!batch) {
        raft_free(made);
        return RAFT_NOMEM;
    }
    uint8_t *at = batch;
    for (size_t i = 0; i < count; i++) {
        made[i].term = entries[i].term;
        made[i].type = entries[i].type;
        made[i].buf = (struct raft_buffer){.base = at, .len = entries[i].data->size};
        made[i].batch = batch;
        memcpy(at, entries[i].data->data, entries[i].data->size);
        at += aligned(entries[i].data->size);
    }
    *raft = made;
    return 0;
}

struct entry *entries_from_raft(const struct raft_entry *raft, size_t count)
{
    struct entry *entries = host_allocate(count * sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        uint8_t type = (uint8_t)raft[i].type;
        uint64_t digest = digest_bytes(DIGEST_START, &type, 1);
        entries[i] = (struct entry){
            .term = raft[i].term,
            .type = type,
            .digest = digest_words(digest, raft[i].buf.base, raft[i].buf.len),
            .data = blob_copy(raft[i].buf.base, raft[i].buf.len),
        };
    }
    return entries;
}

int configuration_to_raft(struct simulation *s, const struct blob *blob,
                          struct raft_configuration *raft)
{
    raft_configuration_init(raft);
    for (uint32_t i = 0; i + 1 < blob->size; i += 2) {
        const struct server *server = server_of_id(s, blob->data[i]);
        int status = server ? raft_configuration_add(raft, blob->data[i],
                                                     server_address(s, server->number),
                                                     blob->data[i + 1])
                            : RAFT_BADID;
        if (status) {
            raft_configuration_close(raft);
            return status;
        }
    }
    return 0;
}

struct blob *configuration_from_raft(const struct raft_configuration *raft)
{
    uint8_t pairs[2 * 256];
    unsigned count = raft->n < 256 ? raft->n : 256;
    for (unsigned i = 0; i < count; i++) {
        pairs[2 * i] = (uint8_t)raft->servers[i].id;
        pairs[2 * i + 1] = (uint8_t)raft->servers[i].role;
    }
    return blob_copy(pairs, 2 * count);
}

/* --- Messages --- */

struct message *message_copy(const struct server *source, unsigned destination,
                             const struct raft_message *raft)
{
    if (raft->type < RAFT_IO_APPEND_ENTRIES || raft->type > RAFT_IO_TIMEOUT_NOW)
        return NULL;
    struct message *message = host_allocate(sizeof *message);
    *message = (struct message){
        .references = 1,
        .source = source->number,
        .source_id = source->raft_id,
        .destination = destination,
        .raft = *raft,
    };
    if (raft->type == RAFT_IO_APPEND_ENTRIES) {
        message->count = raft->append_entries.n_entries;
        message->entries = entries_from_raft(raft->append_entries.entries, message->count);
    } else if (raft->type == RAFT_IO_INSTALL_SNAPSHOT) {
        const struct raft_install_snapshot *install = &raft->install_snapshot;
        message->snapshot = host_allocate(sizeof *message->snapshot);
        *message->snapshot = (struct snapshot){
            .references = 1,
            .configuration = configuration_from_raft(&install->conf),
            .data = blob_copy(install->data.base, install->data.len),
        };
    }
    return message;
}

void message_free(struct message *message)
{
    if (--message->references)
        return;
    entries_free(message->entries, message->count);
    snapshot_free(message->snapshot);
    free(message);
}

size_t message_size(const struct message *message)
{
    size_t size = HEADER_BYTES;
    for (size_t i = 0; i < message->count; i++)
        size += ENTRY_HEADER_BYTES + message->entries[i].data->size;
    return size + (message->snapshot ? message->snapshot->data->size : 0);
}

/* Memory for a snapshot's bytes; altered on purpose if a mutant says so. */
static int copy_snapshot(struct server *server, const struct message *message,
                         struct raft_install_snapshot *install)
{
    const struct blob *data = message->snapshot->data;
    int status = configuration_to_raft(server->simulation, message->snapshot->configuration,
                                       &install->conf);
    if (status)
        return status;
    install->data.len = data->size;
    install->data.base = raft_malloc(data->size ? data->size : 1);
    if (!install->data.base) {
        raft_configuration_close(&install->conf);
        return RAFT_NOMEM;
    }
    memcpy(install->data.base, data->data, data->size);
    if (server->simulation->options.mutant == MUTANT_ALTER_SNAPSHOT && data->size)
        *(uint8_t *)install->data.base ^= 1;
    return 0;
}

bool message_deliver(struct server *server, const struct message *message)
{
    struct raft_message raft = message->raft;
    enum mutant mutant = server->simulation->options.mutant;
    int status = 0;
    raft.server_id = message->source_id;
    raft.server_address = server_address(server->simulation, message->source);
    if (raft.type == RAFT_IO_APPEND_ENTRIES) {
        status = entries_to_raft(message->entries, message->count, &raft.append_entries.entries);
        if (!status && message->count && mutant == MUTANT_ALTER_ENTRY &&
            message->entries[0].type == RAFT_COMMAND && message->entries[0].data->size)
            ((uint8_t *)raft.append_entries.entries[0].buf.base)[message->entries[0].data->size - 1] ^= 1;
    } else if (raft.type == RAFT_IO_INSTALL_SNAPSHOT) {
        status = copy_snapshot(server, message, &raft.install_snapshot);
    } else if (raft.type == RAFT_IO_REQUEST_VOTE_RESULT && mutant == MUTANT_ANY_VOTE) {
        raft.request_vote_result.vote_granted = true;
    }
    if (status)
        return false;
    stack_fill();
    server->receive(&server->process->io, &raft);
    return true;
}

static uint64_t mixed(uint64_t digest, uint64_t value)
{
    return digest_bytes(digest, &value, sizeof value);
}

uint64_t message_digest(const struct message *message)
{
    const struct raft_message *raft = &message->raft;
    uint64_t digest = mixed(DIGEST_START, raft->type);
    digest = mixed(digest, message->source << 8 | message->destination);
    digest = mixed(digest, message_term(raft));
    if (raft->type == RAFT_IO_APPEND_ENTRIES) {
        digest = mixed(digest, raft->append_entries.prev_log_index);
        digest = mixed(digest, raft->append_entries.prev_log_term);
        digest = mixed(digest, raft->append_entries.leader_commit);
        for (size_t i = 0; i < message->count; i++)
            digest = mixed(mixed(digest, message->entries[i].term), message->entries[i].digest);
    } else if (raft->type == RAFT_IO_APPEND_ENTRIES_RESULT) {
        digest = mixed(digest, raft->append_entries_result.rejected);
        digest = mixed(digest, raft->append_entries_result.last_log_index);
    } else if (raft->type == RAFT_IO_INSTALL_SNAPSHOT) {
        digest = mixed(digest, raft->install_snapshot.last_index);
        digest = digest_words(digest, message->snapshot->data->data, message->snapshot->data->size);
    }
    return digest;
}
