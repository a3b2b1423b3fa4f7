/* The raft inside libdqlite 1.18, by the headers of its source. LIBRARY_VERSION comes from the build. */
#ifndef DISSEVER_SIMULATION_VARIANT_H
#define DISSEVER_SIMULATION_VARIANT_H

#include "raft.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LIBRARY_NAME "libdqlite " LIBRARY_VERSION

enum {
    IO_VERSION = 3,
    RETRIES_FAILED_WRITES = 0, /* raft_uv tells the library, instead of trying again */
};

#define IO_MORE
#define HAS_ASYNC_WORK 1
#define HAS_TIMERS 1

/* How functions of this version differ. */
#define FSM_APPLY_RESULT
#define FSM_PASS_RESULT
#define FSM_NO_RESULT (void)0
#define FSM_FINALIZE_ARGUMENTS struct raft_buffer buffers[], unsigned count
#define FSM_FINALIZE_PASS buffers, count
#define FSM_FINALIZE_BUFFERS buffers
#define FSM_FINALIZE_COUNT count
#define APPLY_CB_RESULT
#define APPLY_CB_IGNORE (void)0
/* A truncation's request is ours from the call on, and freed when it is done. */
#define TRUNCATE_REQUEST struct raft_io_truncate *request,
#define TRUNCATE_BEGIN memset(&request->sm, 0, sizeof request->sm)
#define TRUNCATE_OWNED request

/* Of its own I/O, which real nodes have (real/node.c). */
#define UV_HEADER "raft.h"
#define TRANSPORT_BEGIN(transport) ((transport).version = 1)

/* After each event of a server: nothing is to be done. */
static inline void library_event_ends(struct raft *raft)
{
    (void)raft;
}

static inline void library_append_begin(struct raft_io_append *request)
{
    memset(&request->sm, 0, sizeof request->sm);
}

static inline void library_emit(struct raft_tracer *tracer, const char *file, unsigned line,
                                const char *function, unsigned level, const char *message)
{
    (void)function, (void)level;
    fprintf(stderr, "%s %s:%u: %s\n", (const char *)tracer->impl, file, line, message);
}

static inline void library_trace(struct raft *raft, struct raft_tracer *tracer, unsigned number,
                                 bool is_on)
{
    static const char names[][3] = {"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
    tracer->impl = (void *)(uintptr_t)names[number];
    tracer->enabled = is_on;
    tracer->emit = library_emit;
    raft->tracer = tracer;
}

#endif
