/*
 * A real node of the system `raft`: the library on its own raft_uv, with real sockets, a real disk
 * and real time, and the same service on it (machine.c) as in the simulator.
 *
 * Usage: node DIRECTORY NUMBER ADDRESS,… [OPTION=VALUE …]
 *   DIRECTORY  where raft_uv keeps its files
 *   NUMBER     which of the addresses is its own, counted from 1; also its id
 *   ADDRESS    IPv4 addresses of all nodes. They hear each other on port 9001, clients on port 9000.
 *   OPTION     as in options.h: election_ms, heartbeat_ms, snapshot_threshold, snapshot_trailing, …
 *
 * Exit status: 0 after SIGTERM, 1 when it cannot start or the library gave up, 64 wrong usage. It
 * needs no privileges. To stderr it writes when its commit index goes back, which none may do.
 */
#include "../connections.h"
#include "../memory.h"
#include "../service.h"
#include "../simulation.h"

#include UV_HEADER

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { CLIENT_PORT = 9000, PEER_PORT = 9001, BACKLOG = 128, CONNECT_RETRY_MS = 200 };
enum { CLIENTS_MAX = 1024, READ_BYTES = 4096, STATUS_USAGE = 64 };
enum { NUMBER_BITS = 28, NUMBER_MAX = (1 << NUMBER_BITS) - 1 };

/* What the service sees of a simulator is one server of it, and this one. */
struct simulation simulation;

static struct process process;
static struct raft_uv_transport transport;
static uv_loop_t loop;
static int exit_status;

/* A client's connection. */
struct client {
    uv_tcp_t socket; /* first: the handle is the client */
    uint32_t number; /* that no other connection has, here, on other nodes, or after a restart */
    struct client *next;
    char bytes[READ_BYTES];
};

static struct client *clients;
static unsigned client_count;
static uint32_t connections_made; /* counted from a number that was drawn */

static struct server *self(void)
{
    return simulation.running;
}

/* --- What the service asks of its server --- */

void *server_allocate(struct server *server, size_t size)
{
    (void)server;
    return malloc(size);
}

void *server_resize(struct server *server, void *block, size_t size)
{
    (void)server;
    return realloc(block, size);
}

void server_free(struct server *server, void *block)
{
    (void)server;
    free(block);
}

void *host_resize(void *block, size_t size)
{
    void *resized = realloc(block, size);
    if (!resized)
        abort();
    return resized;
}

bool server_leads(const struct server *server)
{
    return raft_state(&server->process->raft) == RAFT_LEADER;
}

uint64_t server_leader(const struct server *server)
{
    raft_id id;
    const char *address;
    raft_leader(&server->process->raft, &id, &address);
    return id;
}

struct server *server_of_id(struct simulation *of, uint64_t raft_id)
{
    return raft_id >= 1 && raft_id <= of->count ? &of->servers[raft_id - 1] : NULL;
}

static void closed(struct raft *raft)
{
    (void)raft;
    exit(exit_status);
}

void server_close(struct server *server)
{
    if (server->is_closing)
        return;
    server->is_closing = true;
    raft_close(&server->process->raft, closed);
}

/* --- Clients --- */

static struct client *client_of(uint32_t number)
{
    struct client *client = clients;
    while (client && client->number != number)
        client = client->next;
    return client;
}

static void freed(uv_handle_t *handle)
{
    free(handle);
}

static void drop(struct client *client)
{
    struct client **link = &clients;
    while (*link != client)
        link = &(*link)->next;
    *link = client->next;
    client_count--;
    uv_close((uv_handle_t *)client, freed);
}

static void written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

void connection_send(struct server *server, uint32_t number, const void *bytes, size_t size)
{
    (void)server;
    struct client *client = client_of(number);
    uv_write_t *request = malloc(sizeof *request + size);
    if (!client || !request) {
        free(request);
        return;
    }
    memcpy(request + 1, bytes, size);
    uv_buf_t buffer = uv_buf_init((char *)(request + 1), (unsigned)size);
    if (uv_write(request, (uv_stream_t *)client, &buffer, 1, written))
        free(request);
}

void connection_close(struct server *server, uint32_t number)
{
    (void)server;
    struct client *client = client_of(number);
    if (client)
        drop(client);
}

static void lend(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    (void)wanted;
    *buffer = uv_buf_init(((struct client *)handle)->bytes, READ_BYTES);
}

static void heard(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct client *client = (struct client *)stream;
    if (size > 0) {
        service.receive(self(), client->number, (const uint8_t *)buffer->base, (size_t)size);
    } else if (size < 0) {
        service.hang_up(self(), client->number);
        drop(client);
    }
}

static void accept_client(uv_stream_t *listener, int status)
{
    struct client *client = status ? NULL : malloc(sizeof *client);
    if (!client)
        return;
    uv_tcp_init(&loop, &client->socket);
    if (uv_accept(listener, (uv_stream_t *)client) || client_count == CLIENTS_MAX) {
        uv_close((uv_handle_t *)client, freed);
        return;
    }
    client->number = self()->number << NUMBER_BITS | (connections_made++ & NUMBER_MAX);
    client->next = clients;
    clients = client;
    client_count++;
    uv_tcp_nodelay(&client->socket, 1);
    service.accept(self(), client->number);
    uv_read_start((uv_stream_t *)client, lend, heard);
}

static int listen_to_clients(const char *address)
{
    static uv_tcp_t listener;
    struct sockaddr_in socket_address;
    int status = uv_ip4_addr(address, CLIENT_PORT, &socket_address);
    if (!status)
        status = uv_tcp_init(&loop, &listener);
    if (!status)
        status = uv_tcp_bind(&listener, (const struct sockaddr *)&socket_address, 0);
    return status ? status : uv_listen((uv_stream_t *)&listener, BACKLOG, accept_client);
}

/* --- The node --- */

/* After each turn of the loop. */
static void look(uv_check_t *check)
{
    (void)check;
    const struct raft *raft = &process.raft;
    if (raft->commit_index < self()->max_commit)
        fprintf(stderr, "commit index goes back from %" PRIu64 " to %llu, applied %llu\n",
                self()->max_commit, raft->commit_index, raft->last_applied);
    self()->max_commit = raft->commit_index;
    if (raft_state(&process.raft) == RAFT_UNAVAILABLE && !self()->is_closing) {
        fprintf(stderr, "the library gave up: %s\n", raft_errmsg(&process.raft));
        exit_status = 1;
        server_close(self());
    }
}

static void stop(uv_signal_t *signal, int number)
{
    (void)signal, (void)number;
    service.stop(self());
}

static int bootstrap(struct raft *raft)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int status = 0;
    for (unsigned i = 0; i < simulation.count && !status; i++)
        status = raft_configuration_add(&configuration, i + 1, simulation.options.addresses[i],
                                        RAFT_VOTER);
    if (!status)
        status = raft_bootstrap(raft, &configuration);
    raft_configuration_close(&configuration);
    return status == RAFT_CANTBOOTSTRAP ? 0 : status; /* It has been there before. */
}

/* Returns 0 or a code of raft. */
static int start(const char *directory)
{
    struct raft *raft = &process.raft;
    const struct options *options = &simulation.options;
    TRANSPORT_BEGIN(transport);
    int status = raft_uv_tcp_init(&transport, &loop);
    if (!status)
        status = raft_uv_init(&process.io, &loop, directory, &transport);
    if (status)
        return status;
    raft_uv_set_connect_retry_delay(&process.io, CONNECT_RETRY_MS);
    self()->process = &process;
    if ((status = service.boot(self())))
        return status;
    status = raft_init(raft, &process.io, &self()->fsm, self()->raft_id,
                       options->addresses[self()->number]);
    if (status)
        return status;
    library_trace(raft, &process.tracer, self()->number, options->log);
    raft_set_election_timeout(raft, options->election_ms);
    raft_set_heartbeat_timeout(raft, options->heartbeat_ms);
    raft_set_snapshot_threshold(raft, options->snapshot_threshold);
    raft_set_snapshot_trailing(raft, options->snapshot_trailing);
    raft_set_pre_vote(raft, options->pre_vote);
    status = bootstrap(raft);
    return status ? status : raft_start(raft);
}

static int wrong(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\nusage: node DIRECTORY NUMBER ADDRESS,... [OPTION=VALUE ...]\n", what, why);
    return STATUS_USAGE;
}

/* NULL, or why not. */
static const char *take_addresses(char *list)
{
    for (char *at = strtok(list, ","); at; at = strtok(NULL, ",")) {
        if (simulation.count == SERVERS_MAX)
            return "more than 9 addresses";
        char *address = simulation.options.addresses[simulation.count++];
        if (snprintf(address, ADDRESS_MAX, "%s:%d", at, PEER_PORT) >= ADDRESS_MAX)
            return "an address is too long";
    }
    return simulation.count ? NULL : "expected an address";
}

int main(int count, char *words[])
{
    simulation.options = options_default();
    if (count < 4)
        return wrong("node", "expected 3 words or more");
    const char *why = take_addresses(words[3]);
    if (why)
        return wrong("ADDRESS", why);
    unsigned long number = strtoul(words[2], NULL, 10);
    if (number < 1 || number > simulation.count)
        return wrong(words[2], "expected the place of one of the addresses");
    for (int i = 4; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value)
            return wrong(words[i], "expected OPTION=VALUE");
        *value++ = 0;
        if ((why = options_set(&simulation.options, words[i], value)))
            return wrong(words[i], why);
    }
    for (unsigned i = 0; i < simulation.count; i++)
        simulation.servers[i] =
            (struct server){.simulation = &simulation, .number = i, .raft_id = i + 1};
    simulation.running = &simulation.servers[number - 1];

    char own[ADDRESS_MAX];
    snprintf(own, sizeof own, "%s", simulation.options.addresses[number - 1]);
    *strchr(own, ':') = 0;
    signal(SIGPIPE, SIG_IGN);
    uv_check_t check;
    uv_signal_t term;
    int status = uv_loop_init(&loop);
    if (!status)
        status = uv_random(NULL, NULL, &connections_made, sizeof connections_made, 0, NULL);
    if (!status)
        status = listen_to_clients(own);
    if (status) {
        fprintf(stderr, "%s:%d: %s\n", own, CLIENT_PORT, uv_strerror(status));
        return 1;
    }
    if ((status = start(words[1]))) {
        fprintf(stderr, "%s does not start: %s\n", own, raft_strerror(status));
        return 1;
    }
    uv_check_init(&loop, &check);
    uv_check_start(&check, look);
    uv_signal_init(&loop, &term);
    uv_signal_start(&term, stop, SIGTERM);
    uv_run(&loop, UV_RUN_DEFAULT);
    return exit_status;
}
