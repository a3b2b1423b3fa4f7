/* dqlite on a server: what src/server.c does around raft, and what the simulation asks of it. */
#include "node.h"

#include <stdio.h>
#include <string.h>

#include "../connections.h"
#include "../service.h"
#include "../simulation.h"
#include "command.h" /* of dqlite */
#include "fsm.h"
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
    int rv = config__init(&node->config, server->raft_id, server->process->address, NULL);
    if (rv != 0) {
        return rv;
    }
    rv = VfsInit(&node->vfs, &node->config.vfs);
    if (rv != 0) {
        return rv;
    }
    sqlite3_vfs_register(&node->vfs, 0);
    registry__init(&node->registry, &node->config);
    return fsm__init(&server->fsm, &node->config, &node->registry);
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
        sqlite3_vfs_unregister(&node->vfs);
    }
}

/* A number of a command, little-endian, or 0 when its bytes end before. */
static uint64_t number_at(const uint8_t *bytes, size_t count, size_t at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size && at + size <= count; i++) {
        number |= (uint64_t)bytes[at + i] << (8 * i);
    }
    return number;
}

/* A command of src/command.c: u64 header, text, and for frames u64, u32, u32, then u32 pages, u16
 * size, u16, and u64 a page number each. A text is padded to words. */
static void describe(const uint8_t *bytes, size_t count, char *text, size_t size)
{
    const uint8_t *name = bytes + 8;
    const uint8_t *end = count > 8 ? memchr(name, 0, count - 8) : NULL;
    size_t at = end != NULL ? 8 + ((size_t)(end - name) / 8 + 1) * 8 + 16 : count;
    if (number_at(bytes, count, 1, 1) != COMMAND_FRAMES || at + 8 > count) {
        snprintf(text, size, "a command of %zu bytes", count);
        return;
    }
    uint64_t pages = number_at(bytes, count, at, 4);
    int used = snprintf(text, size, "%s: %llu pages:", (const char *)name,
                        (unsigned long long)pages);
    for (uint64_t i = 0; i < pages && used >= 0 && (size_t)used < size; i++) {
        uint64_t page = number_at(bytes, count, at + 8 + 8 * (size_t)i, 8);
        const char *form = i < PAGES_TOLD ? " %llu" : " …";
        used += snprintf(text + used, size - (size_t)used, form, (unsigned long long)page);
        if (i == PAGES_TOLD) {
            break;
        }
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
    .describe = describe,
};
