/* dqlite on a server: what src/server.c does around raft, and what the simulation asks of it. */
#include "node.h"

#include <stdio.h>
#include <string.h>

#include "../connections.h"
#include "../service.h"
#include "../simulation.h"
#include "fsm.h" /* of dqlite */
#include "vfs.h"

enum { CATCH_UP_ROUNDS = 100, CATCH_UP_ROUND_MS = 50 * 1000, PAGES_TOLD = 8 };

/* As `state_cb` of src/server.c: raft's state has changed. */
static void state_changed(struct raft *raft, unsigned short before, unsigned short after)
{
    struct node *node = raft->data;
    queue *head;
    if (before == RAFT_LEADER && after != RAFT_LEADER) {
        QUEUE_FOREACH(head, &node->connections)
        {
            conn__on_leadership_lost(QUEUE_DATA(head, struct conn, queue));
        }
    } else if (before != RAFT_LEADER && after == RAFT_LEADER) {
        QUEUE_FOREACH(head, &node->registry.dbs)
        {
            QUEUE_DATA(head, struct db, queue)->read_index = 0;
        }
    }
}

/* Its state machine's, while the pages are followed. */

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buffer)
{
    struct node *node = simulation.running->state;
    int rv = node->apply(fsm, buffer);
    if (rv == 0) {
        pages_apply(&node->pages, buffer->base, buffer->len);
    }
    return rv;
}

static int restore(struct raft_fsm *fsm, struct raft_buffer *buffer)
{
    struct node *node = simulation.running->state;
    pages_restore(&node->pages, buffer->base, buffer->len); /* Before the buffer is freed. */
    return node->restore(fsm, buffer);
}

static uint64_t digest(struct server *server)
{
    struct node *node = server->state;
    return pages_digest(&node->pages);
}

/* As `dqlite__init` of src/server.c. */
static int boot(struct server *server)
{
    static bool has_begun;
    if (!has_begun) {
        has_begun = true;
        sqlite_begin();
    }
    struct node *node = server_allocate(server, sizeof *node);
    if (node == NULL) {
        return RAFT_NOMEM;
    }
    memset(node, 0, sizeof *node);
    node->server = server;
    server->state = node;
    queue_init(&node->connections);
    const char *address = server_address(server->simulation, server->number);
    int rv = config__init(&node->config, server->raft_id, address, NULL);
    if (rv != 0) {
        return rv;
    }
    rv = VfsInit(&node->vfs, &node->config.vfs);
    if (rv != 0) {
        return rv;
    }
    sqlite3_vfs_register(&node->vfs, 0);
    registry__init(&node->registry, &node->config);
    rv = fsm__init(&server->fsm, &node->config, &node->registry);
    node->apply = server->fsm.apply;
    node->restore = server->fsm.restore;
    server->fsm.apply = apply;
    server->fsm.restore = restore;
    return rv;
}

static int ready(struct server *server)
{
    struct raft *raft = &server->process->raft;
    raft->data = server->state;
    raft_set_max_catch_up_rounds(raft, CATCH_UP_ROUNDS);
    raft_set_max_catch_up_round_duration(raft, CATCH_UP_ROUND_MS);
    raft_set_snapshot_trailing_strategy(raft, RAFT_TRAILING_STRATEGY_STATIC);
    raft_register_state_cb(raft, state_changed);
    return 0;
}

static void accept_client(struct server *server, uint32_t connection)
{
    if (server->is_stopping || !link_open(server->state, connection)) {
        connection_close(server, connection);
    }
}

static void receive(struct server *server, uint32_t connection, const uint8_t *bytes, size_t size)
{
    link_receive(server->state, connection, bytes, size);
}

static void hang_up(struct server *server, uint32_t connection)
{
    link_end(server->state, connection);
}

/* As `stopCb` of src/server.c. */
static void stop(struct server *server)
{
    struct node *node = server->state;
    queue *head;
    QUEUE_FOREACH(head, &node->connections)
    {
        conn__stop(QUEUE_DATA(head, struct conn, queue));
    }
    server_close(server);
}

static void crash(struct server *server)
{
    struct node *node = server->state;
    if (node != NULL) {
        links_free(node);
        pages_free(&node->pages);
        sqlite3_vfs_unregister(&node->vfs);
    }
}

/* Which pages an entry changes. */
static void describe(const uint8_t *bytes, size_t count, char *text, size_t size)
{
    struct frames_read frames;
    if (!frames_read(&frames, bytes, count)) {
        snprintf(text, size, "a command of %zu bytes", count);
        return;
    }
    int used = snprintf(text, size, "%s: pages", frames.database);
    for (uint64_t i = 0; i < frames.count && used >= 0 && (size_t)used < size; i++) {
        if (i == PAGES_TOLD) {
            snprintf(text + used, size - (size_t)used, " and %llu more",
                     (unsigned long long)(frames.count - i));
            return;
        }
        used += snprintf(text + used, size - (size_t)used, " %llu",
                         (unsigned long long)frames_page(&frames, i));
    }
}

const struct service service = {
    .name = "dqlite",
    .boot = boot,
    .ready = ready,
    .accept = accept_client,
    .receive = receive,
    .hang_up = hang_up,
    .stop = stop,
    .crash = crash,
    .digest = digest,
    .describe = describe,
};
