/* Changes of members and transfers of leadership that the harness asks of a server. */
#include "server.h"

#include "simulation.h"

#include <string.h>

enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_ASSIGN, CHANGE_TRANSFER };

/* In the arena, and never freed: the library may still hold on to its own part (a transfer embeds
 * the request of its own message). */
struct asked {
    union {
        struct raft_change change;
        struct raft_transfer transfer;
    };
    struct server *server;
    uint32_t number;
    uint64_t member; /* raft id */
};

static void answer(struct server *server, uint32_t change, uint32_t status, const char *why)
{
    for (size_t i = 0; i < server->change_count; i++)
        if (server->changes[i] == change) {
            memmove(&server->changes[i], &server->changes[i + 1],
                    (--server->change_count - i) * sizeof *server->changes);
            break;
        }
    struct output *output = say(server->simulation, FRAME_CHANGED);
    put_u32(output, change);
    put_u32(output, status);
    put_text(output, why);
    frame_end(output);
}

static void changed(struct raft_change *request, int status)
{
    const struct asked *asked = request->data;
    answer(asked->server, asked->number, (uint32_t)status, status ? raft_strerror(status) : "");
}

static void transferred(struct raft_transfer *request)
{
    const struct asked *asked = request->data;
    uint64_t leader = server_leader(asked->server);
    if (leader == asked->member)
        answer(asked->server, asked->number, 0, "");
    else
        answer(asked->server, asked->number, RAFT_CANCELED, "another server leads, or none");
}

static int begin(struct asked *asked, struct raft *raft, enum change_kind kind, unsigned role)
{
    struct simulation *s = asked->server->simulation;
    const char *address = server_address(s, server_of_id(s, asked->member)->number);
    switch (kind) {
    case CHANGE_ADD:
        return raft_add(raft, &asked->change, asked->member, address, changed);
    case CHANGE_REMOVE:
        return raft_remove(raft, &asked->change, asked->member, changed);
    case CHANGE_ASSIGN:
        return raft_assign(raft, &asked->change, asked->member, (int)role, changed);
    case CHANGE_TRANSFER:
        return raft_transfer(raft, &asked->transfer, asked->member, transferred);
    }
    return RAFT_INVALID;
}

struct wanted {
    uint32_t change;
    unsigned what, member, role;
};

/* By which id the leader knows a member: one that was wiped may still be there under an older one. */
static uint64_t member_id(struct server *leader, unsigned number)
{
    const struct raft_configuration *configuration = &leader->process->raft.configuration;
    for (unsigned i = 0; i < configuration->n; i++) {
        const struct server *server = server_of_id(leader->simulation, configuration->servers[i].id);
        if (server && server->number == number)
            return configuration->servers[i].id;
    }
    return leader->simulation->servers[number].raft_id;
}

static void change_arrives(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    struct blob *blob = event->subject;
    struct wanted wanted;
    memcpy(&wanted, blob->data, sizeof wanted);
    blob_free(blob);
    struct asked *asked = NULL;
    int status = RAFT_NOTLEADER;
    if (server_leads(server) && !server->is_closing) {
        asked = server_allocate(server, sizeof *asked);
        status = RAFT_NOMEM;
    }
    if (asked) {
        memset(asked, 0, sizeof *asked);
        asked->server = server;
        asked->number = wanted.change;
        asked->member = member_id(server, wanted.member);
        if (wanted.what == CHANGE_TRANSFER)
            asked->transfer.data = asked;
        else
            asked->change.data = asked;
        status = begin(asked, &server->process->raft, (enum change_kind)wanted.what, wanted.role);
    }
    if (status)
        answer(server, wanted.change, (uint32_t)status, raft_strerror(status));
}

static void change_lost(struct simulation *s, struct event *event)
{
    (void)s; /* The end of the process has answered it. */
    blob_free(event->subject);
}

void server_change(struct server *server, uint32_t change, unsigned what, unsigned member, unsigned role)
{
    struct wanted wanted = {change, what, member, role};
    if (!server->is_running || server->change_count == CHANGES_MAX) {
        answer(server, change, UINT32_MAX, server->is_running ? "too many are being made"
                                                              : "the process does not run");
        return;
    }
    server->changes[server->change_count++] = change;
    schedule(server, 0, EVENT_CHANGED, change_arrives, change_lost, blob_copy(&wanted, sizeof wanted), 0);
}
