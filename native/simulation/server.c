/* See server.h. */
#include "server.h"

#include "raft_io.h"
#include "service.h"
#include "simulation.h"

#include <stdio.h>
#include <string.h>

enum { CLOCK_ORIGIN_S = 1000000 }; /* what a clock says at first: an offset may be negative */

const char *server_address(struct simulation *s, unsigned number)
{
    return s->options.addresses[number];
}

struct server *server_of_id(struct simulation *s, uint64_t raft_id)
{
    return raft_id >= 1 && raft_id <= s->last_raft_id ? &s->servers[s->server_of_id[raft_id]] : NULL;
}

/* --- Its clock --- */

static double offset_ns(const struct server *server)
{
    const struct clock *clock = &server->clock;
    double passed_ns = (double)(server->simulation->now_ns - clock->since_ns);
    return clock->offset_ns + passed_ns * (clock->rate - 1);
}

void server_turn_clock(struct server *server, double offset_s, double rate)
{
    server->clock.since_ns = server->simulation->now_ns;
    server->clock.offset_ns = offset_s * 1e9;
    server->clock.rate = rate;
}

double server_clock_offset_s(const struct server *server)
{
    return offset_ns(server) / 1e9;
}

uint64_t server_duration_ns(const struct server *server, uint64_t by_its_clock_ns)
{
    if (server->clock.rate == 1)
        return by_its_clock_ns;
    return (uint64_t)((double)by_its_clock_ns / server->clock.rate);
}

uint64_t server_now_ms(struct server *server)
{
    uint64_t ms = CLOCK_ORIGIN_S * (uint64_t)1000 +
                  (server->simulation->now_ns + (uint64_t)(int64_t)offset_ns(server)) / NS_PER_MS;
    if (ms > server->clock.last_ms)
        server->clock.last_ms = ms;
    return server->clock.last_ms;
}

/* --- Its memory --- */

static void memory_is_wrong(void *server, const char *text)
{
    invariant_broken(server, MEMORY_SAFETY, "%s", text);
}

void *server_allocate(struct server *server, size_t size)
{
    return arena_allocate(&server->arena, size, memory_is_wrong, server);
}

void server_free(struct server *server, void *block)
{
    arena_free(&server->arena, block, memory_is_wrong, server);
}

void *server_resize(struct server *server, void *block, size_t size)
{
    void *resized = server_allocate(server, size);
    if (resized && block) {
        size_t kept = arena_size(block) < size ? arena_size(block) : size;
        memcpy(resized, block, kept);
        server_free(server, block);
    }
    return resized;
}

/* --- What the library applies, looked at on its way to the service --- */

static struct server *server_of(const struct raft_fsm *fsm)
{
    return fsm->data;
}

static uint64_t service_digest(struct server *server)
{
    return service.digest ? service.digest(server) : 0;
}

static int look_apply(struct raft_fsm *fsm, const struct raft_buffer *buffer FSM_APPLY_RESULT)
{
    struct server *server = server_of(fsm);
    uint64_t index = server->process->raft.last_applied + 1;
    invariants_applies(server, index, buffer->base, buffer->len);
    int status = server->fsm.apply(&server->fsm, buffer FSM_PASS_RESULT);
    if (!status)
        invariants_applied(server, index, service_digest(server));
    return status;
}

static int look_restore(struct raft_fsm *fsm, struct raft_buffer *buffer)
{
    struct server *server = server_of(fsm);
    int status = server->fsm.restore(&server->fsm, buffer);
    if (!status && server->disk.snapshot)
        invariants_restored(server, server->disk.snapshot->index, service_digest(server));
    return status;
}

static int pass_snapshot(struct raft_fsm *fsm, struct raft_buffer *buffers[], unsigned *count)
{
    struct server *server = server_of(fsm);
    return server->fsm.snapshot(&server->fsm, buffers, count);
}

static int pass_finalize(struct raft_fsm *fsm, FSM_FINALIZE_ARGUMENTS)
{
    struct server *server = server_of(fsm);
    return server->fsm.snapshot_finalize(&server->fsm, FSM_FINALIZE_PASS);
}

static int pass_async(struct raft_fsm *fsm, struct raft_buffer *buffers[], unsigned *count)
{
    struct server *server = server_of(fsm);
    return server->fsm.snapshot_async(&server->fsm, buffers, count);
}

static void wrap(struct server *server)
{
    struct raft_fsm *fsm = &server->process->fsm;
    fsm->version = server->fsm.version;
    fsm->data = server;
    fsm->apply = look_apply;
    fsm->restore = look_restore;
    fsm->snapshot = pass_snapshot;
    fsm->snapshot_finalize = server->fsm.snapshot_finalize ? pass_finalize : NULL;
    fsm->snapshot_async = server->fsm.snapshot_async ? pass_async : NULL;
}

/* --- Its process --- */

static void end(struct server *server)
{
    struct simulation *s = server->simulation;
    server->is_running = server->is_started = server->is_paused = false;
    server->is_stopping = server->is_closing = false;
    if (service.crash)
        service.crash(server);
    server->process = NULL;
    server->state = NULL;
    server->pending = 0;
    server->led = false;
    for (size_t i = 0; i < server->held.count; i++)
        events_add(&s->events, server->held.heap[i]); /* Dropped when they are taken. */
    server->held.count = 0;
    for (size_t i = 0; i < server->change_count; i++) {
        struct output *output = say(s, FRAME_CHANGED);
        put_u32(output, server->changes[i]);
        put_u32(output, UINT32_MAX);
        put_text(output, "the process ended");
        frame_end(output);
    }
    server->change_count = 0;
    connections_reset(server);
    arena_reset(&server->arena);
    trace_server(server);
}

static void say_exit(struct server *server, int status, bool is_asked)
{
    struct output *output = say(server->simulation, FRAME_EXIT);
    put_u8(output, server->number);
    put_u32(output, server->incarnation);
    put_u32(output, (uint32_t)status);
    put_u8(output, is_asked);
    frame_end(output);
}

static void set_times(const struct options *options, struct raft *raft)
{
    raft_set_election_timeout(raft, options->election_ms);
    raft_set_heartbeat_timeout(raft, options->heartbeat_ms);
    if (options->install_snapshot_ms)
        raft_set_install_snapshot_timeout(raft, options->install_snapshot_ms);
    raft_set_snapshot_threshold(raft, options->snapshot_threshold);
    raft_set_snapshot_trailing(raft, options->snapshot_trailing);
    raft_set_pre_vote(raft, options->pre_vote);
    raft_set_max_catch_up_rounds(raft, 100); /* As dqlite has it, and so the next. */
    raft_set_max_catch_up_round_duration(raft, 50 * 1000);
}

/* Only the first start of all finds an empty disk and a term of 0; a server that joins has one too,
 * and waits for what the leader sends. */
static int bootstrap(struct server *server)
{
    struct simulation *s = server->simulation;
    bool is_voter = s->options.bootstrap_all || server->number == 0;
    if (!is_voter || server->was_bootstrapped || server->disk.term || server->disk.count)
        return 0;
    server->was_bootstrapped = true;
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    int status = 0;
    for (unsigned i = 0; i < (s->options.bootstrap_all ? s->count : 1) && !status; i++)
        status = raft_configuration_add(&configuration, s->servers[i].raft_id, server_address(s, i), RAFT_VOTER);
    if (!status)
        status = raft_bootstrap(&server->process->raft, &configuration);
    raft_configuration_close(&configuration);
    return status;
}

static int boot(struct server *server)
{
    struct simulation *s = server->simulation;
    server->process = server_allocate(server, sizeof *server->process);
    if (!server->process)
        return RAFT_NOMEM;
    struct process *process = server->process;
    memset(process, 0, sizeof *process);
    server->fsm = (struct raft_fsm){0};
    int status = service.boot(server);
    if (status)
        return status;
    wrap(server);
    io_fill(server, &process->io);
    status = raft_init(&process->raft, &process->io, &process->fsm, server->raft_id,
                       server_address(s, server->number));
    if (status)
        return status;
    library_trace(&process->raft, &process->tracer, server->number, s->options.log);
    set_times(&s->options, &process->raft);
    if (service.ready && (status = service.ready(server)))
        return status;
    if ((status = bootstrap(server)))
        return status;
    return raft_start(&process->raft);
}

void server_start(struct server *server)
{
    struct simulation *s = server->simulation;
    server->is_running = true;
    server->incarnation++;
    server->max_commit = 0;
    server->metadata_failed = false;
    s->running = server;
    int status = boot(server);
    if (status)
        fprintf(stderr, "n%u: cannot start: %s (%d)%s%s\n", server->number + 1, raft_strerror(status),
                status, server->process ? ": " : "", server->process ? server->process->io.errmsg : "");
    else
        invariants_look(server);
    s->running = NULL;
    if (status) {
        trace_note(s, server, "it cannot start");
        server_exit(server, 1);
    }
}

static void exits(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    bool is_asked = server->is_stopping;
    s->running = NULL;
    disk_crash(server, false);
    end(server);
    say_exit(server, (int)(int64_t)event->number, is_asked);
}

void server_exit(struct server *server, int status)
{
    schedule(server, 0, EVENT_STOP, exits, NULL, NULL, (uint64_t)(int64_t)status);
}

static void closed(struct raft *raft)
{
    server_exit(raft->io->impl, 0);
}

void server_close(struct server *server)
{
    if (!server->is_closing)
        raft_close(&server->process->raft, closed);
}

static void stops(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    server->is_stopping = true;
    if (server->is_started)
        service.stop(server);
    else
        server_exit(server, 1);
}

void server_stop(struct server *server)
{
    schedule(server, 0, EVENT_STOP, stops, NULL, NULL, 0);
}

void server_kill(struct server *server, bool power_failed)
{
    server->simulation->crashes++;
    disk_crash(server, power_failed);
    end(server);
}

void server_pause(struct server *server)
{
    server->is_paused = true;
}

void server_resume(struct server *server)
{
    struct simulation *s = server->simulation;
    server->is_paused = false;
    for (size_t i = 0; i < server->held.count; i++) {
        server->held.heap[i].time_ns = s->now_ns;
        events_add(&s->events, server->held.heap[i]);
    }
    server->held.count = 0;
}

void server_wipe(struct server *server)
{
    struct simulation *s = server->simulation;
    disk_wipe(&server->disk);
    if (s->last_raft_id < RAFT_IDS_MAX) {
        server->raft_id = ++s->last_raft_id;
        s->server_of_id[server->raft_id] = (uint8_t)server->number;
    }
    server->simulation->invariants.has_wiped[server->number] = true;
}

/* --- For services --- */

struct call {
    server_call *call;
    void *argument;
};

static void calls(struct simulation *s, struct event *event)
{
    struct blob *blob = event->subject;
    struct call call;
    memcpy(&call, blob->data, sizeof call);
    blob_free(blob);
    call.call(&s->servers[event->server], call.argument);
}

static void drops_call(struct simulation *s, struct event *event)
{
    (void)s;
    blob_free(event->subject);
}

void server_after(struct server *server, uint64_t delay_ns, server_call *call, void *argument)
{
    struct call both = {.call = call, .argument = argument};
    schedule(server, server_duration_ns(server, delay_ns), EVENT_CALL, calls, drops_call,
             blob_copy(&both, sizeof both), 0);
}

bool server_leads(const struct server *server)
{
    return server->process && server->is_started &&
           raft_state(&server->process->raft) == RAFT_LEADER;
}

uint64_t server_leader(const struct server *server)
{
    raft_id id = 0;
    const char *address;
    if (server->process && server->is_started)
        raft_leader(&server->process->raft, &id, &address);
    return id;
}
