/*
 * The service of the system `raft`, simulated and real: registers and a set, replicated by the library.
 *
 * Clients speak in little-endian fields over a connection, with any number of requests in flight.
 * Request: size u32 of what follows, id u32, function u8, and for each function
 *   read: key u32 · write: key u32, value i64 · cas: key u32, expected i64, value i64 ·
 *   add: value i64 · elements: nothing ·
 *   local-read: key u32, local-elements: nothing (answered from its own state, if it leads) ·
 *   digest: nothing (of all commands that it has applied, in their order; answered always).
 * Answer: size u32, id u32, status u8. 0, done: read: is_present u8, value i64 · cas: is_done u8 ·
 *   elements: count u32, values i64 · digest: u64. 1, failed for certain; 2, perhaps: code u16 (of raft.h),
 *   leader u8 (the node that it believes leads; 255: none), why text. */
#include "connections.h"
#include "output.h"
#include "service.h"
#include "simulation.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum function { READ, WRITE, CAS, ADD, ELEMENTS, LOCAL_READ, LOCAL_ELEMENTS, DIGEST, FUNCTIONS };
enum status { DONE, FAILED, UNKNOWN };
enum { KEYS_MAX = 1 << 20, REQUEST_BYTES_MAX = 64 };

/* A command, as entries hold it: without pointers or padding that is not cleared. */
struct command {
    uint32_t connection, id; /* which request it is: no two commands are equal */
    uint32_t function, key;
    int64_t expected, value;
};

struct registers {
    uint32_t count; /* keys from 0 that have a slot */
    int64_t *values;
    uint8_t *is_present;
};

struct elements {
    uint32_t count, capacity;
    int64_t *values;
};

/* A request that waits for its entry. */
struct waiting {
    struct raft_apply apply; /* first: the library gives it back */
    struct server *server;
    struct command command;
    bool is_done, is_present;
    int64_t value;
    uint32_t elements;
    struct waiting *next;
};

/* Bytes of a connection that are not a whole request yet. */
struct client {
    uint32_t connection;
    uint32_t size;
    uint8_t bytes[REQUEST_BYTES_MAX];
    struct client *next;
};

struct machine {
    struct registers registers;
    struct elements elements;
    uint64_t digest; /* of all commands, in their order */
    struct waiting *waiting;
    struct client *clients;
};

static struct machine *machine_of(const struct server *server)
{
    return server->state;
}

/* --- State --- */

/* False: there is no memory. */
static bool make_key(struct server *server, uint32_t key)
{
    struct registers *registers = &machine_of(server)->registers;
    if (key < registers->count)
        return true;
    uint32_t count = key + 1 < 16 ? 16 : 2 * (key + 1);
    int64_t *values = server_resize(server, registers->values, count * sizeof *values);
    if (!values)
        return false;
    registers->values = values;
    uint8_t *is_present = server_resize(server, registers->is_present, count);
    if (!is_present)
        return false;
    registers->is_present = is_present;
    memset(registers->is_present + registers->count, 0, count - registers->count);
    memset(registers->values + registers->count, 0, (count - registers->count) * sizeof *values);
    registers->count = count;
    return true;
}

static bool make_element(struct server *server)
{
    struct elements *elements = &machine_of(server)->elements;
    if (elements->count < elements->capacity)
        return true;
    uint32_t capacity = elements->capacity ? 2 * elements->capacity : 64;
    int64_t *values = server_resize(server, elements->values, capacity * sizeof *values);
    if (!values)
        return false;
    elements->values = values;
    elements->capacity = capacity;
    return true;
}

static struct waiting *waiting_of(struct machine *machine, const struct command *command)
{
    struct waiting *waiting = machine->waiting;
    while (waiting && memcmp(&waiting->command, command, sizeof *command))
        waiting = waiting->next;
    return waiting;
}

static int apply(struct raft_fsm *fsm, const struct raft_buffer *buffer FSM_APPLY_RESULT)
{
    struct server *server = fsm->data;
    struct machine *machine = machine_of(server);
    struct command command;
    FSM_NO_RESULT;
    if (buffer->len != sizeof command)
        return RAFT_MALFORMED;
    memcpy(&command, buffer->base, sizeof command);
    if (command.function >= FUNCTIONS || command.key >= KEYS_MAX)
        return RAFT_MALFORMED;
    if (command.function == ADD && server->simulation->options.mutant == MUTANT_CRASH)
        raise(SIGSEGV);
    if (!make_key(server, command.key) || (command.function == ADD && !make_element(server)))
        return RAFT_NOMEM;
    int64_t *value = &machine->registers.values[command.key];
    uint8_t *is_present = &machine->registers.is_present[command.key];
    struct waiting answer = {.is_done = true, .is_present = *is_present, .value = *value};
    if (command.function == CAS)
        answer.is_done = *is_present && *value == command.expected;
    if (command.function == WRITE || (command.function == CAS && answer.is_done)) {
        *value = command.value;
        *is_present = 1;
    } else if (command.function == ADD) {
        machine->elements.values[machine->elements.count++] = command.value;
    }
    machine->digest = digest_bytes(machine->digest, &command, sizeof command);
    struct waiting *waiting = waiting_of(machine, &command);
    if (waiting) {
        waiting->is_done = answer.is_done;
        waiting->is_present = answer.is_present;
        waiting->value = answer.value;
        waiting->elements = machine->elements.count;
    }
    return 0;
}

/* --- Snapshots: digest u64, keys u32, elements u32, then values, presences, elements --- */

struct image {
    uint64_t digest;
    uint32_t keys, elements;
};

static int snapshot(struct raft_fsm *fsm, struct raft_buffer *buffers[], unsigned *count)
{
    struct server *server = fsm->data;
    const struct machine *machine = machine_of(server);
    const struct registers *registers = &machine->registers;
    struct image image = {machine->digest, registers->count, machine->elements.count};
    size_t keys = image.keys, values = keys * sizeof(int64_t);
    size_t elements = image.elements * sizeof(int64_t);
    if (!(*buffers = raft_malloc(sizeof **buffers)))
        return RAFT_NOMEM;
    (*buffers)[0].len = sizeof image + values + keys + elements;
    uint8_t *at = raft_malloc((*buffers)[0].len);
    if (!at) {
        raft_free(*buffers);
        *buffers = NULL;
        return RAFT_NOMEM;
    }
    (*buffers)[0].base = at;
    *count = 1;
    memcpy(at, &image, sizeof image);
    at += sizeof image;
    if (keys) {
        memcpy(at, registers->values, values);
        memcpy(at + values, registers->is_present, keys);
    }
    if (elements)
        memcpy(at + values + keys, machine->elements.values, elements);
    return 0;
}

static int finalize(struct raft_fsm *fsm, FSM_FINALIZE_ARGUMENTS)
{
    (void)fsm;
    for (unsigned i = 0; FSM_FINALIZE_BUFFERS && i < FSM_FINALIZE_COUNT; i++)
        raft_free(FSM_FINALIZE_BUFFERS[i].base);
    raft_free(FSM_FINALIZE_BUFFERS);
    return 0;
}

static int in_the_background(struct raft_fsm *fsm, struct raft_buffer *buffers[], unsigned *count)
{
    (void)fsm, (void)buffers, (void)count;
    return 0; /* All was copied by `snapshot`. */
}

static int restore(struct raft_fsm *fsm, struct raft_buffer *buffer)
{
    struct server *server = fsm->data;
    struct machine *machine = machine_of(server);
    struct image image;
    if (buffer->len < sizeof image)
        return RAFT_MALFORMED;
    memcpy(&image, buffer->base, sizeof image);
    size_t keys = image.keys, values = keys * sizeof(int64_t);
    size_t elements = image.elements * sizeof(int64_t);
    if (keys > 2 * KEYS_MAX || buffer->len != sizeof image + values + keys + elements)
        return RAFT_MALFORMED;
    server_free(server, machine->registers.values);
    server_free(server, machine->registers.is_present);
    server_free(server, machine->elements.values);
    machine->registers = (struct registers){0};
    machine->elements = (struct elements){0};
    const uint8_t *at = (const uint8_t *)buffer->base + sizeof image;
    if (keys && !make_key(server, (uint32_t)keys - 1))
        return RAFT_NOMEM;
    if (keys) {
        memcpy(machine->registers.values, at, values);
        memcpy(machine->registers.is_present, at + values, keys);
        machine->registers.count = image.keys; /* The same for all, whatever room there is. */
    }
    at += values + keys;
    for (uint32_t i = 0; i < image.elements; i++) {
        if (!make_element(server))
            return RAFT_NOMEM;
        memcpy(&machine->elements.values[machine->elements.count++], at + i * sizeof(int64_t),
               sizeof(int64_t));
    }
    machine->digest = image.digest;
    raft_free(buffer->base);
    return 0;
}

static uint64_t digest(struct server *server)
{
    return machine_of(server)->digest;
}

/* --- Answers --- */

static void send_frame(struct server *server, uint32_t connection, struct output *output)
{
    uint32_t size = (uint32_t)output->size - 4;
    for (unsigned i = 0; i < 4; i++)
        output->bytes[i] = (uint8_t)(size >> (8 * i));
    connection_send(server, connection, output->bytes, output->size);
    free(output->bytes);
}

static struct output answer_begin(uint32_t id, enum status status)
{
    struct output output = {0};
    put_u32(&output, 0);
    put_u32(&output, id);
    put_u8(&output, status);
    return output;
}

static void refuse(struct server *server, uint32_t connection, uint32_t id, enum status status, int code)
{
    uint64_t leader = server_leader(server);
    struct output output = answer_begin(id, status);
    put_u16(&output, (unsigned)code);
    const struct server *leading = server_of_id(server->simulation, leader);
    put_u8(&output, leading ? leading->number : FRAME_NOBODY);
    put_text(&output, raft_strerror(code));
    send_frame(server, connection, &output);
}

static void tell(struct server *server, const struct command *command, const struct waiting *answer)
{
    const struct elements *elements = &machine_of(server)->elements;
    struct output output = answer_begin(command->id, DONE);
    switch (command->function) {
    case READ:
    case LOCAL_READ:
        put_u8(&output, answer->is_present);
        put_u64(&output, (uint64_t)answer->value);
        break;
    case CAS:
        put_u8(&output, answer->is_done);
        break;
    case ELEMENTS:
    case LOCAL_ELEMENTS:
        put_u32(&output, answer->elements);
        for (uint32_t i = 0; i < answer->elements; i++)
            put_u64(&output, (uint64_t)elements->values[i]);
        break;
    case DIGEST:
        put_u64(&output, machine_of(server)->digest);
        break;
    default:
        break;
    }
    send_frame(server, command->connection, &output);
}

static void applied(struct raft_apply *request, int status APPLY_CB_RESULT)
{
    struct waiting *waiting = (struct waiting *)request, **link;
    struct server *server = waiting->server;
    APPLY_CB_IGNORE;
    if (status)
        refuse(server, waiting->command.connection, waiting->command.id, UNKNOWN, status);
    else
        tell(server, &waiting->command, waiting);
    for (link = &machine_of(server)->waiting; *link != waiting; link = &(*link)->next)
        ;
    *link = waiting->next;
    server_free(server, waiting);
    if (server->simulation->options.mutant == MUTANT_FREE_TWICE)
        server_free(server, waiting);
}

/* --- Requests --- */

static void read_locally(struct server *server, const struct command *command)
{
    const struct machine *machine = machine_of(server);
    struct waiting answer = {.elements = machine->elements.count};
    if (!server_leads(server)) {
        refuse(server, command->connection, command->id, FAILED, RAFT_NOTLEADER);
        return;
    }
    if (command->key < machine->registers.count) {
        answer.is_present = machine->registers.is_present[command->key];
        answer.value = machine->registers.values[command->key];
    }
    tell(server, command, &answer);
}

static void ask(struct server *server, const struct command *command)
{
    struct machine *machine = machine_of(server);
    struct raft_buffer buffer = {.base = raft_malloc(sizeof *command), .len = sizeof *command};
    struct waiting *waiting = server_allocate(server, sizeof *waiting);
    if (!buffer.base || !waiting) {
        raft_free(buffer.base);
        server_free(server, waiting);
        refuse(server, command->connection, command->id, FAILED, RAFT_NOMEM);
        return;
    }
    memcpy(buffer.base, command, sizeof *command);
    memset(waiting, 0, sizeof *waiting);
    waiting->server = server;
    waiting->command = *command;
    waiting->next = machine->waiting;
    machine->waiting = waiting; /* Before it is asked: one server alone applies at once. */
    int status = raft_apply(&server->process->raft, &waiting->apply, &buffer, 1, applied);
    if (!status)
        return;
    machine->waiting = waiting->next;
    server_free(server, waiting);
    raft_free(buffer.base);
    refuse(server, command->connection, command->id, FAILED, status);
}

/* False: it is no request. */
static bool handle(struct server *server, uint32_t connection, struct input *input)
{
    struct command command = {.connection = connection, .id = get_u32(input)};
    command.function = get_u8(input);
    if (command.function != ADD && command.function != ELEMENTS &&
        command.function != LOCAL_ELEMENTS && command.function != DIGEST)
        command.key = get_u32(input);
    if (command.function == CAS)
        command.expected = (int64_t)get_u64(input);
    if (command.function == WRITE || command.function == CAS || command.function == ADD)
        command.value = (int64_t)get_u64(input);
    if (!input_is_whole(input) || command.function >= FUNCTIONS || command.key >= KEYS_MAX)
        return false;
    if (command.function == DIGEST)
        tell(server, &command, &(struct waiting){0});
    else if (command.function >= LOCAL_READ)
        read_locally(server, &command);
    else
        ask(server, &command);
    return true;
}

static void accept_client(struct server *server, uint32_t connection)
{
    struct client *client = server_allocate(server, sizeof *client);
    if (!client) {
        connection_close(server, connection);
        return;
    }
    struct machine *machine = machine_of(server);
    *client = (struct client){.connection = connection, .next = machine->clients};
    machine->clients = client;
}

static void hang_up(struct server *server, uint32_t connection)
{
    struct client **link = &machine_of(server)->clients;
    while (*link && (*link)->connection != connection)
        link = &(*link)->next;
    struct client *client = *link;
    if (client) {
        *link = client->next;
        server_free(server, client);
    }
}

static void receive(struct server *server, uint32_t connection, const uint8_t *bytes, size_t size)
{
    struct client *client = machine_of(server)->clients;
    while (client && client->connection != connection)
        client = client->next;
    while (client && size) {
        /* The size first, then as much as it says. */
        uint32_t wanted = 4;
        if (client->size >= 4)
            wanted += (uint32_t)client->bytes[0] | (uint32_t)client->bytes[1] << 8 |
                      (uint32_t)client->bytes[2] << 16 | (uint32_t)client->bytes[3] << 24;
        if (wanted < 4 || wanted > REQUEST_BYTES_MAX || (client->size >= 4 && wanted < 9)) {
            hang_up(server, connection);
            connection_close(server, connection);
            return;
        }
        size_t part = wanted - client->size < size ? wanted - client->size : size;
        memcpy(client->bytes + client->size, bytes, part);
        client->size += (uint32_t)part;
        bytes += part;
        size -= part;
        if (client->size < wanted || wanted == 4)
            continue;
        struct input input = {.at = client->bytes + 4, .end = client->bytes + wanted};
        client->size = 0;
        if (!handle(server, connection, &input)) {
            hang_up(server, connection);
            connection_close(server, connection);
            return;
        }
    }
}

static int boot(struct server *server)
{
    struct machine *machine = server_allocate(server, sizeof *machine);
    if (!machine)
        return RAFT_NOMEM;
    *machine = (struct machine){.digest = DIGEST_START};
    uint32_t version = server->simulation->options.fsm_version;
    server->state = machine;
    server->fsm = (struct raft_fsm){
        .version = (int)version,
        .data = server,
        .apply = apply,
        .snapshot = snapshot,
        .restore = restore,
        .snapshot_finalize = version >= 2 ? finalize : NULL,
        .snapshot_async = version >= 3 ? in_the_background : NULL,
    };
    return 0;
}

static void stop(struct server *server)
{
    server_close(server);
}

static void describe(const uint8_t *bytes, size_t count, char *text, size_t size)
{
    static const char *const names[] = {"read", "write", "cas", "add", "elements"};
    struct command command;
    text[0] = 0;
    if (count != sizeof command)
        return;
    memcpy(&command, bytes, sizeof command);
    if (command.function == ADD)
        snprintf(text, size, "add %" PRId64, command.value);
    else if (command.function == CAS)
        snprintf(text, size, "cas %" PRIu32 " %" PRId64 " %" PRId64, command.key, command.expected,
                 command.value);
    else if (command.function == WRITE)
        snprintf(text, size, "write %" PRIu32 " %" PRId64, command.key, command.value);
    else if (command.function < sizeof names / sizeof *names)
        snprintf(text, size, "%s %" PRIu32, names[command.function], command.key);
}

const struct service service = {
    .name = "registers and elements",
    .ends_unavailable = true,
    .boot = boot,
    .accept = accept_client,
    .receive = receive,
    .hang_up = hang_up,
    .stop = stop,
    .digest = digest,
    .describe = describe,
};
