/*
 * A server: one process that runs the library, its clock, its memory and its disk.
 *
 * The library sees it as a `struct raft_io` (raft_io.c). All of its code runs in events, with
 * `simulation->running` set to it; raft_malloc takes from its arena then.
 */
#ifndef DISSEVER_SIMULATION_SERVER_H
#define DISSEVER_SIMULATION_SERVER_H

#include "disk.h"
#include "events.h"
#include "library.h"
#include "memory.h"
#include "options.h"
#include "random.h"

enum { CHANGES_MAX = 64 };

struct simulation;

/* The library's own objects: in the arena, so that they are where they are in each run. */
struct process {
    struct raft raft;
    struct raft_io io;
    struct raft_fsm fsm; /* what the library calls: it looks, and calls the service's */
    struct raft_tracer tracer;
};

/* A clock that may be wrong: `offset` ahead at `since_ns`, and going `rate` times as fast. */
struct clock {
    uint64_t since_ns;
    double offset_ns;
    double rate;
    uint64_t last_ms; /* what it said last: a monotonic clock never goes back */
};

struct server {
    struct simulation *simulation;
    unsigned number;  /* counted from 0 */
    uint64_t raft_id; /* by which the others know it: number + 1, until its disk is wiped */
    bool is_running, is_paused, is_started, is_stopping, is_closing;
    uint32_t incarnation;
    struct arena arena;
    struct process *process; /* NULL: it does not run */
    struct raft_fsm fsm;     /* the service's */
    void *state;             /* the service's */
    struct disk disk;
    struct clock clock;
    struct random random, client_random, system_random;
    struct events held; /* while it is paused */

    raft_io_tick_cb tick;
    raft_io_recv_cb receive;
    raft_io_close_cb closed;
    uint64_t tick_ns;
    size_t pending; /* requests of the library in flight: sends, reads of snapshots, work */
    uint64_t timers_started;
    uint32_t changes[CHANGES_MAX]; /* that were asked of it, and are not answered */
    size_t change_count;
    bool led; /* when it was last looked at */
    bool was_bootstrapped;
    bool metadata_failed; /* the last change of term or vote did */
    uint64_t installed; /* snapshots, since the simulation began */
    uint64_t max_commit; /* of this incarnation */
};

/* Begin the process. If it cannot start, it ends at once: FRAME_EXIT with status 1. */
void server_start(struct server *server);

/* The address by which servers know each other. */
const char *server_address(struct simulation *simulation, unsigned number);

/* Ask it to end, as by SIGTERM; held while it is paused. */
void server_stop(struct server *server);

/* End it now. `power_failed`: unsynced writes are lost. */
void server_kill(struct server *server, bool power_failed);

void server_pause(struct server *server);
void server_resume(struct server *server);

/* Its disk forgets everything; it is another server from now on, with an id that nobody had. */
void server_wipe(struct server *server);

/* The server that has or had a raft id; NULL: none. */
struct server *server_of_id(struct simulation *simulation, uint64_t raft_id);
void server_turn_clock(struct server *server, double offset_s, double rate);
double server_clock_offset_s(const struct server *server);

/* How long something of that length by the server's clock takes. */
uint64_t server_duration_ns(const struct server *server, uint64_t by_its_clock_ns);

/* For services: ms of its clock; raft_close, and then the end of the process with status 0; the end
 * of the process now, with a status. */
uint64_t server_now_ms(struct server *server);
void server_close(struct server *server);
void server_exit(struct server *server, int status);

/* For services: call `call(server, argument)` in `delay_ns` by its clock, unless its process has
 * ended; held while it is paused. */
typedef void server_call(struct server *server, void *argument);
void server_after(struct server *server, uint64_t delay_ns, server_call *call, void *argument);

/* For services: memory of its arena. NULL when it is out of memory, or is made to be. */
void *server_allocate(struct server *server, size_t size);
void *server_resize(struct server *server, void *block, size_t size);
void server_free(struct server *server, void *block);

/* Ask for a change of members (FRAME_CHANGE); the answer is FRAME_CHANGED. */
void server_change(struct server *server, uint32_t change, unsigned what, unsigned member,
                   unsigned role);

/* Is it the leader, as it believes? Who is, as it believes (raft id, 0: none)? */
bool server_leads(const struct server *server);
uint64_t server_leader(const struct server *server);

#endif
