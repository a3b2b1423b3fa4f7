/*
 * See raft_io.h. What raft_uv does with files and sockets, done with a simulated disk and network.
 *
 * Callbacks never run inside the call that asked. Memory of requests is the library's own, so an
 * event that carries one is dropped with the process.
 */
#include "raft_io.h"

#include "messages.h"
#include "simulation.h"

#include <string.h>

enum {
    READ_US_MIN = 500, /* of a snapshot */
    READ_US_MAX = 5000,
};

static struct server *server_of(const struct raft_io *io)
{
    return io->impl;
}

/* --- The life of the table --- */

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io, (void)id, (void)address;
    return 0;
}

static void try_close(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    if (server->disk.head || server->pending)
        schedule(server, NS_PER_MS, EVENT_CLOSED, try_close, NULL, NULL, 0);
    else
        server->closed(&server->process->io);
}

static void io_close(struct raft_io *io, raft_io_close_cb closed)
{
    struct server *server = server_of(io);
    server->is_closing = true;
    server->closed = closed;
    schedule(server, NS_PER_US, EVENT_CLOSED, try_close, NULL, NULL, 0);
}

static void tick(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    if (server->is_closing)
        return;
    schedule(server, server_duration_ns(server, server->tick_ns), EVENT_TICK, tick, NULL, NULL, 0);
    server->tick(&server->process->io);
}

static int io_start(struct raft_io *io, unsigned ms, raft_io_tick_cb call, raft_io_recv_cb receive)
{
    struct server *server = server_of(io);
    server->tick_ns = ms * NS_PER_MS;
    server->tick = call;
    server->receive = receive;
    server->is_started = true;
    uint64_t first_ns = random_between(&server->random, 1, server->tick_ns);
    schedule(server, server_duration_ns(server, first_ns), EVENT_TICK, tick, NULL, NULL, 0);
    return 0;
}

static raft_time io_time(struct raft_io *io)
{
    return server_now_ms(server_of(io));
}

static int io_random(struct raft_io *io, int low, int high)
{
    return (int)random_between(&server_of(io)->random, (uint64_t)low, (uint64_t)high);
}

/* --- Term and vote --- */

static bool metadata_fails(struct server *server)
{
    uint64_t wait_ns = 0; /* The call blocks the process; that it takes a while changes no order. */
    server->metadata_failed = disk_struck(&server->disk, DISK_METADATA, &wait_ns) >= 0;
    if (server->metadata_failed) {
        server->simulation->faults_of_disks++;
        trace_note(server->simulation, server, "storing term or vote fails");
    }
    return server->metadata_failed;
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct server *server = server_of(io);
    if (metadata_fails(server))
        return RAFT_IOERR;
    if (server->simulation->options.mutant == MUTANT_FORGET_TERM)
        return 0;
    server->disk.term = term;
    server->disk.vote = 0;
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id vote)
{
    struct server *server = server_of(io);
    if (metadata_fails(server))
        return RAFT_IOERR;
    if (server->simulation->options.mutant != MUTANT_FORGET_VOTE)
        server->disk.vote = vote;
    return 0;
}

/* --- The log and snapshots --- */

static int snapshot_to_raft(struct server *server, const struct snapshot *snapshot,
                            struct raft_snapshot **raft)
{
    struct raft_snapshot *made = raft_calloc(1, sizeof *made);
    if (!made)
        return RAFT_NOMEM;
    made->index = snapshot->index;
    made->term = snapshot->term;
    made->configuration_index = snapshot->configuration_index;
    if (configuration_to_raft(server->simulation, snapshot->configuration, &made->configuration))
        goto no_configuration;
    if (!(made->bufs = raft_calloc(1, sizeof *made->bufs)))
        goto no_buffers;
    made->n_bufs = 1;
    made->bufs[0].len = snapshot->data->size;
    if (!(made->bufs[0].base = raft_malloc(snapshot->data->size ? snapshot->data->size : 1)))
        goto no_data;
    memcpy(made->bufs[0].base, snapshot->data->data, snapshot->data->size);
    *raft = made;
    return 0;
no_data:
    raft_free(made->bufs);
no_buffers:
    raft_configuration_close(&made->configuration);
no_configuration:
    raft_free(made);
    return RAFT_NOMEM;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *vote, struct raft_snapshot **snapshot,
                   raft_index *first, struct raft_entry **entries, size_t *count)
{
    struct server *server = server_of(io);
    struct disk *disk = &server->disk;
    if (disk->has_gap) {
        strcpy(io->errmsg, "entries are missing in the log");
        return RAFT_CORRUPT;
    }
    if (disk->snapshot && disk->snapshot->index > disk->first + disk->count - 1) {
        /* raft_uv drops a log that ends before the snapshot. */
        disk->first = disk->snapshot->index + 1;
        entries_free(disk->entries, disk->count);
        disk->entries = NULL;
        disk->count = disk->capacity = 0;
    }
    *term = disk->term;
    *vote = disk->vote;
    *snapshot = NULL;
    *first = disk->first;
    *count = disk->count;
    disk->next_index = disk->first + disk->count;
    if (disk->snapshot) {
        int status = snapshot_to_raft(server, disk->snapshot, snapshot);
        if (status)
            return status;
    }
    return entries_to_raft(disk->entries, disk->count, entries);
}

static int io_bootstrap(struct raft_io *io, const struct raft_configuration *configuration)
{
    struct server *server = server_of(io);
    struct disk *disk = &server->disk;
    if (disk->term || disk->count || disk->snapshot)
        return RAFT_CANTBOOTSTRAP;
    struct raft_entry raft = {.term = 1, .type = RAFT_CHANGE};
    int status = raft_configuration_encode(configuration, &raft.buf);
    if (status)
        return status;
    disk->entries = entries_from_raft(&raft, 1);
    disk->count = disk->capacity = 1;
    disk->term = 1;
    raft_free(raft.buf.base);
    invariants_stored(server, 1, disk->entries, 1);
    return 0;
}

static int io_recover(struct raft_io *io, const struct raft_configuration *configuration)
{
    (void)io, (void)configuration;
    return RAFT_INVALID; /* Nobody asks for it here. */
}

static int io_append(struct raft_io *io, struct raft_io_append *request, const struct raft_entry *entries,
                     unsigned count, raft_io_append_cb call)
{
    struct server *server = server_of(io);
    if (server->is_closing)
        return RAFT_CANCELED;
    library_append_begin(request);
    request->cb = call;
    struct write *write = host_allocate(sizeof *write);
    *write = (struct write){
        .kind = WRITE_APPEND,
        .index = server->disk.next_index,
        .entries = entries_from_raft(entries, count),
        .count = count,
        .request = request,
    };
    disk_write(server, write);
    return 0;
}

static int io_truncate(struct raft_io *io, TRUNCATE_REQUEST raft_index index)
{
    struct server *server = server_of(io);
    if (server->is_closing)
        return RAFT_CANCELED;
    TRUNCATE_BEGIN;
    struct write *write = host_allocate(sizeof *write);
    *write = (struct write){.kind = WRITE_TRUNCATE, .index = index, .request = TRUNCATE_OWNED};
    disk_write(server, write);
    return 0;
}

static struct blob *joined(const struct raft_buffer *buffers, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += buffers[i].len;
    struct blob *blob = blob_copy(NULL, 0);
    blob = host_resize(blob, sizeof *blob + size);
    for (unsigned i = 0; i < count; i++) {
        memcpy(blob->data + blob->size, buffers[i].base, buffers[i].len);
        blob->size += (uint32_t)buffers[i].len;
    }
    return blob;
}

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *request,
                           const struct raft_snapshot *raft, raft_io_snapshot_put_cb call)
{
    struct server *server = server_of(io);
    if (server->is_closing)
        return RAFT_CANCELED;
    request->cb = call;
    struct snapshot *snapshot = host_allocate(sizeof *snapshot);
    *snapshot = (struct snapshot){
        .references = 1,
        .index = raft->index,
        .term = raft->term,
        .configuration_index = raft->configuration_index,
        .configuration = configuration_from_raft(&raft->configuration),
        .data = joined(raft->bufs, raft->n_bufs),
    };
    struct write *write = host_allocate(sizeof *write);
    *write = (struct write){
        .kind = WRITE_SNAPSHOT,
        .index = raft->index,
        .snapshot = snapshot,
        .trailing = trailing,
        .request = request,
    };
    disk_write(server, write);
    return 0;
}

void io_written(struct server *server, const struct write *write, int status)
{
    struct simulation *s = server->simulation;
    if (status) {
        if (server->is_closing && RETRIES_FAILED_WRITES)
            status = RAFT_CANCELED;
        strcpy(server->process->io.errmsg, "injected fault of the disk");
    }
    simulation_mix(s, write->index << 8 | (uint64_t)write->kind << 4 | (status != 0));
    switch (write->kind) {
    case WRITE_APPEND: {
        struct raft_io_append *request = write->request;
        request->cb(request, status);
        break;
    }
    case WRITE_TRUNCATE:
        raft_free(write->request);
        break;
    case WRITE_SNAPSHOT: {
        struct raft_io_snapshot_put *request = write->request;
        if (!status) {
            bool is_installed = write->trailing == 0;
            s->snapshots_installed += is_installed;
            s->snapshots_taken += !is_installed;
            server->installed += is_installed;
            trace_snapshot(server, write->index, is_installed ? "installed" : "taken");
        }
        request->cb(request, status);
        break;
    }
    }
}

static void snapshot_read(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    struct raft_io_snapshot_get *request = event->subject;
    struct raft_snapshot *snapshot = NULL;
    server->pending--;
    int status = RAFT_CANCELED;
    if (!server->is_closing)
        status = server->disk.snapshot ? snapshot_to_raft(server, server->disk.snapshot, &snapshot)
                                       : RAFT_NOTFOUND;
    request->cb(request, snapshot, status);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *request,
                           raft_io_snapshot_get_cb call)
{
    struct server *server = server_of(io);
    if (server->is_closing)
        return RAFT_CANCELED;
    request->cb = call;
    server->pending++;
    uint64_t ns = random_between(&server->disk.random, READ_US_MIN * NS_PER_US, READ_US_MAX * NS_PER_US);
    schedule(server, ns, EVENT_SNAPSHOT_READ, snapshot_read, NULL, request, 0);
    return 0;
}

/* --- Work and timers, where the library has them --- */

#if HAS_ASYNC_WORK
static void work(struct simulation *s, struct event *event)
{
    struct server *server = &s->servers[event->server];
    struct raft_io_async_work *request = event->subject;
    server->pending--;
    request->cb(request, request->work(request));
}

static int io_async_work(struct raft_io *io, struct raft_io_async_work *request,
                         raft_io_async_work_cb call)
{
    struct server *server = server_of(io);
    const struct simulation *s = server->simulation;
    request->cb = call;
    server->pending++;
    uint64_t ns = random_between(&server->disk.random, s->options.work_us_min * NS_PER_US,
                                 s->options.work_us_max * NS_PER_US);
    schedule(server, ns, EVENT_WORK, work, NULL, request, 0);
    return 0;
}
#endif

#if HAS_TIMERS
/* A timer's handle is the number of its start: stopped or started again, an older event is stale. */
static void timer_due(struct simulation *s, struct event *event)
{
    (void)s;
    struct raft_timer *timer = event->subject;
    if ((uintptr_t)timer->handle != event->number)
        return;
    timer->handle = NULL;
    timer->cb(timer);
}

static int io_timer_start(struct raft_io *io, struct raft_timer *timer, uint64_t ms, uint64_t repeat_ms,
                          raft_timer_cb call)
{
    struct server *server = server_of(io);
    if (repeat_ms)
        return RAFT_INVALID; /* Nobody asks for it. */
    timer->cb = call;
    timer->handle = (void *)(uintptr_t)++server->timers_started;
    schedule(server, server_duration_ns(server, ms * NS_PER_MS), EVENT_TIMER, timer_due, NULL, timer,
             server->timers_started);
    return 0;
}

static int io_timer_stop(struct raft_io *io, struct raft_timer *timer)
{
    (void)io;
    timer->handle = NULL;
    return 0;
}
#endif

void io_fill(struct server *server, struct raft_io *io)
{
    *io = (struct raft_io){
        .version = IO_VERSION,
        .impl = server,
        .init = io_init,
        .close = io_close,
        .load = io_load,
        .start = io_start,
        .bootstrap = io_bootstrap,
        .recover = io_recover,
        .set_term = io_set_term,
        .set_vote = io_set_vote,
        .send = io_send,
        .append = io_append,
        .truncate = io_truncate,
        .snapshot_put = io_snapshot_put,
        .snapshot_get = io_snapshot_get,
        .time = io_time,
        .random = io_random,
        IO_MORE
#if HAS_ASYNC_WORK
        .async_work = io_async_work,
#endif
#if HAS_TIMERS
        .timer_start = io_timer_start,
        .timer_stop = io_timer_stop,
#endif
    };
}
