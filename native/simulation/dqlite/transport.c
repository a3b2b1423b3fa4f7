/*
 * The stream below a connection of a client: dqlite's own conn.c calls these functions instead of
 * those of its src/lib/transport.c, which are over libuv. The linker takes these, as it finds them
 * before it looks into the archive.
 *
 * As libuv does, no callback runs inside the call that asked for it; what is read and written while
 * a stream closes is answered before its close callback; and a stream notices that its peer is gone
 * only when it reads.
 */
#include "node.h"

#include <stdlib.h>
#include <string.h>

#include "../connections.h"
#include "../memory.h"
#include "protocol.h" /* of dqlite */
#include "transport.h"

enum { RECEIVED_MIN = 4096 };

/* What conn.c takes for a `struct uv_stream_s`. */
struct link {
    struct node *node;
    uint32_t connection;
    struct transport *transport;
    uint8_t *received; /* and not yet read */
    size_t size, capacity;
    bool has_ended;  /* the client sends no more */
    bool is_pumping; /* `pump` looks again after each callback */
    bool is_closing;
    struct link *next;
};

static struct link *find(struct node *node, uint32_t connection)
{
    struct link *link = node->links;
    while (link != NULL && link->connection != connection) {
        link = link->next;
    }
    return link;
}

static void remove_link(struct link *link)
{
    struct link **at = &link->node->links;
    while (*at != link) {
        at = &(*at)->next;
    }
    *at = link->next;
    free(link->received);
    free(link);
}

static void read_done(struct transport *transport, int status)
{
    transport_read_cb callback = transport->read_cb;
    transport->read_cb = NULL;
    transport->read = (uv_buf_t){ 0 };
    callback(transport, status);
}

/* Give what has come to whoever reads. A callback may read again, close, or free the connection. */
static void pump(struct node *node, uint32_t connection)
{
    struct link *link;
    while ((link = find(node, connection)) != NULL && !link->is_closing &&
           link->transport->read_cb != NULL) {
        uv_buf_t *wanted = &link->transport->read;
        size_t count = wanted->len < link->size ? wanted->len : link->size;
        memcpy(wanted->base, link->received, count);
        wanted->base += count;
        wanted->len -= count;
        link->size -= count;
        memmove(link->received, link->received + count, link->size);
        if (wanted->len > 0 && !link->has_ended) {
            return;
        }
        link->is_pumping = true;
        read_done(link->transport, wanted->len > 0 ? UV_EOF : 0);
        if ((link = find(node, connection)) != NULL) {
            link->is_pumping = false;
        }
    }
}

static uint32_t number_of(const void *argument)
{
    return (uint32_t)(uintptr_t)argument;
}

static void pump_later(struct server *server, void *argument)
{
    pump(server->state, number_of(argument));
}

static void call_written(struct transport *transport)
{
    transport_write_cb callback = transport->write_cb;
    if (callback != NULL) {
        transport->write_cb = NULL;
        callback(transport, 0);
    }
}

static void written(struct server *server, void *argument)
{
    struct link *link = find(server->state, number_of(argument));
    if (link != NULL && !link->is_closing) {
        call_written(link->transport);
    }
}

static void closed(struct server *server, void *argument)
{
    struct link *link = find(server->state, number_of(argument));
    struct transport *transport = link->transport;
    call_written(transport);
    remove_link(link);
    if (transport->close_cb != NULL) {
        transport->close_cb(transport);
    }
}

static void later(struct link *link, server_call *call)
{
    server_after(link->node->server, 0, call, (void *)(uintptr_t)link->connection);
}

/* What conn.c calls. */

int transport__init(struct transport *transport, struct uv_stream_s *stream)
{
    struct link *link = (struct link *)stream;
    *transport = (struct transport){ .stream = stream };
    link->transport = transport;
    return 0;
}

int transport__read(struct transport *transport, uv_buf_t *buffer, transport_read_cb callback)
{
    struct link *link = (struct link *)transport->stream;
    if (link->is_closing) {
        return DQLITE_ERROR;
    }
    transport->read = *buffer;
    transport->read_cb = callback;
    if (!link->is_pumping && (link->size > 0 || link->has_ended)) {
        later(link, pump_later);
    }
    return 0;
}

/* One write at a time. To a client that is gone it succeeds, as a socket's does. */
int transport__write(struct transport *transport, uv_buf_t *buffer, transport_write_cb callback)
{
    struct link *link = (struct link *)transport->stream;
    connection_send(link->node->server, link->connection, buffer->base, buffer->len);
    transport->write_cb = callback;
    later(link, written);
    return 0;
}

void transport__close(struct transport *transport, transport_close_cb callback)
{
    struct link *link = (struct link *)transport->stream;
    transport->close_cb = callback;
    link->is_closing = true;
    connection_close(link->node->server, link->connection);
    later(link, closed);
}

/* A client said that it is a peer (DQLITE_REQUEST_CONNECT). Peers do not come this way here, and
 * conn.c frees its connection now. */
void raftProxyAccept(struct raft_uv_transport *transport, raft_id id, const char *address,
                     struct uv_stream_s *stream)
{
    struct link *link = (struct link *)stream;
    (void)transport;
    (void)id;
    (void)address;
    connection_close(link->node->server, link->connection);
    remove_link(link);
}

/* What the service calls. */

/* As src/server.c does when a connection is closed. */
static void destroy(struct conn *conn)
{
    queue_remove(&conn->queue);
    sqlite3_free(conn);
}

bool link_open(struct node *node, uint32_t connection)
{
    struct conn *conn = sqlite3_malloc(sizeof *conn);
    struct link *link = host_allocate(sizeof *link);
    *link = (struct link){ .node = node, .connection = connection, .next = node->links };
    node->links = link;
    if (conn == NULL || conn__start(conn, &node->config, NULL, &node->registry,
                                    &node->server->process->raft, (struct uv_stream_s *)link, NULL,
                                    destroy) != 0) {
        sqlite3_free(conn);
        remove_link(link);
        return false;
    }
    queue_insert_tail(&node->connections, &conn->queue);
    return true;
}

void link_receive(struct node *node, uint32_t connection, const uint8_t *bytes, size_t size)
{
    struct link *link = find(node, connection);
    if (link == NULL || link->is_closing) {
        return;
    }
    if (link->size + size > link->capacity) {
        link->capacity = 2 * (link->size + size) + RECEIVED_MIN;
        link->received = host_resize(link->received, link->capacity);
    }
    memcpy(link->received + link->size, bytes, size);
    link->size += size;
    pump(node, connection);
}

void link_end(struct node *node, uint32_t connection)
{
    struct link *link = find(node, connection);
    if (link != NULL) {
        link->has_ended = true;
        pump(node, connection);
    }
}

void links_free(struct node *node)
{
    while (node->links != NULL) {
        remove_link(node->links);
    }
}
