/* Connections of clients to servers: bytes arrive in order, after a while, whatever is cut. */
#ifndef DISSEVER_SIMULATION_CONNECTIONS_H
#define DISSEVER_SIMULATION_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct simulation;
struct server;

enum { CONNECTIONS_MAX = 1 << 20 };

enum close_reason { CLOSED_BY_NODE, CLOSED_REFUSED, CLOSED_RESET };

struct connection {
    bool is_opened;   /* the node's kernel has answered */
    bool is_accepted; /* its process knows of it */
    bool has_hung_up; /* the client has closed it: it hears nothing more */
    bool is_closed;   /* the process has closed it, or knows that the client did, or has ended */
    uint8_t server;
    uint32_t incarnation; /* of the server that accepted it */
    uint64_t to_server_ns, to_client_ns; /* when the last bytes arrive: the next come later */
};

struct connections {
    struct connection *all; /* by number - 1 */
    size_t count;
};

/* From the client. False: the number is not the next one, or not that of an open connection. */
bool connection_open(struct simulation *simulation, uint32_t number, unsigned server);
bool connection_receive(struct simulation *simulation, uint32_t number, const void *data,
                        size_t size);
bool connection_hang_up(struct simulation *simulation, uint32_t number);

/* For services: send bytes to the client; close from the server's side. Nothing happens if the
 * connection is closed already. */
void connection_send(struct server *server, uint32_t number, const void *bytes, size_t size);
void connection_close(struct server *server, uint32_t number);

/* The server's process ended: its connections are reset. */
void connections_reset(struct server *server);

#endif
